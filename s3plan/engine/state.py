"""The state of a run: a pure fold over its journal, one byte an item."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import IntEnum
from math import inf
from typing import assert_never

from s3plan.errors import JournalError
from s3plan.model.journal import (
    Approved,
    Approves,
    Archived,
    BackedUp,
    BatchJob,
    CommandRan,
    Copied,
    Declined,
    FileRewritten,
    GateRecord,
    Intent,
    ItemFailed,
    JournalRecord,
    Outcome,
    PutDone,
    Puts,
    Receipts,
    Restores,
    RestoreStage,
    Resumed,
    RolledBack,
    RunEnded,
    RunOutcome,
    RunStarted,
    StepEnded,
    StepStarted,
    StoredObject,
    SyncPoint,
    UploadBegan,
)


class ItemState(IntEnum):
    """Where an item stands. ``UNKNOWN``: something may have happened; only looking can tell.

    The last three are of archived objects on their way to being readable, which is ``DONE``.
    """

    PENDING = 0
    UNKNOWN = 1
    VERIFIED = 2
    UNVERIFIABLE = 3
    MISMATCHED = 4
    DONE = 5
    FAILED = 6
    DRIFTED = 7
    KEPT = 8
    REQUESTED = 9
    ONGOING = 10
    EXPIRED = 11


_STATES = tuple(ItemState)
"""By number: looking up is quicker than making a member of the enumeration."""

_STATE_OF: dict[Outcome, ItemState] = {
    "verified": ItemState.VERIFIED,
    "unverifiable": ItemState.UNVERIFIABLE,
    "mismatched": ItemState.MISMATCHED,
    "done": ItemState.DONE,
    "failed": ItemState.FAILED,
    "drifted": ItemState.DRIFTED,
    "kept": ItemState.KEPT,
}

_STAGES: dict[RestoreStage, ItemState] = {
    "requested": ItemState.REQUESTED,
    "ongoing": ItemState.ONGOING,
    "ready": ItemState.DONE,
    "expired": ItemState.EXPIRED,
}

WAITING = frozenset({ItemState.REQUESTED, ItemState.ONGOING})
"""States in which S3 is at it: asking again would be needless."""

SETTLED = frozenset(
    {ItemState.VERIFIED, ItemState.UNVERIFIABLE, ItemState.DONE, ItemState.DRIFTED, ItemState.KEPT}
)
"""States that a resumed run does not touch again. Failures are tried again."""

_INTENDED = bytes(
    code if code in SETTLED | WAITING else ItemState.UNKNOWN
    for code in [*ItemState, *range(len(ItemState), 256)]
)
"""What becomes of each state when requests for the item may have been sent."""

_OPEN = bytes(code not in SETTLED for code in ItemState).ljust(256, b"\1")
"""Which states are not settled."""

GOOD = frozenset({ItemState.VERIFIED, ItemState.UNVERIFIABLE, ItemState.DONE})


FINAL: frozenset[RunOutcome] = frozenset({"done", "kept", "superseded", "abandoned", "rebuilt"})
"""Outcomes after which a run is never resumed."""


class StepState:
    """One step: the state of each item, and how the step ended in the last session that ran it."""

    __slots__ = ("done_bytes", "ended", "expiries", "items", "started", "taken")

    def __init__(self) -> None:
        self.items = bytearray()
        self.taken = bytearray()
        # Seconds since the epoch, four bytes an item, and only in steps that restore; 0 is never.
        self.expiries = array("I")
        self.done_bytes = 0
        self.started = False
        self.ended: StepEnded | None = None

    def of(self, n: int) -> ItemState:
        """State of item ``n``."""
        return _STATES[self.items[n]] if n < len(self.items) else ItemState.PENDING

    def set(self, n: int, state: ItemState) -> None:
        """Note item ``n``, growing as needed."""
        self._reach(n)
        self.items[n] = state

    def mine(self, n: int) -> bool:
        """Whether what stands at item ``n``'s path may be what an earlier session left there."""
        return self.of(n) is ItemState.UNKNOWN and not self.was_taken(n)

    def was_taken(self, n: int) -> bool:
        """Whether something stood at item ``n``'s path before the run came to it."""
        return n < len(self.taken) and bool(self.taken[n])

    def begun(self, n: int) -> bool:
        """Whether this run came to item ``n``, and found nothing at its path then."""
        taken = n < len(self.taken) and self.taken[n]
        return self.of(n) is not ItemState.PENDING and not taken

    def take(self, items: tuple[int, ...]) -> None:
        """Note items whose path was in use before the run came to them."""
        if items:
            self.taken.extend(bytes(max(0, max(items) + 1 - len(self.taken))))
            for n in items:
                self.taken[n] = 1

    def expires(self, n: int) -> float:
        """When the copy of a restored object is gone, in seconds since the epoch; or never."""
        return (self.expiries[n] if n < len(self.expiries) else 0) or inf

    def restored(self, items: Sequence[int], stage: RestoreStage, until: str) -> None:
        """Note a stage that archived objects came to."""
        moment = int(datetime.fromisoformat(until).timestamp()) if until else 0
        for n in items:
            self.set(n, _STAGES[stage])
            if moment or n < len(self.expiries):
                # As long as the items, which grow by doubling.
                self.expiries.frombytes(bytes(4 * (len(self.items) - len(self.expiries))))
                self.expiries[n] = moment

    def intend(self, first: int, last: int) -> None:
        """Note that requests for items ``first`` to ``last`` may have been sent."""
        self._reach(last)
        self.items[first : last + 1] = self.items[first : last + 1].translate(_INTENDED)

    def _reach(self, n: int) -> None:
        if n >= len(self.items):
            self.items.extend(bytes(max(n + 1 - len(self.items), len(self.items), 1024)))

    def count(self, state: ItemState) -> int:
        """How many items are in ``state`` (PENDING counts only items that were touched around)."""
        return self.items.count(bytes([state]))

    def first_open(self) -> int:
        """The first item that is not settled: a resumed step need not read those before it."""
        place = self.items.translate(_OPEN).find(1)
        return place if place >= 0 else len(self.items)

    @property
    def done(self) -> bool:
        """Whether the step came to its end."""
        return self.ended is not None and self.ended.outcome == "done"


class RunState:
    """Everything a journal says, folded record by record with :meth:`apply`."""

    def __init__(self) -> None:
        self.header: RunStarted | None = None
        self.sessions = 0
        self.steps: dict[str, StepState] = {}
        self.gates: dict[str, GateRecord] = {}
        self.approvals: dict[tuple[str, Approves], Approved] = {}
        self.declined: dict[tuple[str, Approves], Declined] = {}
        self.problems: dict[tuple[str, int], ItemFailed] = {}
        self.uploads: dict[tuple[str, int], str] = {}
        self.rewritten: dict[str, FileRewritten] = {}
        self.archives: dict[str, Archived] = {}
        self.jobs: dict[tuple[str, int], BatchJob] = {}
        self.puts: dict[tuple[str, int], StoredObject] = {}
        self.outcome: RunOutcome | None = None
        self.ended: RunEnded | None = None
        self.rolled_back: RolledBack | None = None
        self.updated = ""
        # Receipts that no sync point covers yet: their files may be lost by a power cut.
        self._unsynced: list[tuple[int, Receipts]] = []

    def step(self, step: str) -> StepState:
        """The state of a step, empty if the journal does not name it."""
        return self.steps.setdefault(step, StepState())

    @property
    def started(self) -> RunStarted:
        """The header. Raises JournalError for an empty journal."""
        if self.header is None:
            raise JournalError(
                "the journal is empty", next_step="remove the run folder and apply the plan again"
            )
        return self.header

    @property
    def finished(self) -> bool:
        """Whether the run is at its end; such a run is never resumed."""
        return self.rolled_back is not None or self.outcome in FINAL

    def apply(  # noqa: PLR0912 - one case a record
        self, seq: int, record: JournalRecord
    ) -> None:
        """Fold one record; ``seq`` is its number in the journal."""
        match record:
            case RunStarted() | Resumed() | RunEnded() | RolledBack():
                self._apply_to_run(record)
            case GateRecord() | Approved() | Declined():
                self._apply_to_gate(record)
            case StepStarted() | StepEnded() | Intent() | ItemFailed():
                self._apply_to_step(record)
            case UploadBegan():
                self.uploads[record.step, record.n] = record.upload
            case FileRewritten():
                self.rewritten[record.step] = record
            case CommandRan():
                pass  # what came of it is how its step ended
            case Archived():
                self.archives[record.step] = record
            case BackedUp():
                pass  # where it is, for people
            case BatchJob():
                self.jobs[record.step, record.number] = record
            case PutDone():
                self.puts[record.step, record.n] = record.stored
            case Puts():
                self.puts.update(((record.step, put.n), put.stored) for put in record.puts)
            case Copied():
                pass  # how a copy is recognised; whether it is done its receipt says
            case Receipts():
                self._receive(seq, record)
            case Restores():
                self._restore(record)
            case SyncPoint():
                self._unsynced = [r for r in self._unsynced if r[0] > record.through]
            case _:
                assert_never(record)

    def _apply_to_run(self, record: RunStarted | Resumed | RunEnded | RolledBack) -> None:
        self.updated = record.time
        match record:
            case RunStarted():
                self.header = record
                self.sessions = 1
            case Resumed():
                self.sessions += 1
                self.outcome = None
                self.declined.clear()
                self._doubt(frozenset(record.doubted))
            case RunEnded():
                self.outcome = record.outcome
                self.ended = record
            case RolledBack():
                self.rolled_back = record

    def _apply_to_gate(self, record: GateRecord | Approved | Declined) -> None:
        self.updated = record.time
        match record:
            case GateRecord():
                self.gates[record.step] = record
            case Approved():
                self.approvals[record.subject, record.what] = record
            case Declined():
                self.declined[record.subject, record.what] = record

    def _apply_to_step(self, record: StepStarted | StepEnded | Intent | ItemFailed) -> None:
        state = self.step(record.step)
        match record:
            case StepStarted():
                state.started = True
                state.ended = None
                self.updated = record.time
            case StepEnded():
                state.ended = record
                self.updated = record.time
            case Intent():
                state.intend(record.first, record.last)
                state.take(record.taken)
            case ItemFailed():
                state.set(record.n, _STATE_OF[record.outcome])
                self.problems[record.step, record.n] = record

    def _receive(self, seq: int, record: Receipts) -> None:
        state = self.step(record.step)
        code = _STATE_OF[record.outcome]
        for n in record.items:
            state.set(n, code)
            self.problems.pop((record.step, n), None)
            self.uploads.pop((record.step, n), None)
        state.done_bytes += record.bytes
        self._unsynced.append((seq, record))

    def _restore(self, record: Restores) -> None:
        self.step(record.step).restored(record.items, record.stage, record.until)
        for n in record.items:
            self.problems.pop((record.step, n), None)

    def _doubt(self, steps: frozenset[str]) -> None:
        """Make receipts of ``steps`` that no sync point covers unknown, as a run is resumed.

        A power cut may have taken files of these steps although their names are there, or brought
        back what was removed. Said in the journal, and not only to this process: the sync points
        that follow have larger numbers, and must not vouch for these files.
        """
        for _, receipts in self._unsynced:
            if receipts.step not in steps:
                continue
            state = self.step(receipts.step)
            state.ended = None
            state.done_bytes -= receipts.bytes
            for n in receipts.items:
                state.set(n, ItemState.UNKNOWN)
        self._unsynced.clear()


def fold(records: Iterable[tuple[int, JournalRecord]]) -> RunState:
    """The state after all ``records``."""
    state = RunState()
    for seq, record in records:
        state.apply(seq, record)
    return state
