"""The items of a layout step: each when the step before is done with it, its intent durable."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from s3plan.engine.context import Context
from s3plan.engine.layout.failing import Refused, note
from s3plan.engine.state import SETTLED
from s3plan.engine.together import together
from s3plan.model.steps import Item, Step

RANGE = 200
"""Items that one intent covers."""

OBJECTS = 4
"""Objects that are worked on at once, unless limits.objects says otherwise: each may be gigabytes,
and moves several parts at once by itself."""


_AMBIGUOUS = Refused(
    "ambiguous",
    "its key came more than once in the listing, so which object is meant cannot be said",
)


class Worklist:
    """One step's items, for several workers."""

    def __init__(self, context: Context, step: Step, *, writes: bool) -> None:
        """``writes`` says whether the step's requests need an intent."""
        self._context = context
        self._step = step
        self._writes = writes
        self._feed = context.feed_into(step)
        self._left = self._not_settled()
        self._intending = asyncio.Lock()
        self._intended: set[int] = set()

    async def run(self, one: Callable[[Item], Awaitable[None]]) -> None:
        """Do ``one`` for every item, several side by side; what it raises is the item's end.

        Raises LockLostError where this run may not write any more, and what is no item's fault.
        """

        async def work() -> None:
            while (item := await self._next()) is not None:
                if self._context.stopping:
                    return
                self._context.began(self._step, item.n, item.key)
                try:
                    if item.ambiguous:
                        raise _AMBIGUOUS
                    with self._context.one_object():
                        await one(item)
                except Exception as error:  # noqa: BLE001 - note() raises what it does not know
                    note(self._context, self._step, item, error)

        limits = self._context.plan.header.connection.limits
        count = min(limits.objects or OBJECTS, limits.connections)
        await together(work() for _ in range(count))
        self._context.check_stop()

    async def _next(self) -> Item | None:
        item = next(self._left, None) if self._feed is None else await self._feed.next_in_order()
        if item is None or not self._writes:
            return item
        block = item.n // RANGE
        if block not in self._intended:
            async with self._intending:
                if block not in self._intended:
                    last = min((block + 1) * RANGE, self._step.totals.items) - 1
                    await self._context.intend(self._step, block * RANGE, last)
                    self._intended.add(block)
        return item

    def _not_settled(self) -> Iterator[Item]:
        state = self._context.step_state(self._step)
        for item in self._context.plan.items(self._step.id):
            if state.of(item.n) not in SETTLED:
                yield item
