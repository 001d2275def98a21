"""Taking a run back: what is ours goes, what is not ours or a last copy stays."""

from __future__ import annotations

import gzip
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.engine.beforehand import unfinished_runs
from s3plan.errors import EndpointError, StaleError
from s3plan.model.events import RunFinished
from s3plan.store import Bucket
from tests.engine.scene import COPY_ONLY, OBJECTS_ONLY, WHOLE, Scene

COUNT = 6


def _applied(scene: Scene, spec: str) -> None:
    """A run that came to its end."""
    scene.plan(spec)
    finished = scene.apply()
    if finished.outcome == "held":
        finished = scene.apply(delete=scene.gate().evidence)
    assert finished.exit_code == 0, finished


def _kept(scene: Scene, finished: RunFinished | None) -> dict[str, str]:
    """Why each item was kept, of a rollback that ended with exit 7."""
    assert finished is not None
    assert (finished.outcome, finished.exit_code) == ("kept", 7), finished
    return {problem.key: problem.reason for problem in scene.problems()}


@pytest.fixture
def filled(scene: Scene) -> Scene:
    scene.fill(COUNT)
    return scene


def test_a_run_that_only_copied_leaves_nothing_behind(filled: Scene) -> None:
    before = filled.objects()
    _applied(filled, COPY_ONLY)
    finished = filled.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert (filled.files(), filled.catalogue()) == ({}, {})
    assert filled.objects() == before
    assert not filled.copies.exists(), "directories that it made go as well"


def test_a_file_that_was_changed_since_the_run_is_kept(filled: Scene) -> None:
    _applied(filled, COPY_ONLY)
    mine = filled.copies / "d0" / "object-0000.txt"
    mine.write_bytes(b"edited by me")
    assert _kept(filled, filled.rollback()) == {"d0/object-0000.txt": "not-ours"}
    assert filled.files() == {"d0/object-0000.txt": b"edited by me"}


def test_a_file_that_was_only_touched_is_still_ours(filled: Scene) -> None:
    _applied(filled, COPY_ONLY)
    (filled.copies / "d0" / "object-0000.txt").touch()
    finished = filled.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert filled.files() == {}


def test_a_file_whose_object_changed_is_kept(filled: Scene) -> None:
    _applied(filled, COPY_ONLY)
    filled.put("d0/object-0000.txt", b"Content 0")
    assert _kept(filled, filled.rollback()) == {"d0/object-0000.txt": "original-changed"}
    assert filled.files() == {"d0/object-0000.txt": b"content 0"}


def test_copies_of_a_bucket_that_was_emptied_by_hand_are_last_copies(filled: Scene) -> None:
    _applied(filled, COPY_ONLY)
    before = filled.files()
    filled.delete(*filled.keys())
    assert set(_kept(filled, filled.rollback()).values()) == {"last-copy"}
    assert filled.files() == before


def test_copies_of_a_bucket_that_was_removed_by_hand_are_last_copies(filled: Scene) -> None:
    _applied(filled, COPY_ONLY)
    before = filled.files()
    filled.delete(*filled.keys())
    filled.s3.delete_bucket(Bucket=filled.bucket)
    assert set(_kept(filled, filled.rollback()).values()) == {"last-copy"}
    assert filled.files() == before
    assert not filled.bucket_exists(), "the run did not delete it, so it is not made again"


def test_what_a_stranger_wrote_meanwhile_is_left_alone_and_so_is_its_copy(filled: Scene) -> None:
    before = filled.objects()
    _applied(filled, OBJECTS_ONLY)
    filled.put("d0/object-0000.txt", b"a stranger's")
    finished = filled.rollback()
    assert _kept(filled, finished) == {"d0/object-0000.txt": "original-changed"}
    after = filled.objects()
    assert after.pop("d0/object-0000.txt").body == b"a stranger's"
    before.pop("d0/object-0000.txt")
    assert after == before
    assert filled.files() == {"d0/object-0000.txt": b"content 0"}


def test_what_a_stranger_writes_during_the_rollback_is_left_alone(
    filled: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    _applied(filled, OBJECTS_ONLY)
    put = Bucket.put

    async def late(self: Bucket, key: str, body: Any, **options: Any) -> Any:
        if key == "d0/object-0000.txt":
            filled.put(key, b"a stranger's")
        return await put(self, key, body, **options)

    monkeypatch.setattr(Bucket, "put", late)
    reasons = _kept(filled, filled.rollback())
    assert set(reasons) == {"d0/object-0000.txt"}
    assert filled.objects()["d0/object-0000.txt"].body == b"a stranger's"
    assert filled.files() == {"d0/object-0000.txt": b"content 0"}


@pytest.mark.long
def test_a_bucket_that_somebody_made_again_is_filled_and_theirs_is_left(filled: Scene) -> None:
    _applied(filled, WHOLE)
    filled.s3.create_bucket(Bucket=filled.bucket)
    filled.put("theirs.txt", b"theirs")
    finished = filled.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert len(filled.keys()) == COUNT + 1
    assert filled.objects()["theirs.txt"].body == b"theirs"


def test_files_that_were_there_before_the_run_are_adopted_and_never_removed(
    filled: Scene,
) -> None:
    (filled.copies / "d0").mkdir(parents=True)
    mine = filled.copies / "d0" / "object-0000.txt"
    mine.write_bytes(b"content 0")
    _applied(filled, COPY_ONLY)
    assert filled.catalogue()["d0/object-0000.txt"][0].adopted
    finished = filled.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert filled.files() == {"d0/object-0000.txt": b"content 0"}


@pytest.mark.long
def test_adopted_files_serve_a_deletion_and_its_rollback(filled: Scene) -> None:
    before = filled.objects()
    (filled.copies / "d0").mkdir(parents=True)
    (filled.copies / "d0" / "object-0000.txt").write_bytes(b"content 0")
    _applied(filled, WHOLE)
    finished = filled.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert filled.objects() == before
    assert filled.files() == {"d0/object-0000.txt": b"content 0"}


@pytest.mark.long
def test_a_held_run_gives_its_files_back_and_touches_no_object(filled: Scene) -> None:
    before = filled.objects()
    evidence = filled.apply_to_gate()
    finished = filled.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert [s.verb for s in api.show(filled.run().rollback_plan).steps] == ["remove-file"]
    assert filled.files() == {}
    assert filled.objects() == before
    # The same plan may be applied again: this run of it is not consumed but taken back.
    again = filled.apply()
    assert (again.exit_code, filled.gate().evidence) == (4, evidence)


def test_a_copy_that_rotted_on_disk_is_not_put_back(filled: Scene) -> None:
    _applied(filled, OBJECTS_ONLY)
    (filled.copies / "d0" / "object-0000.txt").write_bytes(b"c0ntent 0")
    finished = filled.rollback()
    assert finished is not None
    assert finished.exit_code == 3
    assert {p.key: p.reason for p in filled.problems()} == {"d0/object-0000.txt": "copy-differs"}
    assert len(filled.keys()) == COUNT - 1
    assert (filled.copies / "d0" / "object-0000.txt").read_bytes() == b"c0ntent 0"


@pytest.mark.long
def test_a_rollback_goes_on_where_it_stopped(
    filled: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = filled.objects()
    _applied(filled, WHOLE)
    put = Bucket.put
    sent: list[str] = []

    async def failing(self: Bucket, key: str, body: Any, **options: Any) -> Any:
        if len(sent) == 3:
            raise EndpointError("no answer", address=key)
        sent.append(key)
        return await put(self, key, body, **options)

    with monkeypatch.context() as broken:
        broken.setattr(Bucket, "put", failing)
        finished = filled.rollback()
    assert finished is not None
    uploaded = finished.verbs["upload"]
    assert (finished.exit_code, uploaded.items) == (3, 3)
    assert len(filled.files()) == COUNT, "no copy goes before every object is back"

    finished = filled.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert filled.objects() == before
    assert filled.files() == {}
    assert filled.rollback() is None, "a second one has nothing to do"


def test_a_finished_rollback_is_noted_even_if_the_process_died_before_saying_so(
    filled: Scene,
) -> None:
    evidence = filled.apply_to_gate()
    assert filled.rollback() is not None
    journal = filled.run().journal
    lines = journal.read_bytes().splitlines(keepends=True)
    assert b'"rolled-back"' in lines[-1]
    journal.write_bytes(b"".join(lines[:-1]))
    assert filled.rollback() is None
    assert filled.run().state().rolled_back is not None
    again = filled.apply()
    assert (again.exit_code, filled.gate().evidence) == (4, evidence)


def test_a_run_that_is_being_rolled_back_cannot_be_applied_again(
    filled: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.apply_to_gate()

    pages = Bucket.pages
    calls: list[str] = []

    def failing_later(self: Bucket, **options: Any) -> Any:
        calls.append(self.name)
        if len(calls) > 1:  # planning the rollback looks once, removing files looks again
            raise EndpointError("no answer", address=self.name)
        return pages(self, **options)

    with monkeypatch.context() as broken:
        broken.setattr(Bucket, "pages", failing_later)
        finished = filled.rollback()
    assert finished is not None
    assert finished.exit_code == 3
    with pytest.raises(StaleError, match="rollback of this plan's run has begun"):
        filled.apply()
    assert list(unfinished_runs(filled.directory)) == []
    finished = filled.rollback()
    assert finished is not None
    assert finished.exit_code == 0


def test_objects_come_back_with_everything_they_had(moto_scene: Scene) -> None:
    """On moto, which keeps what AWS keeps."""
    expires = datetime(2030, 1, 1, tzinfo=UTC)
    moto_scene.put(
        "everything.gz",
        gzip.compress(b"stored compressed, and not to be unpacked on the way"),
        CacheControl="no-cache",
        ContentDisposition='attachment; filename="x.txt"',
        ContentEncoding="gzip",
        ContentLanguage="fr",
        ContentType="text/plain; charset=latin-1",
        Expires=expires,
        Metadata={"mixed-case": "Value With Spaces", "empty": ""},
        StorageClass="STANDARD_IA",
        Tagging="a%20b=c%2Bd&empty=",
        WebsiteRedirectLocation="/elsewhere",
    )
    moto_scene.put("plain.bin", b"plain", ContentType="binary/octet-stream")

    def heads() -> list[dict[str, Any]]:
        keys = moto_scene.keys()
        found = [moto_scene.s3.head_object(Bucket=moto_scene.bucket, Key=key) for key in keys]
        for head in found:
            del head["ResponseMetadata"], head["LastModified"]
        return found

    before, tags_before = heads(), moto_scene.objects()
    assert before[0]["StorageClass"] == "STANDARD_IA"
    _applied(moto_scene, WHOLE)
    finished = moto_scene.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert heads() == before
    assert moto_scene.objects() == tags_before


def test_a_file_that_was_there_before_a_killed_run_is_adopted_whatever_its_time(
    scene: Scene,
) -> None:
    """Rclone and aws s3 sync give files the object's time, as s3plan does."""
    scene.put("a.txt", b"content")
    copy = scene.copies / "a.txt"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"content")
    modified = scene.s3.head_object(Bucket=scene.bucket, Key="a.txt")["LastModified"]
    os.utime(copy, (modified.timestamp(), modified.timestamp()))
    scene.plan(COPY_ONLY)
    scene.apply()
    # As a kill right after the intent leaves it.
    _cut_after(scene.run().journal, b'"intent"')
    for catalogue in (scene.here / ".s3plan" / "catalogue").iterdir():
        catalogue.unlink()

    assert scene.apply().exit_code == 0
    scene.rollback()
    assert scene.files() == {"a.txt": b"content"}


def _cut_after(journal: Path, mark: bytes) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if mark in line)
    journal.write_bytes(b"".join(lines[: last + 1]))
