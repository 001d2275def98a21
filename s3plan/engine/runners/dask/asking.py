"""Restores that workers ask for: this process waits for them, and asks for what is left."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from s3plan.engine.context import Context
from s3plan.engine.handlers.restore import Restorer
from s3plan.engine.state import ItemState
from s3plan.model.steps import Item, Restore, Step

_FRESH = frozenset({ItemState.PENDING, ItemState.UNKNOWN, ItemState.EXPIRED, ItemState.FAILED})
"""What workers ask for. Copies that are about to expire are few, and extended here."""


class Asking(Restorer):
    """One restore step of one session."""

    def __init__(
        self,
        context: Context,
        step: Step,
        action: Restore,
        by_workers: Callable[[Iterator[Item]], Awaitable[bool]],
    ) -> None:
        """``by_workers`` has items asked for, and says whether there were any."""
        super().__init__(context, step, action)
        self._by_workers = by_workers

    async def _ask(self) -> bool:
        asked = await self._by_workers(
            item for item in self._left() if self.state.of(item.n) in _FRESH
        )
        if asked:
            # What a worker failed with was told; this session does not try it again.
            tried = (ItemState.FAILED, ItemState.DRIFTED)
            self.refused |= {item.n for item in self._left() if self.state.of(item.n) in tried}
        return await super()._ask() or asked
