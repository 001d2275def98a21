"""`each` edges: what one step is done with flows to the step after it, item by item.

Both steps have the same worklist. Whether an item may be taken is read from the state of the step
before; nothing is kept but a byte an item, so millions may be on their way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from s3plan.engine.state import GOOD, SETTLED, ItemState, StepState
from s3plan.model.steps import Item, Step
from s3plan.plan.reading import PlanFile

LEAD = 3600
"""Seconds that a temporary copy must still last when its item is taken ..."""

BYTES_PER_SECOND = 5_000_000
"""... and one for so many bytes of it, so that a large body is not cut off in its middle."""

TRIES = 3
"""How often an item may be given back before it counts as failed."""

_CLOSED = bytes(
    code in SETTLED | {ItemState.FAILED, ItemState.MISMATCHED} for code in ItemState
).ljust(256, b"\0")
_LOST = bytes(code in {ItemState.FAILED, ItemState.DRIFTED} for code in ItemState).ljust(256, b"\0")


def must_last(item: Item) -> float:
    """Seconds that the copy of an item must last to be read in peace."""
    return LEAD + item.size / BYTES_PER_SECOND


class Feed:
    """The edge between two steps of one session."""

    def __init__(
        self,
        plan: PlanFile,
        steps: tuple[Step, Step],
        states: tuple[StepState, StepState],
        now: Callable[[], float],
        news: asyncio.Event,
    ) -> None:
        """``steps`` and ``states`` are those before and after; ``now`` is seconds since 1970.

        ``news`` is set when the step after came further: items settled, or given back, or all over.
        """
        self.before, self.after = steps
        self._plan = plan
        self._done, self._own = states
        self._now = now
        self.news = news
        self._given = bytearray(self.after.totals.items)
        self._gone = bytearray(self.after.totals.items)
        self._pass: Iterator[Item] = iter(())
        self._line: Iterator[Item] | None = None
        self._more = asyncio.Event()
        self._more.set()
        self._ended = False
        self._left = False
        self._tries: dict[int, int] = {}
        self.surveyed = asyncio.Event()
        """Set once the step after has adopted what needs nothing of the step before."""

    # -- for the step before -------------------------------------------------------------------

    def offer(self, lost: int | None = None) -> None:
        """There may be more to take than at the last pass; ``lost`` is an item that this session
        will not give.
        """
        if lost is not None:
            self._gone[lost] = 1
        self._more.set()

    def close(self) -> None:
        """The step before has ended: what is not there now never comes."""
        self._ended = True
        self._more.set()

    def is_wanted(self, n: int) -> bool:
        """Whether the step after still needs item ``n``."""
        return self._own.of(n) not in SETTLED

    @property
    def is_over(self) -> bool:
        """Whether the step after has ended, or takes nothing more that could still be given."""
        if self._left:
            return True
        size = self.after.totals.items
        closed = _flags(self._own, size, _CLOSED) | _flags(self._done, size, _LOST)
        return closed.bit_count() == size

    # -- for the step after --------------------------------------------------------------------

    async def next(self) -> Item | None:
        """The next item that may be taken, waited for; None when there will be none."""
        while not self._left:
            for item in self._pass:
                if self._may_be_taken(item):
                    self._given[item.n] = 1
                    return item
            if self._more.is_set():
                self._more.clear()
                self._pass = self._plan.items(self.after.id)
            elif self._ended:
                return None
            else:
                self.news.set()
                await self._more.wait()
        return None

    async def next_in_order(self) -> Item | None:
        """The next item in the worklist's order that the step before did well; None at the end.

        One pass for all who ask, each waiting for its own item: for steps that are about as quick
        as each other, where :meth:`next` would go over the worklist again for every few items.
        """
        if self._line is None:
            self._line = self._plan.items(self.after.id)
        for item in self._line:
            if self._own.of(item.n) not in SETTLED:
                while not self._is_decided(item.n):
                    self._more.clear()
                    await self._more.wait()
                if self._left:
                    return None
                if self._done.of(item.n) in GOOD:
                    return item
        return None

    def _is_decided(self, n: int) -> bool:
        """Whether it is known that an item may be taken, or that it never may in this session."""
        return self._left or self._ended or bool(self._gone[n]) or self._done.of(n) in GOOD

    def moved(self) -> None:
        """Items of the step after came further."""
        self.news.set()

    def leave(self) -> None:
        """The step after has ended, or never begins."""
        self._left = True
        self.surveyed.set()
        self.news.set()
        self._more.set()

    def give_back(self, item: Item) -> bool:
        """The item could not be taken after all; False where that was once too often."""
        tries = self._tries[item.n] = self._tries.get(item.n, 0) + 1
        if tries >= TRIES:
            return False
        self._done.set(item.n, ItemState.EXPIRED)
        self._given[item.n] = 0
        self.news.set()
        return True

    def _may_be_taken(self, item: Item) -> bool:
        n = item.n
        return (
            not self._given[n]
            and self._done.of(n) in GOOD
            and self._own.of(n) not in SETTLED
            and self._done.expires(n) - self._now() > must_last(item)
        )


def _flags(state: StepState, size: int, table: bytes) -> int:
    """One bit an item, as a number: a million are looked at in a millisecond."""
    return int.from_bytes(state.items[:size].translate(table).ljust(size, b"\0"))
