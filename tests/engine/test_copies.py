"""``copy``, ``verify-copies`` and their undo: nothing written over, nothing lost, all compared."""

from __future__ import annotations

import hashlib
import socket
from typing import Any

import pytest

from s3plan.engine.handlers import copy as copying
from s3plan.errors import OutcomeUnknownError
from s3plan.model.journal import Copied, Intent
from s3plan.store import Bucket, Upload
from tests.engine.copying import by_type, plan_copies
from tests.engine.scene import Scene, Stored

COUNT = 8


@pytest.fixture(params=["scene", pytest.param("moto_scene", marks=pytest.mark.long)])
def any_scene(request: pytest.FixtureRequest) -> Scene:
    """A server that honours conditional copies, and one that ignores them."""
    scene = request.getfixturevalue(request.param)
    assert isinstance(scene, Scene)
    return scene


def _copied(scene: Scene, before: dict[str, Stored]) -> dict[str, Stored]:
    """What the copies must be."""
    assert scene.objects().keys() == before.keys() | {by_type(key) for key in before}
    return {by_type(key): stored for key, stored in before.items()}


def _applied(scene: Scene, **options: Any) -> dict[str, Stored]:
    before = scene.objects()
    plan_copies(scene, **options)
    finished = scene.apply()
    assert finished.exit_code == 0, (finished, scene.problems())
    return before


def test_objects_are_copied_with_content_type_metadata_and_tags(any_scene: Scene) -> None:
    """B28, B29, B31: server-side, verified before it counts as done."""
    scene = any_scene
    scene.fill(COUNT)
    scene.put(
        "d0/page.html", b"<p>", ContentType="text/html", Metadata={"a": "b"}, Tagging="owner=ann",
        CacheControl="no-store",
    )  # fmt: skip
    scene.put("d1/nothing.txt", b"")
    before = _applied(scene, headers=-1)
    after = scene.objects()
    assert {key: after[key] for key in before} == before
    assert {key: after[key] for key in _copied(scene, before)} == _copied(scene, before)
    (gate,) = scene.gates()
    assert gate.passes
    assert gate.figures["verified"] == len(before)
    assert gate.figures["headers_differ"] == 0


def test_rollback_removes_exactly_the_copies(any_scene: Scene) -> None:
    any_scene.fill(COUNT)
    before = _applied(any_scene)
    finished = any_scene.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert any_scene.objects() == before


def test_a_plan_that_is_about_s3_alone_is_applied_and_taken_back_on_any_host(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only plans with a local destination are bound to the host that they were made on."""
    scene.fill(2)
    plan_copies(scene)
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere.example")
    assert scene.apply().outcome == "done"
    monkeypatch.setattr(socket, "gethostname", lambda: "third.example")
    back = scene.rollback()
    assert (back and back.outcome, len(scene.keys())) == ("done", 2)


def test_a_new_key_that_is_in_use_is_left_alone(scene: Scene) -> None:
    """Invariant 3: nothing is written over, here by somebody between plan and apply."""
    scene.fill(COUNT)
    plan_copies(scene)
    theirs = by_type("d0/object-0000.txt")
    scene.put(theirs, b"a stranger's")
    finished = scene.apply()
    assert (finished.exit_code, finished.drifted) == (3, 1), finished
    assert {p.key: p.reason for p in scene.problems()} == {"d0/object-0000.txt": "key-taken"}
    assert scene.objects()[theirs].body == b"a stranger's"
    scene.rollback()
    assert scene.objects()[theirs].body == b"a stranger's", "and no rollback removes it"


def test_an_equal_object_at_the_new_key_is_adopted_and_never_removed(scene: Scene) -> None:
    scene.fill(COUNT)
    plan_copies(scene)
    theirs = by_type("d0/object-0000.txt")
    scene.put(theirs, b"content 0")
    finished = scene.apply()
    assert finished.exit_code == 0, (finished, scene.problems())
    rolled = scene.rollback()
    assert rolled is not None
    assert rolled.exit_code == 0
    assert theirs in scene.objects(), "it was there before the run"
    assert sum(key.startswith("grouped/") for key in scene.objects()) == 1


def test_a_source_that_changed_or_went_since_the_plan_is_drifted(scene: Scene) -> None:
    scene.fill(COUNT)
    plan_copies(scene)
    scene.put("d0/object-0000.txt", b"written again")
    scene.delete("d1/object-0001.txt")
    finished = scene.apply()
    assert (finished.exit_code, finished.drifted) == (3, 2)
    assert {p.reason for p in scene.problems()} == {"source-changed", "source-gone"}
    assert by_type("d0/object-0000.txt") not in scene.objects()


def test_a_source_that_changes_between_look_and_copy_is_never_called_done(
    any_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 3: where the source's condition is honoured the copy is refused; where it is
    ignored the comparison after it tells.
    """
    scene = any_scene
    scene.fill(COUNT)
    plan_copies(scene)
    copy = Bucket.copy

    async def late(self: Bucket, key: str, source: Any, options: Any, **named: Any) -> Any:
        if source.key == "d0/object-0000.txt":
            scene.put(source.key, b"written again")
        return await copy(self, key, source, options, **named)

    monkeypatch.setattr(Bucket, "copy", late)
    finished = scene.apply()
    assert finished.exit_code == 3
    assert {p.reason for p in scene.problems()} <= {"source-changed", "copy-differs"}
    assert [p.key for p in scene.problems()] == ["d0/object-0000.txt"]
    assert scene.objects()["d0/object-0000.txt"].body == b"written again"


def test_what_a_stranger_writes_between_look_and_copy_is_left_alone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where If-None-Match is honoured there is no window."""
    scene.fill(COUNT)
    plan_copies(scene)
    copy = Bucket.copy

    async def late(self: Bucket, key: str, source: Any, options: Any, **named: Any) -> Any:
        if source.key == "d0/object-0000.txt":
            scene.put(key, b"a stranger's")
        return await copy(self, key, source, options, **named)

    monkeypatch.setattr(Bucket, "copy", late)
    finished = scene.apply()
    assert finished.exit_code == 3
    assert scene.objects()[by_type("d0/object-0000.txt")].body == b"a stranger's"
    scene.rollback()
    assert scene.objects()[by_type("d0/object-0000.txt")].body == b"a stranger's"


@pytest.mark.parametrize("did", [True, False])
def test_a_lost_answer_is_settled_by_looking(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, did: bool
) -> None:
    """Invariant 4: done where the copy is there, failed where it is not; the same command ends."""
    scene.fill(COUNT)
    before = scene.objects()
    plan_copies(scene)
    copy = Bucket.copy

    async def lost(self: Bucket, key: str, source: Any, options: Any, **named: Any) -> Any:
        if did:
            await copy(self, key, source, options, **named)
        raise OutcomeUnknownError("the answer was lost")

    with monkeypatch.context() as patched:
        patched.setattr(Bucket, "copy", lost)
        finished = scene.apply()
    assert finished.exit_code == (0 if did else 3), finished
    if not did:
        assert scene.apply().exit_code == 0
    _copied(scene, before)
    assert scene.rollback().exit_code == 0  # type: ignore[union-attr]
    assert scene.objects() == before


def test_a_multipart_source_is_compared_by_content_and_not_by_its_etag(any_scene: Scene) -> None:
    """E31: a copy of a multipart upload may have another ETag, or the same one unproven."""
    scene = any_scene
    scene.put_in_parts("d0/video.mp4", [b"a" * (5 << 20), b"b" * 1000], ContentType="video/mp4")
    before = _applied(scene)
    facts = [copy for r in scene.journal() if isinstance(r, Copied) for copy in r.copies]
    assert [fact.checksum is not None for fact in facts] == [True]
    assert scene.objects()[by_type("d0/video.mp4")] == before["d0/video.mp4"]


def test_a_large_object_is_copied_in_parts_and_keeps_everything(
    any_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E32, B29: what CopyObject would carry along is sent again. The limit is lowered here."""
    monkeypatch.setattr(copying, "LARGEST_COPY", 6 << 20)
    monkeypatch.setattr(copying, "part_size", lambda _: 5 << 20)
    scene = any_scene
    scene.put(
        "d0/film.mp4", hashlib.sha512(b"x").digest() * (11 << 14), ContentType="video/mp4",
        Metadata={"a": "b"}, Tagging="owner=ann&n=1", CacheControl="max-age=1",
    )  # fmt: skip
    before = _applied(scene, headers=-1)
    assert scene.objects()[by_type("d0/film.mp4")] == before["d0/film.mp4"]
    assert not scene.s3.list_multipart_uploads(Bucket=scene.bucket).get("Uploads")
    scene.rollback()
    assert scene.objects() == before


def test_parts_of_a_large_copy_that_fails_are_abandoned(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "LARGEST_COPY", 6 << 20)
    monkeypatch.setattr(copying, "part_size", lambda _: 5 << 20)
    scene.put("d0/film.mp4", b"x" * (11 << 20))
    plan_copies(scene)
    copy_part = Upload.copy_part

    async def broken(self: Any, number: int, *values: Any) -> Any:
        if number == 2:
            raise OutcomeUnknownError("the endpoint is gone")
        return await copy_part(self, number, *values)

    with monkeypatch.context() as patched:
        patched.setattr(Upload, "copy_part", broken)
        assert scene.apply().exit_code == 3
    assert scene.apply().exit_code == 0
    assert not scene.s3.list_multipart_uploads(Bucket=scene.bucket).get("Uploads")


def test_headers_and_tags_are_merged_with_what_the_source_has(moto_scene: Scene) -> None:
    """B30, B61."""
    scene = moto_scene
    scene.put("d0/a.txt", b"a", ContentType="text/plain", Metadata={"m": "1"}, Tagging="owner=ann")
    before = _applied(
        scene,
        headers=-1,
        tags={"migration-date": "2026-11-20"},
        storage_class="STANDARD_IA",
    )
    copy = scene.objects()[by_type("d0/a.txt")]
    assert copy.tags == {"owner": "ann", "migration-date": "2026-11-20"}
    assert (copy.content_type, copy.metadata) == ("text/plain", {"m": "1"})
    head = scene.s3.head_object(Bucket=scene.bucket, Key=by_type("d0/a.txt"))
    assert head["StorageClass"] == "STANDARD_IA"
    assert scene.objects()["d0/a.txt"] == before["d0/a.txt"]


def test_more_than_ten_tags_are_refused(moto_scene: Scene) -> None:
    scene = moto_scene
    scene.put("d0/a.txt", b"a", Tagging="&".join(f"t{n}=1" for n in range(10)))
    plan_copies(scene, tags={"migration-date": "2026-11-20"})
    assert scene.apply().exit_code == 3
    assert [p.reason for p in scene.problems()] == ["too-many-tags"]
    assert scene.keys() == ["d0/a.txt"]


def test_the_gate_tells_of_copies_that_were_changed_or_removed_since(scene: Scene) -> None:
    """B37: a fresh listing of both sides, not the memory of what was done."""
    scene.fill(COUNT)
    plan_copies(scene)
    flush = copying.Copier._flush

    def meddling(self: Any) -> None:
        flush(self)
        if not self.made and by_type("d0/object-0000.txt") in scene.objects():
            scene.put(by_type("d0/object-0000.txt"), b"changed")
            scene.delete(by_type("d1/object-0001.txt"))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(copying.Copier, "_flush", meddling)
        finished = scene.apply()
    assert (finished.outcome, finished.exit_code) == ("held", 4)
    figures = scene.gate().figures
    assert (figures["changed"], figures["gone"]) == (1, 1)


def test_a_copy_that_was_changed_since_the_run_is_kept(scene: Scene) -> None:
    """Invariant 5: rollback does not touch what is no longer ours."""
    scene.fill(COUNT)
    _applied(scene)
    mine = by_type("d0/object-0000.txt")
    scene.put(mine, b"edited by me")
    finished = scene.rollback()
    assert finished is not None
    assert finished.exit_code == 7
    assert {p.key: p.reason for p in scene.problems()} == {"d0/object-0000.txt": "not-ours"}
    assert scene.objects()[mine].body == b"edited by me"


def test_a_copy_whose_original_is_gone_or_changed_is_kept(scene: Scene) -> None:
    """Invariant 5: rollback never removes a last copy."""
    scene.fill(COUNT)
    _applied(scene)
    scene.delete("d0/object-0000.txt")
    scene.put("d1/object-0001.txt", b"Content 1")
    finished = scene.rollback()
    assert finished is not None
    assert finished.exit_code == 7
    assert {p.key: p.reason for p in scene.problems()} == {
        "d0/object-0000.txt": "last-copy",
        "d1/object-0001.txt": "original-changed",
    }
    assert scene.objects()[by_type("d0/object-0000.txt")].body == b"content 0"
    assert scene.objects()[by_type("d1/object-0001.txt")].body == b"content 1"


def test_an_original_that_was_only_written_again_with_the_same_content_counts(
    scene: Scene,
) -> None:
    scene.fill(COUNT)
    before = _applied(scene)
    scene.put("d0/object-0000.txt", b"content 0")
    finished = scene.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert scene.keys() == sorted(before)


def test_the_intent_is_in_the_journal_before_a_copy_is_sent(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 4."""
    scene.fill(COUNT)
    plan_copies(scene)
    copy = Bucket.copy
    covered: list[bool] = []

    async def watching(self: Bucket, *values: Any, **named: Any) -> Any:
        covered.append(any(isinstance(record, Intent) for record in scene.journal()))
        return await copy(self, *values, **named)

    monkeypatch.setattr(Bucket, "copy", watching)
    scene.apply()
    assert covered == [True] * COUNT


def test_copies_go_to_another_bucket_as_well(moto_scene: Scene) -> None:
    scene = moto_scene
    scene.fill(COUNT)
    scene.s3.create_bucket(Bucket="other")
    plan_copies(scene, target="other")
    assert scene.apply().exit_code == 0, scene.problems()
    listed = scene.s3.list_objects_v2(Bucket="other")["Contents"]
    assert len(listed) == COUNT == len(scene.keys())
    scene.rollback()
    assert scene.s3.list_objects_v2(Bucket="other")["KeyCount"] == 0
    assert len(scene.keys()) == COUNT
