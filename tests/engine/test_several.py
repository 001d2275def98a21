"""Runs over more than one bucket, over a part of a bucket, and how a run's status tells of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from s3plan import api
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
