"""When each item of a run was begun and ended, and how often: a pure fold over its journal."""

from __future__ import annotations

from array import array
from datetime import datetime
from typing import NamedTuple

from s3plan.model.journal import Intent, ItemFailed, JournalRecord, Receipts

_MOST_ATTEMPTS = 65_535


class ItemTime(NamedTuple):
    """Of one item: seconds since the epoch, 0 where it has not come to that.

    ``started`` is when the intent of its last attempt was durable: requests were sent from then on.
    """

    attempts: int
    started: int
    finished: int


class _StepTimes:
    """Eleven bytes an item."""

    __slots__ = ("attempts", "finished", "settled", "started")

    def __init__(self) -> None:
        self.attempts = array("H")
        self.started = array("I")
        self.finished = array("I")
        self.settled = bytearray()

    def reach(self, n: int) -> None:
        missing = n + 1 - len(self.settled)
        if missing > 0:
            more = max(missing, len(self.settled), 1024)
            self.settled.extend(bytes(more))
            self.attempts.frombytes(bytes(2 * more))
            self.started.frombytes(bytes(4 * more))
            self.finished.frombytes(bytes(4 * more))


class ItemTimes:
    """Fold records with :meth:`apply`, in their order."""

    def __init__(self) -> None:
        self._steps: dict[str, _StepTimes] = {}

    def apply(self, record: JournalRecord) -> None:
        """Fold one record."""
        match record:
            case Intent():
                self._intend(record, _seconds(record.time))
            case Receipts():
                step = self._step(record.step, max(record.items, default=0))
                moment = _seconds(record.time)
                for n in record.items:
                    step.finished[n] = moment
                    step.settled[n] = 1
            case ItemFailed():
                # Tried again by the next intent that covers it.
                self._step(record.step, record.n).finished[record.n] = _seconds(record.time)
            case _:
                pass

    def of(self, step: str, n: int) -> ItemTime:
        """Of item ``n`` of a step."""
        found = self._steps.get(step)
        if found is None or n >= len(found.settled):
            return ItemTime(0, 0, 0)
        return ItemTime(found.attempts[n], found.started[n], found.finished[n])

    def _intend(self, record: Intent, moment: int) -> None:
        step = self._step(record.step, record.last)
        for n in range(record.first, record.last + 1):
            if not step.settled[n]:
                step.attempts[n] = min(step.attempts[n] + 1, _MOST_ATTEMPTS)
                step.started[n] = moment
                step.finished[n] = 0

    def _step(self, step: str, highest: int) -> _StepTimes:
        found = self._steps.setdefault(step, _StepTimes())
        found.reach(highest)
        return found


def _seconds(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp()) if time else 0
