"""A worklist in partitions: as it stands in the plan, or as the step before gives it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from s3plan.engine.context import Context
from s3plan.engine.each import Feed
from s3plan.model.steps import Item, Step


class Chunks(Protocol):
    """The partitions of a step, for one caller at a time."""

    async def next(self) -> list[Item]:
        """The next one, waited for; empty at the end. Items are in the worklist's order."""


class InOrder:
    """Of items that are all at hand."""

    def __init__(self, context: Context, items: Iterator[Item], size: int) -> None:
        self._context = context
        self._items = items
        self._size = size
        self.any = False
        """Whether there was one."""

    async def next(self) -> list[Item]:
        """See the protocol."""
        found = await self._context.in_thread(lambda: list(islice(self._items, self._size)))
        self.any = self.any or bool(found)
        return found


class _Fed:
    """Of items that the step before is done with."""

    def __init__(self, feed: Feed, size: int) -> None:
        self._feed = feed
        self._size = size

    async def next(self) -> list[Item]:
        found: list[Item] = []
        while len(found) < self._size and (item := await self._feed.next_in_order()) is not None:
            found.append(item)
        return found


def chunks_of(context: Context, step: Step, size: int) -> Chunks:
    """The worklist of a step in partitions of up to ``size`` items."""
    feed = context.feed_into(step)
    if feed is not None:
        return _Fed(feed, size)
    return InOrder(context, context.plan.items(step.id), size)
