"""Answers that are lost, disks that fail, endpoints that lie: nothing is assumed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.errors import DestinationError, EndpointError, IncompleteError, OutcomeUnknownError
from s3plan.localfs.syncing import SyncPoint
from s3plan.localfs.tree import Tree
from s3plan.model.events import Warned
from s3plan.store import Bucket, DeleteResult, PutResult
from tests.engine.scene import COPY_ONLY, OBJECTS_ONLY, WHOLE, Scene

COUNT = 6


@pytest.fixture
def filled(scene: Scene) -> Scene:
    scene.fill(COUNT)
    return scene


@contextmanager
def _patched(target: Any, name: str, value: Any) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, name, value)
        yield


# -- lost answers -------------------------------------------------------------------------------


def test_a_deletion_whose_answer_was_lost_is_settled_by_looking(filled: Scene) -> None:
    evidence = filled.apply_to_gate()
    delete_many = Bucket.delete_many

    async def lost(self: Bucket, targets: Any) -> Any:
        await delete_many(self, targets)
        raise OutcomeUnknownError("the answer was lost")

    with _patched(Bucket, "delete_many", lost):
        finished = filled.apply(delete=evidence)
    assert finished.exit_code == 0
    assert not filled.bucket_exists()


def test_a_deletion_that_never_arrived_is_told_and_sent_again(filled: Scene) -> None:
    evidence = filled.apply_to_gate()

    async def lost(self: Bucket, targets: Any) -> Any:
        raise OutcomeUnknownError("the answer was lost")

    with _patched(Bucket, "delete_many", lost):
        finished = filled.apply(delete=evidence)
    assert (finished.exit_code, finished.failed) == (3, COUNT)
    assert len(filled.keys()) == COUNT
    assert filled.apply(delete=evidence).exit_code == 0
    assert not filled.bucket_exists()


def test_objects_that_are_said_to_be_deleted_are_looked_for(filled: Scene) -> None:
    evidence = filled.apply_to_gate(OBJECTS_ONLY)
    with _patched(Bucket, "delete_many", _lie):
        finished = filled.apply(delete=evidence)
    assert (finished.exit_code, finished.failed) == (3, COUNT)
    assert {problem.reason for problem in filled.problems()} == {"still-there"}
    assert len(filled.keys()) == COUNT
    assert filled.apply(delete=evidence).exit_code == 0, "the same command deletes them"
    assert filled.keys() == []


async def _lie(self: Bucket, targets: Any) -> tuple[DeleteResult, ...]:
    return tuple(DeleteResult(target.key, None) for target in targets)


def test_an_upload_whose_answer_was_lost_is_settled_by_looking(filled: Scene) -> None:
    before = filled.objects()
    evidence = filled.apply_to_gate()
    filled.apply(delete=evidence)
    put = Bucket.put

    async def lost(self: Bucket, key: str, body: Any, **options: Any) -> PutResult:
        await put(self, key, body, **options)
        raise OutcomeUnknownError("the answer was lost")

    with _patched(Bucket, "put", lost):
        finished = filled.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert filled.objects() == before


@pytest.mark.long
def test_an_upload_that_arrived_damaged_does_not_cost_the_copy(filled: Scene) -> None:
    evidence = filled.apply_to_gate()
    filled.apply(delete=evidence)

    async def damaged(self: Bucket, key: str, body: Any, **options: Any) -> PutResult:
        return PutResult(etag=filled.put(key, b"damaged"), version_id=None, checksums=())

    with _patched(Bucket, "put", damaged):
        finished = filled.rollback()
    assert finished is not None
    assert finished.exit_code == 7
    assert len(filled.files()) == COUNT


def test_a_download_whose_content_is_damaged_on_the_way_is_fetched_again(filled: Scene) -> None:
    get = Bucket.get
    damaged: list[str] = []

    async def once(self: Bucket, key: str, **options: Any) -> Any:
        head, body = await get(self, key, **options)
        if not damaged:
            damaged.append(key)
            body = body[::-1]
        return head, body

    filled.plan(COPY_ONLY)
    with _patched(Bucket, "get", once):
        assert filled.apply().exit_code == 0
    assert damaged
    assert len(filled.files()) == COUNT
    assert filled.gate().figures["verified"] == COUNT


# -- failing endpoints --------------------------------------------------------------------------


def test_objects_that_fail_are_named_and_tried_again_by_the_same_command(filled: Scene) -> None:
    get = Bucket.get

    async def failing(self: Bucket, key: str, **options: Any) -> Any:
        if key.startswith("d1/"):
            raise EndpointError("no answer", address=key)
        return await get(self, key, **options)

    filled.plan(WHOLE)
    with _patched(Bucket, "get", failing):
        finished = filled.apply()
    assert (finished.exit_code, finished.done, finished.failed) == (3, 4, 2)
    assert set(finished.failed_names) == {"d1/object-0001.txt", "d1/object-0004.txt"}
    assert finished.next_step is not None
    assert finished.next_step.startswith("s3plan apply")
    assert filled.apply().exit_code == 4, "all of it is there now; the gate waits"
    assert filled.gate().figures["verified"] == COUNT
    assert not any(row.adopted for row, _ in filled.catalogue().values())


def test_a_newer_plan_closes_the_unfinished_run_and_uses_what_it_verified(filled: Scene) -> None:
    get = Bucket.get
    fetched: list[str] = []

    async def counting(self: Bucket, key: str, **options: Any) -> Any:
        fetched.append(key)
        return await get(self, key, **options)

    async def refusing(self: Bucket, key: str, **options: Any) -> Any:
        if key.startswith("d1/"):
            raise EndpointError("no answer", address=key)
        return await get(self, key, **options)

    filled.plan(COPY_ONLY)
    with _patched(Bucket, "get", refusing):
        filled.apply()
    old = filled.run()
    made = filled.plan(COPY_ONLY)
    assert made.unfinished == old.id
    with _patched(Bucket, "get", counting):
        assert filled.apply().exit_code == 0
    assert sorted(fetched) == ["d1/object-0001.txt", "d1/object-0004.txt"]
    assert any(isinstance(event, Warned) and old.id in event.message for event in filled.events)
    assert old.state().outcome == "superseded"


# -- failing disks ------------------------------------------------------------------------------


def test_a_full_destination_stops_the_step_and_the_same_command_goes_on(filled: Scene) -> None:
    write_new = Tree.write_new
    written: list[str] = []

    def full(self: Tree, path: str, data: Any, mtime_ns: int) -> Any:
        if len(written) == 2:
            raise DestinationError("the disk is full", address=path)
        written.append(path)
        return write_new(self, path, data, mtime_ns)

    filled.plan(WHOLE)
    with _patched(Tree, "write_new", full):
        finished = filled.apply()
    assert finished.exit_code == 3
    assert "the disk is full" in finished.message
    assert len(filled.keys()) == COUNT
    assert filled.apply().exit_code == 4
    assert filled.gate().figures["verified"] == COUNT


def test_a_disk_that_cannot_make_files_durable_stops_everything(filled: Scene) -> None:
    filled.plan(WHOLE)

    def failing(self: SyncPoint) -> None:
        raise DestinationError("input/output error", address="here")

    with (
        _patched(SyncPoint, "sync", failing),
        pytest.raises(IncompleteError, match="input/output error") as caught,
    ):
        filled.apply(ask=lambda _: True)
    assert caught.value.exit_code == 3
    assert len(filled.keys()) == COUNT
    # What was not durable is read again, and what was lost is fetched again.
    (filled.copies / "d0" / "object-0000.txt").unlink()
    assert filled.apply().exit_code == 4
    assert filled.gate().passes
    assert len(filled.files()) == COUNT


def test_a_link_in_the_place_of_a_directory_leads_nowhere(filled: Scene, tmp_path: Path) -> None:
    filled.plan(COPY_ONLY)
    outside = tmp_path / "outside"
    outside.mkdir()
    filled.copies.mkdir(parents=True)
    (filled.copies / "d1").symlink_to(outside)
    assert filled.apply().exit_code == 3
    assert list(outside.iterdir()) == []


def test_evidence_that_is_lost_in_the_middle_of_a_deletion_stops_it(filled: Scene) -> None:
    evidence = filled.apply_to_gate()

    async def failing(self: Bucket, targets: Any) -> Any:
        raise EndpointError("no answer")

    with _patched(Bucket, "delete_many", failing):
        assert filled.apply(delete=evidence).exit_code == 3
    (path,) = (filled.run().folder / "evidence").iterdir()
    path.unlink()
    with pytest.raises(IncompleteError, match="evidence") as caught:
        filled.apply(delete=evidence)
    assert "s3plan rollback" in str(caught.value.next_step)
    assert len(filled.keys()) == COUNT


# -- nothing and little -------------------------------------------------------------------------


def test_an_empty_bucket_goes_and_comes_back(scene: Scene) -> None:
    evidence = scene.apply_to_gate()
    assert scene.apply(delete=evidence).exit_code == 0
    assert not scene.bucket_exists()
    assert scene.plan().plan is None
    finished = scene.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert scene.bucket_exists()


@pytest.mark.long
def test_copies_of_an_earlier_run_serve_a_deletion_and_stay_after_its_rollback(
    filled: Scene,
) -> None:
    before = filled.objects()
    filled.plan(COPY_ONLY)
    filled.apply()
    evidence = filled.apply_to_gate(WHOLE)
    assert [s.verb for s in api.show(filled.run().plan).steps] == [
        "verify",
        "delete",
        "delete-bucket",
    ]
    assert filled.apply(delete=evidence).exit_code == 0
    finished = filled.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert filled.objects() == before
    assert len(filled.files()) == COUNT, "they are the earlier run's"


def test_a_superset_is_allowed_to_hold_more(filled: Scene) -> None:
    filled.copies.mkdir(parents=True)
    (filled.copies / "stray.txt").write_bytes(b"mine")
    evidence = filled.apply_to_gate(WHOLE + "  verify: {inventory: superset}\n")
    assert filled.apply(delete=evidence).exit_code == 0
    assert filled.files()["stray.txt"] == b"mine"


def test_a_journal_that_was_put_aside_leaves_the_files_and_the_catalogue(filled: Scene) -> None:
    filled.plan(COPY_ONLY)
    filled.apply()
    archived = api.journal_reset()
    assert (archived / "journal.json").exists()
    assert not (filled.directory / "journal.json").is_symlink()
    assert len(filled.files()) == COUNT
    assert filled.plan().plan is None
