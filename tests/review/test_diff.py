"""The difference of two plans, step by step and item by item, and a stale plan that explains it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3plan.model.steps import Item
from s3plan.plan import PlanFile
from s3plan.plan.comparison import compare_plans, merged_items
from s3plan.views.changes import markdown_changes
from tests.engine.scene import COPY_ONLY, WHOLE, Scene
from tests.kinds.planned import manifest, plan
from tests.review.inside import s3plan

SPEC = "buckets: {include: ['*']}\ndestination: {path: /archive}\n"
DELETE = SPEC + "delete: afterVerification\n"


def planned(directory: Path, buckets: dict[str, Any], spec: str = SPEC) -> PlanFile:
    directory.mkdir()
    inventory = {"buckets": {name: {"objects": rows} for name, rows in buckets.items()}}
    return plan(directory, manifest(directory, spec), inventory).file


def test_the_same_plan_has_no_difference(tmp_path: Path) -> None:
    buckets = {"a": [{"key": "x"}], "b": [{"key": "y"}]}
    changes = compare_plans(planned(tmp_path / "1", buckets), planned(tmp_path / "2", buckets))
    assert changes.same
    assert changes.sentence() == "nothing changed"


def test_items_come_go_and_change(tmp_path: Path) -> None:
    old = planned(tmp_path / "1", {"a": [{"key": "1"}, {"key": "2"}, {"key": "ü", "size": 5}]})
    new = planned(
        tmp_path / "2", {"a": [{"key": "2", "size": 9}, {"key": "3"}, {"key": "ü", "size": 5}]}
    )
    changes = compare_plans(old, new)
    download, verify = changes.steps
    assert (download.change, verify.change) == ("changed", "same")
    assert download.items is not None
    assert download.items.added.items == download.items.removed.items == 1
    assert download.items.changed.bytes == 9
    assert [
        (change.old and change.old.key, change.new and change.new.key)
        for change in download.items.first
    ] == [("1", None), ("2", "2"), (None, "3")]
    assert changes.sentence() == ("1 step changed, 1 item more, 1 item fewer, 1 item changed")


def test_steps_come_and_go_with_their_items(tmp_path: Path) -> None:
    old = planned(tmp_path / "1", {"a": [{"key": "1"}], "b": [{"key": "1"}, {"key": "2"}]})
    new = planned(tmp_path / "2", {"a": [{"key": "1"}], "c": [{"key": "9"}]})
    changes = compare_plans(old, new)
    found = {(step.change, step.step.verb, step.step.subject) for step in changes.steps}
    assert ("added", "download", "c") in found
    assert ("removed", "download", "b") in found
    assert ("same", "download", "a") in found
    assert "2 steps more, 2 steps fewer" in changes.sentence()
    assert "2 items fewer" in changes.sentence()


def test_a_deletion_that_comes_is_named(tmp_path: Path) -> None:
    objects = {"a": [{"key": "1"}]}
    changes = compare_plans(
        planned(tmp_path / "1", objects), planned(tmp_path / "2", objects, DELETE)
    )
    by_verb = {step.step.verb: step for step in changes.steps}
    assert by_verb["delete"].change == "added"
    assert by_verb["verify"].parts == ("parameters",)
    text = markdown_changes(changes, budget=30_000)
    assert "- `+` **delete** <code>a</code>" in text


@pytest.mark.long
def test_markdown_keeps_its_budget_and_counts_the_rest(tmp_path: Path) -> None:
    many = {f"bucket-{n:03}": [{"key": "<b>|`x`" * 20}] for n in range(40)}
    changes = compare_plans(
        planned(tmp_path / "1", {"z": [{"key": "1"}]}), planned(tmp_path / "2", many)
    )
    text = markdown_changes(changes, budget=4_000)
    assert len(text.encode()) <= 4_000
    assert "<b>" not in text
    shown = text.count("- `+` **") + text.count("- `-` **")
    assert f"{len(changes.steps) - shown} changed steps more" in text


KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, st.integers(0, 3)), st.dictionaries(KEYS, st.integers(0, 3)))
def test_the_merge_finds_exactly_what_differs(old: dict[str, int], new: dict[str, int]) -> None:
    def items(sizes: dict[str, int]) -> list[Item]:
        ordered = sorted(sizes, key=str.encode)
        return [Item("s", n, key, key, sizes[key], "e", "t") for n, key in enumerate(ordered)]

    found = {}
    for change in merged_items(iter(items(old)), iter(items(new))):
        item = change.new or change.old
        assert item is not None
        found[item.key] = (change.old and change.old.size, change.new and change.new.size)
    assert found == {
        key: (old.get(key), new.get(key))
        for key in old.keys() | new.keys()
        if old.get(key) != new.get(key)
    }


def test_a_stale_approval_says_what_changed(scene: Scene) -> None:
    """Exit 5, with the difference where the approved plan is at hand."""
    scene.fill(3)
    scene.manifest(COPY_ONLY)
    assert s3plan("plan", "manifest.yaml", "-o", "reviewed.json").code == 0
    approved = PlanFile.open(Path("reviewed.json")).digest
    scene.put("more/new.txt")
    assert s3plan("plan", "manifest.yaml").code == 0
    stale = s3plan("apply", "--approve", approved[:19])
    assert stale.code == 5
    assert "2 steps changed" in stale.err or "1 item more" in stale.err
    assert "s3plan diff reviewed.json plan.json" in stale.err
    shown = s3plan("diff", "reviewed.json", "plan.json", "--detailed-exitcode")
    assert shown.code == 2
    assert "+ more/new.txt" in shown.out
    record = json.loads(s3plan("diff", "reviewed.json", "plan.json", "--json").out)
    assert record["steps"][0]["items"]["added"]["items"] == 1
    Path("reviewed.json").unlink()
    alone = s3plan("apply", "--approve", approved[:19])
    assert alone.code == 5
    assert "review this plan with `s3plan show`" in alone.err


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["key=2024/*"], ["2024/a.jpg", "2024/b.jpg"]),
        (["key!=2024/*"], ["index.html"]),
        (["class=STANDARD_IA"], ["index.html"]),
        (["size>5"], ["2024/b.jpg"]),
        (["size<=5", "key=*.jpg"], ["2024/a.jpg"]),
        (["modified<2000"], []),
    ],
)
def test_items_of_a_step_are_chosen_by_what_they_are(
    filters: list[str], expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    from s3plan.cli import main

    golden = Path(__file__).parents[1] / "golden" / "fresh" / "plan.json"
    given = [part for text in filters for part in ("--filter", text)]
    step = PlanFile.open(golden).steps[0].id
    assert main(["show", str(golden), "--step", step, "--json", *given]) == 0
    out = capsys.readouterr().out
    assert [json.loads(line)["key"] for line in out.splitlines()] == expected


def test_pages_of_items(capsys: pytest.CaptureFixture[str]) -> None:
    from s3plan.cli import main

    golden = Path(__file__).parents[1] / "golden" / "fresh" / "plan.json"
    step = PlanFile.open(golden).steps[0].id
    given = ["show", str(golden), "--step", step, "--json", "--start", "1", "--limit", "1"]
    assert main(given) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["key"] == "2024/b.jpg"
    for wrong in (["--filter", "colour=red"], ["--filter", "size>big"], ["--filter", "key"]):
        assert main(["show", str(golden), "--step", step, *wrong]) == 64
    assert main(["show", str(golden), "--filter", "key=a"]) == 64


def test_replayed_edited_and_foreign_plans_are_refused_with_their_reason(scene: Scene) -> None:
    """Each says why; none sends a request that writes."""
    scene.fill(2)
    scene.manifest(COPY_ONLY)
    assert s3plan("plan", "manifest.yaml").code == 0
    assert s3plan("apply", "--approve").code == 0
    replayed = s3plan("apply", "--approve")
    assert replayed.code == 5
    assert "the plan is consumed" in replayed.err

    scene.put("third")
    scene.manifest(WHOLE)
    assert s3plan("plan", "manifest.yaml").code == 0
    whole = Path("plan.json").read_text()
    Path("plan.json").write_text(whole.replace('"region":"us-east-1"', '"region":"eu-west-9"', 1))
    edited = s3plan("apply", "--approve")
    assert edited.code == 1
    assert "edited or damaged" in edited.err

    header, rest = whole.split("\n", 1)
    foreign = json.loads(header) | {"host": "somewhere-else"}
    Path("plan.json").write_text(json.dumps(foreign) + "\n" + rest)
    elsewhere = s3plan("apply", "--approve")
    assert elsewhere.code == 5
    assert "the plan was made on another host" in elsewhere.err
