"""What a worker may do, and what is believed of what it tells: no Dask, no server."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from s3plan.engine import holding
from s3plan.engine.context import Context
from s3plan.engine.holding import _outlive
from s3plan.engine.runners.dask import parcels
from s3plan.engine.runners.dask.parcels import Told, moved, share
from s3plan.engine.runners.dask.permits import Permit, Running
from s3plan.engine.runners.dask.recording import Recorder
from s3plan.engine.runners.dask.shared import open_shared, read_token, tokens
from s3plan.engine.runners.dask.takeover import Handout
from s3plan.engine.surroundings import Surroundings
from s3plan.errors import DestinationError, LockLostError, RunnerError
from s3plan.localfs.locks import Holder, hold
from s3plan.localfs.tree import Tree
from s3plan.model.connection import Connection, Limits
from s3plan.model.journal import Copied, CopyFacts, Intent, ItemFailed, Receipts, UploadBegan
from s3plan.model.steps import Copy, Item, Step, Totals

_COPYING = Step("copy-1", Copy(source="old"), "new", (), None, "free", "", "", Totals(9))
_ITEMS = [Item("copy-1", n, f"k{n}", f"new/k{n}", 10, "e", "2026") for n in range(5, 8)]


class _Clock:
    """Seconds that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def _permit() -> tuple[Permit, _Clock]:
    clock = _Clock()
    return Permit(clock=clock), clock


# -- permission ------------------------------------------------------------------------------------


def test_nothing_may_be_written_before_an_answer_came_back() -> None:
    permit, clock = _permit()
    mark = permit.asked(None, 10, stopping=False)
    with pytest.raises(LockLostError):
        permit.check()
    permit.asked(mark, 10, stopping=False)
    permit.check()
    assert (permit.seconds_left(), permit.wait(0)) == (10, True)
    clock.now += 10
    with pytest.raises(LockLostError):
        permit.check()


def test_a_question_that_was_long_under_way_gives_no_more_than_its_mark() -> None:
    """Who asked may be dead for as long as the question was under way."""
    permit, clock = _permit()
    mark = permit.asked(None, 10, stopping=False)
    clock.now += 9
    permit.asked(mark, 10, stopping=False)
    assert permit.seconds_left() == 1
    clock.now += 5
    permit.asked(mark, 10, stopping=False)  # the same mark again: nobody says that he is alive
    assert permit.seconds_left() == -4
    assert permit.lapses > 0


def test_leave_that_ended_and_came_back_is_told_as_a_lapse() -> None:
    permit, clock = _permit()
    permit.asked(permit.asked(None, 10, stopping=False), 10, stopping=False)
    clock.now += 11
    again = permit.asked(None, 10, stopping=False)
    permit.asked(again, 10, stopping=False)
    permit.check()
    assert permit.lapses > 0


def test_what_runs_is_stopped_once() -> None:
    permit, _ = _permit()
    stopped: list[bool] = []
    permit.running["one"] = Running(stop=lambda: stopped.append(True))
    permit.asked(None, 10, stopping=True)
    permit.asked(None, 10, stopping=True)
    assert (stopped, permit.stopping) == ([True], True)


def test_ceilings_are_split_among_workers() -> None:
    """Issue 11, 2: limits are split between workers."""
    limits = Limits(connections=32, requests=100, bandwidth=1_000, objects=3)
    split = share(Connection(limits=limits), 4).limits
    assert (split.connections, split.requests, split.bandwidth, split.objects) == (8, 25, 250, 1)
    assert share(Connection(), 100).limits.connections == 1


# -- a journal elsewhere ---------------------------------------------------------------------------


def _receipts(*items: int, step: str = "copy-1") -> Receipts:
    return Receipts(step=step, outcome="verified", items=items, bytes=10 * len(items))


def test_a_recorder_keeps_all_but_intents_until_they_were_taken_over() -> None:
    async def record() -> None:
        recorder = Recorder(files=False)
        await recorder.commit(Intent(step="copy-1", first=0, last=2))
        recorder.note(_receipts(0))
        waiting = asyncio.create_task(recorder.commit(UploadBegan(step="copy-1", n=1, upload="id")))
        await asyncio.sleep(0)
        told = recorder.after(0)
        assert [type(entry.record) for entry in told] == [Receipts, UploadBegan]
        assert not waiting.done()  # its parts may be sent once the journal has it
        threading.Thread(target=recorder.after, args=(2,)).start()
        await asyncio.wait_for(waiting, 5)
        recorder.note(_receipts(2))
        assert recorder.rest() == (2, (Told(_receipts(2)),))

    asyncio.run(record())


def test_what_is_told_of_files_waits_for_the_disk() -> None:
    async def record() -> None:
        recorder = Recorder(files=True)
        recorder.note(_receipts(0))
        recorder.note(_receipts(1))
        assert recorder.after(0) == ()
        recorder.release(1)
        assert recorder.after(0) == (Told(_receipts(0)),)

    asyncio.run(record())


# -- taking over -----------------------------------------------------------------------------------


class _Listening:
    """As much of a context as what is taken over needs."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.item_log = None
        self.flushes = 0
        self.handed_on: dict[str, dict[int, CopyFacts]] = {"stage-1": {}}
        self.journal = SimpleNamespace(seq=1, note=self.told.append, flush=self._flush)
        self.state = SimpleNamespace(apply=lambda seq, record: None)

    async def _flush(self) -> None:
        self.flushes += 1

    def receive(self, step: Step, outcome: str, items: Any, size: int, keys: Any) -> None:
        self.told.append((outcome, items, size))

    def problem(self, step: Step, *about: Any) -> None:
        self.told.append(about)


def _taken(
    *told: Told, first: int = 0, items: list[Item] = _ITEMS, tells: tuple[str, ...] = ()
) -> tuple[_Listening, Handout]:
    heard = _Listening()

    async def take() -> Handout:
        handout = Handout(cast("Context", heard), _COPYING, items, tells)
        await handout.take(first, told)
        return handout

    return heard, asyncio.run(take())


def test_items_have_their_own_numbers_again_in_the_journal() -> None:
    facts = CopyFacts(2, "etag", "2026")
    failed = ItemFailed(
        step="copy-1", n=1, key="k6", path="new/k6", outcome="failed", reason="r", message="m"
    )
    heard, handout = _taken(
        Told(Copied(step="copy-1", copies=(facts,))),
        Told(_receipts(2, 0)),
        Told(failed, (), "do this"),
        Told(UploadBegan(step="copy-1", n=0, upload="id")),
    )
    assert handout.error is None
    assert heard.told == [
        moved(Copied(step="copy-1", copies=(facts,)), range(5, 8)),
        ("verified", (7, 5), 20),
        (6, "k6", "new/k6", "failed", "r", "m", "do this"),
        UploadBegan(step="copy-1", n=5, upload="id"),
    ]
    assert (handout.taken_over, heard.flushes) == (4, 1)


def test_copies_of_another_step_are_believed_where_the_verb_tells_of_them() -> None:
    """What a verification finds of kept forms is at hand for the swap that goes by it."""
    facts = CopyFacts(1, "etag", "2026")
    about = Told(Copied(step="stage-1", copies=(facts,)))
    heard, handout = _taken(about, items=_ITEMS[1:], tells=("stage-1",))
    assert handout.error is None
    assert heard.handed_on == {"stage-1": {7: CopyFacts(7, "etag", "2026")}}
    heard, handout = _taken(about)
    assert isinstance(handout.error, RunnerError)
    assert heard.told == []


def test_what_was_told_twice_is_in_the_journal_once() -> None:
    heard = _Listening()

    async def take() -> int:
        handout = Handout(cast("Context", heard), _COPYING, _ITEMS)
        told = [Told(_receipts(n)) for n in range(3)]
        await handout.take(0, told[:2])
        await handout.take(0, told)
        await handout.take(1, told[1:])
        return handout.taken_over

    assert asyncio.run(take()) == 3
    assert [items for _, items, _ in heard.told] == [(5,), (6,), (7,)]


@pytest.mark.parametrize(
    ("told", "first"),
    [
        (Told(_receipts(3)), 0),  # beyond the partition
        (Told(_receipts(-1)), 0),
        (Told(_receipts(0, step="delete-2")), 0),
        (Told(UploadBegan(step="copy-1", n=9, upload="id")), 0),
        (Told(None, ()), 0),  # rows of a catalogue, of a step that writes no file
        (Told(_receipts(0)), 1),  # something before it is missing
    ],
)
def test_a_worker_is_believed_of_nothing_that_it_was_not_given(told: Told, first: int) -> None:
    """Issue 11, 2: only what belongs to the partition is appended to the journal."""
    heard, handout = _taken(told, first=first)
    assert isinstance(handout.error, RunnerError)
    assert (heard.told, handout.failed.is_set()) == ([], True)


def test_parcels_say_the_same_after_the_way() -> None:
    outcome = parcels.Outcome(3, (Told(_receipts(0)),), ("careful",), lapsed=True, taken=(1, 2))
    assert parcels.unpack_outcome(parcels.pack(outcome)) == outcome
    assert parcels.unpack_told(parcels.pack(outcome.told)) == outcome.told


# -- shared destinations ---------------------------------------------------------------------------


def test_a_destination_is_shared_only_where_this_sessions_token_is(tmp_path: Path) -> None:
    """Issue 11, 2: proven by a token file."""
    here, other = tmp_path / "here", tmp_path / "other"
    here.mkdir()
    other.mkdir()
    with tokens([str(here)], "session") as left:
        token = left[str(here)]
        assert read_token(here, "session") == token
        assert [read_token(other, "session"), read_token(here, "last")] == [None, None]
        assert read_token(tmp_path / "nowhere", "session") is None

        async def write(path: Path) -> None:
            shared = open_shared(str(path), "session", token, Recorder(files=True))
            shared.syncer.close()
            shared.tree.close()

        asyncio.run(write(here))
        with pytest.raises(DestinationError, match="another directory"):
            asyncio.run(write(other))
    with Tree.open(here, create=False) as tree:
        assert [file.path for file in tree.scan("")] == []
    assert not list(here.glob(".s3plan/shared-*"))


# -- after a kill ----------------------------------------------------------------------------------


def _holder(outlives: float) -> Holder:
    return Holder("host", 1, "now", "journal.json", outlives=outlives)


def _waited(path: Path, outlives: float, slept: Callable[[float], Any]) -> float:
    """What the next session waits, whose own workers go on for so long."""
    told: list[Any] = []
    with hold(path, _holder(outlives)) as lock, pytest.MonkeyPatch.context() as patched:
        patched.setattr(asyncio, "sleep", slept)
        around = cast("Surroundings", SimpleNamespace(observer=told.append))
        asyncio.run(_outlive([lock], around))
    return len(told)


def test_after_a_kill_the_next_run_waits_for_the_workers_of_the_last(tmp_path: Path) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    path = tmp_path / "lock"
    assert _waited(path, 60, sleep) == 0  # nobody was here before
    assert _waited(path, 0, sleep) == 0  # the last one let go
    path.write_text('{"host":"h","pid":1,"since":"s","journal":"j","outlives":60}\n')
    assert _waited(path, 0, sleep) == 1
    assert slept == [60]
    assert _waited(path, 0, sleep) == 0


def test_who_is_killed_while_it_waits_hands_the_waiting_on(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text('{"host":"h","pid":1,"since":"s","journal":"j","outlives":60}\n')
    with hold(path, _holder(0)):
        assert '"outlives":60' in path.read_text()


def test_what_a_killed_process_sent_last_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 1: a deletion that the server has and has not done yet must not come after a look
    that found the object there, for a rollback would not put that one back.
    """
    monkeypatch.setattr(holding, "LINGER", 5.0)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("plan.json", "journal.json", "rollback.json"):
        (folder / name).touch()
        os.utime(folder / name, (0, 0))
    (tmp_path / "journal.json").symlink_to(folder / "journal.json")
    killed = msgspec.json.encode(Holder("h", 1, "s", str(tmp_path / "journal.json")))
    lock = tmp_path / "lock"

    lock.write_bytes(killed)
    assert _waited(lock, 0, sleep) == 0, "it was killed long ago"
    (folder / "rollback.json").touch()
    lock.write_bytes(killed)
    assert _waited(lock, 0, sleep) == 1
    lock.write_bytes(msgspec.json.encode(Holder("elsewhere", 1, "s", "/no/such/journal.json")))
    assert _waited(lock, 0, sleep) == 1
    assert 4 < slept[0] <= slept[1] == 5
