"""A plan held against reality, and drift since the last apply; both only read."""

from __future__ import annotations

import json
from pathlib import Path

from s3plan.model.recheck import Drift, Drifted
from s3plan.model.steps import Totals
from s3plan.views.drift import markdown_drift
from tests.engine.scene import COPY_ONLY, WHOLE, Scene
from tests.review.inside import s3plan


def test_a_plan_that_still_holds(scene: Scene) -> None:
    scene.fill(3)
    scene.manifest(WHOLE)
    assert s3plan("plan", "manifest.yaml").code == 0
    before = scene.objects()
    found = s3plan("validate", "plan.json")
    assert found.code == 0, found.err
    assert found.out.splitlines()[-1] == "The plan still holds."
    assert (scene.objects(), scene.here.exists()) == (before, False)


def test_what_is_no_longer_as_planned_is_named(scene: Scene) -> None:
    scene.put("changed")
    scene.put("gone")
    scene.put("same")
    scene.manifest(WHOLE)
    assert s3plan("plan", "manifest.yaml").code == 0
    scene.put("changed", b"something else")
    scene.delete("gone")
    found = s3plan("validate", "plan.json", "--json")
    assert found.code == 5
    said = json.loads(found.out)
    assert said["holds"] is False
    download = next(step for step in said["steps"] if step["verb"] == "download")
    assert (download["as_planned"], download["changed"], download["gone"]) == (1, 1, 1)
    assert download["first"] == ["changed", "gone"]
    people = s3plan("validate", "plan.json")
    assert "1 as planned, 1 changed since, 1 gone since" in people.out


def test_what_appeared_holds_the_gate_of_a_deletion(scene: Scene) -> None:
    scene.fill(2)
    scene.manifest(WHOLE)
    assert s3plan("plan", "manifest.yaml").code == 0
    scene.put("zzz-new")
    found = s3plan("validate", "plan.json")
    assert found.code == 5
    assert "2 as planned, 1 appeared since" in found.out
    assert "zzz-new" in found.out


def test_a_deletion_that_was_held_is_declared_and_not_done(scene: Scene) -> None:
    scene.fill(2)
    scene.manifest(WHOLE)
    assert s3plan("plan", "manifest.yaml").code == 0
    assert s3plan("apply", "--approve").code == 4
    found = s3plan("drift", "manifest.yaml")
    assert "declared and not done (2 objects): the last apply did not finish it" in found.out
    assert found.out.splitlines()[-1] == "Drift: 2 other things."


def test_a_plan_that_could_not_be_applied_says_why(scene: Scene) -> None:
    scene.fill(1)
    scene.manifest(COPY_ONLY)
    assert s3plan("plan", "manifest.yaml").code == 0
    assert s3plan("apply", "--approve").code == 0
    Path("s3plan.yaml").write_text(
        "apiVersion: s3plan/v1\nkind: Project\n"
        "spec: {limits: {allowedAccounts: ['111111111111']}}\n"
    )
    found = s3plan("validate", "plan.json")
    assert found.code == 5
    assert "the plan is consumed" in found.out
    assert "an account that is not allowed" in found.out
    assert s3plan("validate", "plan.json", "manifest.yaml").code == 64


def test_drift_is_told_three_ways(scene: Scene) -> None:
    """B51: what appeared, what changed and what was undone since the last apply."""
    for key in ("kept", "changed", "removed-here", "gone"):
        scene.put(key)
    scene.manifest(COPY_ONLY)

    never = s3plan("drift", "manifest.yaml", "--detailed-exitcode")
    assert never.code == 2
    assert "These manifests were never applied here." in never.out
    assert "Never applied: 4 appeared." in never.out

    assert s3plan("plan", "manifest.yaml").code == 0
    assert s3plan("apply", "--approve").code == 0
    agreed = s3plan("drift", "manifest.yaml", "--detailed-exitcode")
    assert agreed.code == 0, agreed.err
    assert agreed.out.splitlines()[-1] == "No drift: applied, live and declared agree."
    plan = Path("plan.json").read_bytes()

    scene.put("new")
    scene.delete("gone")
    found = s3plan("drift", "manifest.yaml", "--detailed-exitcode", "--json")
    assert found.code == 2, found.err
    said = json.loads(found.out)
    lines = {line["verb"]: line for line in said["lines"] if not line["gone"]["items"]}
    assert lines["download"]["appeared"]["items"] == 1
    assert lines["download"]["first"] == ["new"]
    (gone,) = [line for line in said["lines"] if line["gone"]["items"]]
    assert (gone["gone"]["items"], gone["first"]) == (1, ["gone"])
    people = s3plan("drift", "manifest.yaml")
    assert people.code == 0
    assert "1 object appeared since" in people.out
    assert "1 object gone from S3 since" in people.out
    assert Path("plan.json").read_bytes() == plan, "no plan is written"
    page = s3plan("drift", "manifest.yaml", "--markdown").out
    assert page.startswith("### s3plan: drift\n\n**Drift: 1 appeared, 1 gone.**")
    assert "- **download** <code>" in page


def test_drift_as_markdown_keeps_its_budget_and_its_names() -> None:
    lines = [Drifted("copy", f"b|`{n}", Totals(1, 1), first=("<b>" * 30,)) for n in range(500)]
    page = markdown_drift(Drift("run", "now", tuple(lines), "Drift: 500 appeared."), budget=9_000)
    assert len(page.encode()) <= 9_000
    assert "<b>" not in page
    assert f"{500 - page.count('- **copy**')} lines more" in page


def test_versions_are_told_apart(versioned: Scene) -> None:
    """Noncurrent versions and delete markers of a plan are looked for as what they are."""
    scene = versioned
    for body in (b"one", b"two"):
        scene.put("twice", body)
    scene.put("removed")
    scene.delete("removed")
    scene.manifest("  versions: all\n  delete: afterVerification\n")
    made = s3plan("plan", "manifest.yaml")
    assert made.code == 0, made.err
    found = s3plan("validate", "plan.json")
    assert found.code == 0, found.out
    scene.put("twice", b"three")
    changed = s3plan("validate", "plan.json")
    assert changed.code == 5
    assert "twice" in changed.out
