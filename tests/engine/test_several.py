"""Runs over more than one bucket, over a part of a bucket, and how a run's status tells of them."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

import pytest

from s3plan import api
from s3plan.engine import destination
from s3plan.errors import DestinationError
from s3plan.localfs.marker import FORMAT, Marker
from s3plan.localfs.refusals import refusal
from s3plan.localfs.tree import Tree
from s3plan.model.events import GateReached, StepBegan, StepFinished
from s3plan.model.local import Space
from s3plan.model.steps import Totals
from tests.engine.scene import OBJECTS_ONLY, WHOLE, Scene


@pytest.fixture
def two(scene: Scene) -> Iterator[tuple[Scene, str]]:
    """A scene whose manifest means a second bucket as well."""
    other = f"{scene.bucket}-other"
    scene.s3.create_bucket(Bucket=other)
    scene.s3.put_object(Bucket=other, Key="b.txt", Body=b"b")
    scene.put("a.txt", b"a")
    manifest = scene.manifest(WHOLE)
    text = manifest.read_text()
    manifest.write_text(text.replace(f"[{scene.bucket}]", f"[{scene.bucket}, {other}]"))
    try:
        yield scene, other
    finally:
        if other in {b["Name"] for b in scene.s3.list_buckets()["Buckets"]}:
            for entry in scene.s3.list_objects_v2(Bucket=other).get("Contents", ()):
                scene.s3.delete_object(Bucket=other, Key=entry["Key"])
            scene.s3.delete_bucket(Bucket=other)


def _approved(scene: Scene, names: tuple[str, ...]) -> api.Approval:
    gates = {gate.subject: gate.evidence for gate in scene.gates()}
    return api.Approval("tester", None, {name: gates[name] for name in names})


@pytest.mark.long
def test_every_gate_that_waits_is_in_the_command_that_goes_on(two: tuple[Scene, str]) -> None:
    scene, other = two
    scene.plan()
    held = scene.apply()
    assert held.exit_code == 4
    assert held.next_step is not None
    assert held.next_step.count("s3plan apply") == 1
    for gate in scene.gates():
        assert f"--approve-delete {gate.subject}@{gate.evidence[:16]}" in held.next_step
    approval = _approved(scene, (scene.bucket, other))
    assert api.apply(scene.directory / "plan.json", approval=approval).exit_code == 0
    assert not scene.bucket_exists()
    assert scene.plan().plan is None


@pytest.mark.long
def test_an_approval_opens_its_own_gate_only(two: tuple[Scene, str]) -> None:
    scene, other = two
    scene.plan()
    scene.apply()
    finished = api.apply(
        scene.directory / "plan.json", approval=_approved(scene, (other,)), observer=api.ignore
    )
    assert finished.exit_code == 4
    assert scene.keys() == ["a.txt"]
    assert other not in {b["Name"] for b in scene.s3.list_buckets()["Buckets"]}


def test_what_stops_one_bucket_does_not_stop_the_next(two: tuple[Scene, str]) -> None:
    scene, other = two
    scene.plan()
    scene.delete("a.txt")
    finished = scene.apply()
    assert finished.exit_code == 3, "incomplete outranks held"
    assert [gate.subject for gate in scene.gates()] == [other]
    assert (scene.here / other / "b.txt").read_bytes() == b"b"


@pytest.mark.long
def test_a_declined_bucket_is_skipped_and_the_run_ends_with_what_remains(
    two: tuple[Scene, str],
) -> None:
    """A74."""
    scene, other = two
    scene.plan()
    finished = scene.apply(ask=lambda gate: gate.subject == other)
    assert (finished.outcome, finished.exit_code) == ("held", 4)
    assert "declined" in finished.message
    assert "remaining: 1" in finished.message
    assert scene.keys() == ["a.txt"]
    assert other not in {b["Name"] for b in scene.s3.list_buckets()["Buckets"]}
    again = scene.apply(ask=lambda _: True)
    assert again.exit_code == 0, "no is not for ever"


def _downloads(scene: Scene) -> list[tuple[str, str]]:
    """When the downloads began and ended, by subject."""
    told = [
        ("began" if isinstance(event, StepBegan) else "ended", event.subject)
        for event in scene.events
        if isinstance(event, StepBegan | StepFinished) and event.verb == "download"
    ]
    return [(what, subject.removeprefix(scene.bucket)) for what, subject in told]


@pytest.mark.long
def test_one_bucket_comes_after_the_other_unless_the_manifest_says_more(
    two: tuple[Scene, str],
) -> None:
    """A21."""
    scene, other = two
    scene.plan()
    scene.apply()
    assert _downloads(scene) == [
        ("began", ""), ("ended", ""), ("began", "-other"), ("ended", "-other"),
    ]  # fmt: skip
    scene.rollback()
    manifest = scene.directory / "manifest.yaml"
    manifest.write_text(manifest.read_text() + "  parallelBuckets: 2\n")
    planned = scene.plan().plan
    assert planned is not None
    assert planned.header.side_by_side == 2
    asked: list[str] = []

    def ask(gate: GateReached) -> bool:
        working = {s for s in (scene.bucket, other) if s in _unfinished(scene)}
        assert not working, "a question holds the loop: nothing may be on its way"
        asked.append(gate.subject)
        return True

    assert scene.apply(ask=ask).exit_code == 0
    assert _downloads(scene)[:2] == [("began", ""), ("began", "-other")]
    assert sorted(asked) == sorted([scene.bucket, other])
    assert not scene.bucket_exists()


def _unfinished(scene: Scene) -> set[str]:
    """Subjects of downloads and verifications that began and did not end."""
    steps: dict[str, str] = {}
    for event in scene.events:
        if isinstance(event, StepBegan) and event.verb in ("download", "verify"):
            steps[event.step] = event.subject
        elif isinstance(event, StepFinished):
            steps.pop(event.step, None)
    return set(steps.values())


@pytest.mark.long
@pytest.mark.parametrize("side_by_side", [1, 2])
def test_a_disk_that_fails_stops_every_bucket_and_says_what_to_do(
    two: tuple[Scene, str], monkeypatch: pytest.MonkeyPatch, side_by_side: int
) -> None:
    """A36: the next bucket would meet the same disk."""
    scene, other = two
    manifest = scene.directory / "manifest.yaml"
    manifest.write_text(manifest.read_text() + f"  parallelBuckets: {side_by_side}\n")
    scene.plan()
    write_new = Tree.write_new

    def full(self: Tree, path: str, data: Any, mtime_ns: int) -> Any:
        if path.startswith(".s3plan"):
            return write_new(self, path, data, mtime_ns)
        raise refusal(OSError(errno.ENOSPC, "No space left on device"), path, "write")

    with monkeypatch.context() as patch:
        patch.setattr(Tree, "write_new", full)
        finished = scene.apply()
    assert (finished.outcome, finished.exit_code) == ("incomplete", 3)
    assert "make room" in finished.message
    began = {e.subject for e in scene.events if isinstance(e, StepBegan)}
    assert began == {scene.bucket, other} if side_by_side == 2 else {scene.bucket}
    assert scene.apply().exit_code == 4
    assert len(scene.gates()) == 2


@pytest.mark.long
def test_room_and_disk_are_looked_at_before_each_bucket(
    two: tuple[Scene, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A36, A81: what was enough when the plan was made may be gone when a bucket's turn comes."""
    scene, other = two
    scene.plan()
    space = Tree.space
    looks: list[Space] = []

    def shrinking(self: Tree) -> Space:
        looks.append(space(self))
        return looks[-1] if len(looks) == 1 else Space(bytes=100, inodes=None)

    with monkeypatch.context() as patch:
        patch.setattr(Tree, "space", shrinking)
        finished = scene.apply()
    assert (finished.outcome, finished.exit_code, len(looks)) == ("incomplete", 3, 2)
    assert f"what is left of {other} does not fit" in finished.message
    assert "make room on the disk, then s3plan apply" in finished.message
    assert not (scene.here / other).exists()
    assert (scene.copies / "a.txt").exists()

    def other_disk(tree: Tree) -> Marker:
        return Marker(FORMAT, "0" * 16, "2026-11-20T00:00:00.000Z")

    with monkeypatch.context() as patch:
        patch.setattr(destination, "read_marker", other_disk)
        with pytest.raises(DestinationError, match="began with"):
            scene.apply()
    assert scene.apply().exit_code == 4


def test_files_that_are_there_need_no_room(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What will only be compared is not counted again."""
    scene.put("large.bin", b"x" * 10_000)
    scene.plan(OBJECTS_ONLY)
    scene.copies.mkdir(parents=True)
    (scene.copies / "large.bin").write_bytes(b"x" * 10_000)
    monkeypatch.setattr(Tree, "space", lambda _: Space(bytes=100, inodes=None))
    assert scene.apply().exit_code == 4


def test_keys_outside_the_selection_belong_to_nobody(scene: Scene) -> None:
    for key in ("in/a.txt", "in/b.txt", "out/c.txt"):
        scene.put(key, key.encode())
    selected = OBJECTS_ONLY + "  select: {prefix: in/}\n"
    evidence = scene.apply_to_gate(selected)
    scene.put("out/new.txt", b"appeared, but is none of our business")
    assert scene.apply(delete=evidence).exit_code == 0
    assert scene.keys() == ["out/c.txt", "out/new.txt"]
    assert scene.plan().plan is None
    rolled_back = scene.rollback()
    assert rolled_back is not None
    assert rolled_back.exit_code == 0
    assert scene.keys() == ["in/a.txt", "in/b.txt", "out/c.txt", "out/new.txt"]


def test_the_status_tells_what_a_run_waits_for(scene: Scene) -> None:
    scene.put("a.txt", b"12345")
    evidence = scene.apply_to_gate()
    held = api.status()
    (bucket,) = held.buckets
    assert (held.outcome, bucket.state, bucket.totals) == ("held", "held", Totals(1, 5))
    assert (bucket.synced, bucket.verified, bucket.deleted) == (True, True, False)
    assert bucket.approve == f"--approve-delete {scene.bucket}@{evidence[:16]}"
    assert held.next_step is not None
    assert held.next_step.endswith(bucket.approve)

    assert scene.apply(delete=evidence).exit_code == 0
    done = api.status()
    (bucket,) = done.buckets
    assert (done.outcome, done.phase, bucket.state) == ("done", "complete", "completed")
    assert (bucket.synced, bucket.verified, bucket.deleted) == (True, True, True)
    assert done.next_step is None

    scene.rollback()
    assert (api.status().command, api.status().outcome) == ("rollback", "done")
