"""Buckets that keep versions: copied with their history, deleted by ids, put back in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.errors import ProblemsError
from s3plan.model.steps import Totals
from s3plan.store import Bucket
from tests.engine.scene import COPY_ONLY, OBJECTS_ONLY, WHOLE, Scene

ALL = "  versions: all\n"
CURRENT = "  versions: current\n"

STACKS: dict[str, list[bytes | None]] = {
    "a.txt": [b"first", b"second, longer"],
    "dir/brought back": [b"before", None, b"after"],
    "dir/gone.txt": [b"was here", None],
    "same": [b"equal", b"equal"],
    "single.txt": [b"only this"],
}


def pile(scene: Scene, stacks: dict[str, list[bytes | None]]) -> None:
    """Write versions and delete markers, each key's in order."""
    for key, entries in stacks.items():
        for number, entry in enumerate(entries):
            if entry is None:
                scene.delete(key)
            else:
                scene.put(key, entry, Metadata={"number": str(number)}, ContentType="text/x-test")


def newest(stacks: dict[str, list[bytes | None]]) -> dict[str, bytes]:
    """What the keys hold now."""
    return {key: entries[-1] for key, entries in stacks.items() if entries[-1] is not None}


def old_files(scene: Scene) -> list[bytes]:
    """The content of every file of a noncurrent version."""
    folder = scene.here / ".s3plan" / "versions"
    return sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def piled(versioned: Scene) -> Scene:
    pile(versioned, STACKS)
    assert versioned.stacks() == STACKS
    return versioned


@pytest.fixture
def plain(versioned: Scene) -> Scene:
    """A bucket that keeps versions and has none but current ones."""
    pile(versioned, {"a.txt": [b"a"], "dir/b.txt": [b"b"]})
    return versioned


# -- refuse -------------------------------------------------------------------------------------


def test_a_history_that_nobody_decided_about_cannot_be_planned(piled: Scene) -> None:
    """A73: noncurrent versions and delete markers are counted and named."""
    with pytest.raises(ProblemsError) as caught:
        piled.plan(WHOLE)
    (problem,) = caught.value.problems
    text = str(problem)
    assert "6 noncurrent versions and delete markers" in text
    assert all(f"{key} (" in text for key in STACKS if key != "single.txt")
    assert "delete marker" in text
    assert "versions: all" in (problem.next_step or "")


@pytest.mark.long
def test_current_versions_alone_are_deleted_by_their_ids_and_put_back(plain: Scene) -> None:
    before = plain.objects()
    evidence = plain.apply_to_gate(WHOLE)
    assert "by its own id" in plain.gate().guard
    assert plain.apply(delete=evidence).exit_code == 0
    assert not plain.bucket_exists()
    assert plain.plan().plan is None, "no changes"
    rolled_back = plain.rollback()
    assert rolled_back is not None
    assert rolled_back.exit_code == 0
    assert plain.objects() == before
    assert plain.stacks() == {"a.txt": [b"a"], "dir/b.txt": [b"b"]}
    status = plain.s3.get_bucket_versioning(Bucket=plain.bucket)["Status"]
    assert status == "Enabled", "as it was"
    assert plain.files() == {}


def test_an_item_records_the_version_it_is_about(plain: Scene) -> None:
    """A18: the version id is part of an item's fingerprint."""
    plain.plan(WHOLE)
    plan = api.show(Path("plan.json"))
    planned = {item.key: item.version_id for item in plan.items(plan.steps[0].id)}
    assert planned == {version.key: version.version_id for version in plain.versions()}


def test_without_deletion_current_versions_are_copied_with_a_warning(piled: Scene) -> None:
    """As long as nothing is deleted, nobody has to decide about versions."""
    result = piled.plan(COPY_ONLY)
    assert result.plan is not None
    assert "only current versions" in " ".join(result.plan.steps[0].warnings)
    assert piled.apply().exit_code == 0
    assert piled.files() == newest(STACKS)


# -- all ----------------------------------------------------------------------------------------


def test_every_version_is_copied_deleted_and_put_back_in_order(piled: Scene) -> None:
    """A73: the whole history goes, and comes back oldest first with what belongs to it."""
    kept = {version.key: version for version in piled.versions()}  # the oldest of each key
    piled.s3.put_object_tagging(
        Bucket=piled.bucket,
        Key="a.txt",
        VersionId=kept["a.txt"].version_id,
        Tagging={"TagSet": [{"Key": "of", "Value": "the old one"}]},
    )
    evidence = piled.apply_to_gate(WHOLE + ALL)
    gate = piled.gate()
    assert gate.figures["verified"] == sum(map(len, STACKS.values()))
    assert gate.losses == ()
    assert piled.files() == newest(STACKS)
    assert old_files(piled) == sorted([b"first", b"before", b"was here", b"equal"])
    finished = piled.apply(delete=evidence)
    assert (finished.exit_code, piled.problems()) == (0, [])
    assert not piled.bucket_exists()
    assert piled.plan().plan is None, "no changes"

    plan = api.rollback_plan(Path("journal.json"))
    assert plan is not None
    upload = next(step for step in plan.steps if step.verb == "upload")
    assert upload.totals.items == 10
    assert "new ids" in " ".join(upload.warnings)
    rolled_back = piled.rollback()
    assert rolled_back is not None
    assert (rolled_back.exit_code, piled.problems()) == (0, [])
    assert piled.stacks() == STACKS
    oldest = {version.key: version for version in piled.versions()}["a.txt"]
    where = {"Bucket": piled.bucket, "Key": "a.txt", "VersionId": oldest.version_id}
    assert piled.s3.get_object_tagging(**where)["TagSet"] == [{"Key": "of", "Value": "the old one"}]
    head = piled.s3.head_object(**where)
    assert (head["Metadata"], head["ContentType"]) == ({"number": "0"}, "text/x-test")
    assert (piled.files(), old_files(piled)) == ({}, [])
    assert piled.rollback() is None, "a second rollback does nothing"


@pytest.mark.long
def test_a_copied_history_is_verified_offline_and_not_copied_again(piled: Scene) -> None:
    piled.plan(COPY_ONLY + ALL)
    assert piled.apply().exit_code == 0
    assert piled.plan().plan is None, "no changes"
    assert piled.s3plan("verify", "here").code == 0
    (one, *_) = (path for path in (piled.here / ".s3plan" / "versions").rglob("*%~*"))
    one.write_bytes(b"rotten")
    assert piled.s3plan("verify", "here").code == 3


def test_an_old_version_that_rotted_on_disk_is_not_deleted_from_s3(piled: Scene) -> None:
    evidence = piled.apply_to_gate(OBJECTS_ONLY + ALL)
    for path in (piled.here / ".s3plan" / "versions").rglob("a.txt%~*"):
        path.write_bytes(b"sixth")
    finished = piled.apply(delete=evidence)
    assert finished.exit_code == 4
    assert piled.gate().figures["mismatched"] == 1
    assert piled.stacks() == STACKS


# -- current ------------------------------------------------------------------------------------


def test_a_history_is_given_up_only_by_an_approval_of_its_own(piled: Scene) -> None:
    """A73: what has no copy is itemised in the plan, and its loss approved alone."""
    evidence = piled.apply_to_gate(WHOLE + CURRENT)
    (loss,) = piled.gate().losses
    assert (loss.reason, loss.totals) == ("no-copy", Totals(6, 24))
    held = piled.apply(delete=evidence)
    assert (held.exit_code, piled.stacks()) == (4, STACKS)
    assert piled.apply(loss=evidence).exit_code == 0
    assert not piled.bucket_exists()
    rolled_back = piled.rollback()
    assert rolled_back is not None
    assert piled.stacks() == {key: [body] for key, body in newest(STACKS).items()}


def test_what_a_plan_gives_up_goes_before_what_it_keeps(piled: Scene) -> None:
    """The other way round, old versions would come to light."""
    result = piled.plan(WHOLE + CURRENT)
    assert result.plan is not None
    assert [step.verb for step in result.plan.steps] == [
        "download", "verify", "delete", "delete", "delete-bucket",
    ]  # fmt: skip
    losing, deleting = result.plan.steps[2:4]
    assert losing.gate is not None
    assert losing.gate.kind == "approve-loss"
    assert losing.reversibility == "never"
    assert "4 noncurrent versions and 2 delete markers" in losing.reason
    assert [need.step for need in deleting.needs] == [losing.id]


# -- what changes between plan, gate and deletion -----------------------------------------------


@pytest.mark.parametrize("spec", [WHOLE, WHOLE + ALL, WHOLE + CURRENT])
@pytest.mark.parametrize("how", ["version", "marker"])
def test_what_was_written_after_the_plan_holds_the_gate(plain: Scene, spec: str, how: str) -> None:
    plain.plan(spec)
    if how == "version":
        plain.put("a.txt", b"written after the plan")
    else:
        plain.delete("a.txt")
    plain.apply()
    plain.apply()
    assert not plain.gate().passes
    assert len(plain.versions()) == 3, "nothing is deleted"


@pytest.mark.long
@pytest.mark.parametrize("how", ["version", "marker"])
def test_what_is_written_between_the_gate_and_the_deletion_survives(
    piled: Scene, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    evidence = piled.apply_to_gate(WHOLE + ALL)
    delete_many = Bucket.delete_many

    async def late(self: Bucket, targets: Any) -> Any:
        if how == "version":
            piled.put("a.txt", b"late")
        else:
            piled.delete("a.txt")
        return await delete_many(self, targets)

    monkeypatch.setattr(Bucket, "delete_many", late)
    finished = piled.apply(delete=evidence)
    assert piled.stacks() == {"a.txt": [b"late" if how == "version" else None]}
    assert (finished.exit_code, piled.bucket_exists()) == (4, True)


def test_a_version_that_a_stranger_puts_on_top_is_left_alone_by_rollback(piled: Scene) -> None:
    evidence = piled.apply_to_gate(OBJECTS_ONLY + ALL)
    assert piled.apply(delete=evidence).exit_code == 0
    assert piled.stacks() == {}
    piled.put("a.txt", b"a stranger's")
    rolled_back = piled.rollback()
    assert rolled_back is not None
    assert rolled_back.exit_code == 7
    assert piled.stacks() == STACKS | {"a.txt": [b"a stranger's"]}
    assert piled.files() == {"a.txt": b"second, longer"}, "the last copies stay"
    assert old_files(piled) == [b"first"]


# -- folder markers -----------------------------------------------------------------------------


@pytest.mark.long
def test_folder_markers_that_are_skipped_are_deleted_as_listed_and_put_back_empty(
    scene: Scene,
) -> None:
    """A68: not downloaded, counted, still in the gate, and back after a rollback."""
    scene.put("a.txt", b"a")
    scene.put("folder/", b"")
    evidence = scene.apply_to_gate(WHOLE + "  markers: skip\n")
    assert (scene.copies / "a.txt").exists()
    assert not (scene.copies / "folder").exists()
    plan = api.show(Path("plan.json"))
    verify = next(step for step in plan.steps if step.verb == "verify")
    assert "1 folder marker" in verify.warnings[0]
    assert plan.steps[0].totals == Totals(1, 1)
    assert scene.gate().figures["folder_markers_skipped"] == 1
    assert scene.apply(delete=evidence).exit_code == 0
    assert not scene.bucket_exists()
    rolled_back = scene.rollback()
    assert rolled_back is not None
    assert rolled_back.exit_code == 0
    assert {key: found.body for key, found in scene.objects().items()} == {
        "a.txt": b"a",
        "folder/": b"",
    }


def test_a_folder_marker_that_appears_after_the_plan_holds_the_gate(scene: Scene) -> None:
    scene.put("a.txt", b"a")
    scene.plan(WHOLE + "  markers: skip\n")
    scene.put("late/", b"")
    assert scene.apply().exit_code == 4
    assert scene.gate().figures["appeared"] == 1
