"""The journal's writer and reader: what is durable when, and what is refused."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import pytest

from s3plan.engine.journal import JournalWriter, read_journal
from s3plan.engine.state import ItemState, fold
from s3plan.errors import IncompleteError, JournalError
from s3plan.localfs.appendlog import AppendLog
from s3plan.model.journal import Intent, Receipts, StepStarted
from s3plan.store import Bucket
from tests.engine.scene import COPY_ONLY, OBJECTS_ONLY, Scene
from tests.engine.test_state import STARTED


class CountingLog(AppendLog):
    """Counts syncs; the first append waits until the test lets it go."""

    def hold_back(self) -> None:
        self.syncs = 0
        self.gate = threading.Event()

    def append(self, bodies: Sequence[bytes]) -> int:
        self.gate.wait(10)
        return super().append(bodies)

    def sync(self) -> None:
        self.syncs += 1
        super().sync()


def test_debug_tells_where_a_journals_time_went(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The share of a journal in a run is measured by what it notes itself: there is no off switch.
    Two that wait at the same time wait once.
    """
    log = CountingLog.create(tmp_path / "journal.json")
    assert isinstance(log, CountingLog)
    log.hold_back()

    async def main(journal: JournalWriter) -> None:
        waiting = [asyncio.create_task(journal.commit(Intent("get", n, n))) for n in range(2)]
        await asyncio.sleep(0.1)
        log.gate.set()
        await asyncio.gather(*waiting)

    with caplog.at_level("DEBUG", "s3plan.engine.journal"), JournalWriter(log) as journal:
        asyncio.run(main(journal))
    assert 0.1 <= journal.times.waiting <= perf_counter() - journal.times.began
    assert journal.times.writing + journal.times.syncing >= 0.09
    (line,) = caplog.messages
    assert line.startswith("journal.json: records=2 open=")
    assert f"waiting={journal.times.waiting:.3f}s" in line


def test_many_waiters_share_one_sync(tmp_path: Path) -> None:
    log = CountingLog.create(tmp_path / "journal.json")
    assert isinstance(log, CountingLog)
    log.hold_back()

    async def main(journal: JournalWriter) -> int:
        first = asyncio.create_task(journal.commit(STARTED))
        await asyncio.sleep(0.05)  # the thread holds the first one by now
        rest = [asyncio.create_task(journal.commit(Intent("get", n, n))) for n in range(50)]
        await asyncio.sleep(0.05)
        assert not first.done()
        log.gate.set()
        await asyncio.gather(first, *rest)
        return log.syncs

    with JournalWriter(log) as journal:
        syncs = asyncio.run(main(journal))
    assert syncs == 2, "one for the first record, one for the fifty that waited meanwhile"
    assert sum(1 for _ in read_journal(tmp_path / "journal.json")) == 51


def test_a_commit_returns_after_the_sync_and_a_note_does_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    sync = AppendLog.sync

    def noted(self: AppendLog) -> None:
        sync(self)
        order.append("synced")

    monkeypatch.setattr(AppendLog, "sync", noted)

    async def main(journal: JournalWriter) -> None:
        journal.note(STARTED)
        journal.note(Receipts("get", "done", (0,)))
        order.append("noted")
        await journal.commit(Intent("get", 1, 1))
        order.append("committed")

    with JournalWriter(AppendLog.create(tmp_path / "journal.json")) as journal:
        asyncio.run(main(journal))
    assert order[:3] == ["noted", "synced", "committed"]


def test_a_lost_note_only_makes_items_unknown(tmp_path: Path) -> None:
    path = tmp_path / "journal.json"

    async def main(journal: JournalWriter) -> None:
        await journal.commit(STARTED)
        await journal.commit(Intent("delete", 0, 1))
        journal.note(Receipts("delete", "done", (0,)))
        journal.note(Receipts("delete", "done", (1,)))

    with JournalWriter(AppendLog.create(path)) as journal:
        asyncio.run(main(journal))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    step = fold(read_journal(path)).step("delete")
    assert (step.of(0), step.of(1)) == (ItemState.DONE, ItemState.UNKNOWN)


def _written(path: Path) -> list[bytes]:
    async def main(journal: JournalWriter) -> None:
        await journal.commit(STARTED)
        for step in ("one", "two", "three"):
            await journal.commit(StepStarted(step, "2026-11-20T00:00:00.000Z"))

    with JournalWriter(AppendLog.create(path)) as journal:
        asyncio.run(main(journal))
    return path.read_bytes().splitlines(keepends=True)


def test_a_torn_last_line_is_dropped_wherever_it_was_torn(tmp_path: Path) -> None:
    path = tmp_path / "journal.json"
    lines = _written(path)
    for length in range(len(lines[3])):
        path.write_bytes(b"".join(lines[:3]) + lines[3][:length])
        assert [seq for seq, _ in read_journal(path)] == [1, 2, 3]


def test_a_flipped_bit_is_refused_naming_the_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.json"
    lines = _written(path)
    whole = b"".join(lines)
    at = len(lines[0]) + lines[1].index(b"one")
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    with pytest.raises(JournalError, match="line 2 of the journal is damaged") as caught:
        list(read_journal(path))
    assert caught.value.address == f"{path}:2"


def test_a_missing_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.json"
    lines = _written(path)
    path.write_bytes(b"".join([lines[0], *lines[2:]]))
    with pytest.raises(JournalError, match="line 2"):
        list(read_journal(path))


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.json"
    log = AppendLog.create(path)
    log.append([b'{"type":"step","step":"s","time":"t"}'])
    log.close()
    with pytest.raises(JournalError, match=r"not a journal that this version reads"):
        list(read_journal(path))


def test_a_writer_that_failed_refuses_everything_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _full_disk(monkeypatch, after=1)

    async def main(journal: JournalWriter) -> None:
        await journal.commit(STARTED)
        with pytest.raises(JournalError, match="No space left"):
            await journal.commit(Intent("get", 0, 0))
        with pytest.raises(JournalError, match="No space left"):
            journal.note(Intent("get", 1, 1))
        with pytest.raises(JournalError, match="No space left"):
            await journal.commit(Intent("get", 2, 2))

    with JournalWriter(AppendLog.create(tmp_path / "journal.json")) as journal:
        asyncio.run(main(journal))


def _full_disk(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Journals (not catalogues) take so many batches, then the disk is full."""
    append = AppendLog.append
    left = [after]

    def refusing(self: AppendLog, bodies: Sequence[bytes]) -> int:
        if self.path.name in ("journal.json", "rollback.json"):
            if left[0] == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            left[0] -= 1
        return append(self, bodies)

    monkeypatch.setattr(AppendLog, "append", refusing)


@pytest.mark.long
@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_disk_that_fills_up_at_the_delete_step_stops_every_request(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """0: as the run is resumed, 1: approval, 2: the step's start, 3: the intent."""
    scene.fill(3)
    evidence = scene.apply_to_gate(OBJECTS_ONLY)
    sent = []

    async def delete_many(self: Bucket, targets: object) -> object:
        sent.append(targets)
        raise AssertionError("a deletion without a durable intent")

    monkeypatch.setattr(Bucket, "delete_many", delete_many)
    with monkeypatch.context() as full:
        _full_disk(full, after)
        with pytest.raises((IncompleteError, JournalError)) as caught:
            scene.apply(delete=evidence)
    assert "No space left" in str(caught.value)
    assert (sent, len(scene.keys())) == ([], 3)
    monkeypatch.undo()
    monkeypatch.chdir(scene.directory)
    for name, value in scene.environ.items():
        monkeypatch.setenv(name, value)
    assert scene.apply(delete=evidence).exit_code == 0, "with room again the same command goes on"
    assert scene.keys() == []


def test_a_disk_that_fills_up_during_the_download_is_told_and_resumed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.fill(20)
    scene.plan(COPY_ONLY)
    with monkeypatch.context() as full:
        _full_disk(full, after=3)
        with pytest.raises(IncompleteError, match="No space left") as caught:
            scene.apply()
    assert caught.value.exit_code == 3
    assert "same command" in str(caught.value.next_step)
    assert scene.apply().exit_code == 0
    assert len(scene.files()) == 20
