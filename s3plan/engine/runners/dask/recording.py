"""The journal that a handler has on a worker: what it writes is kept until it was taken over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from s3plan.engine.runners.dask.parcels import Told
from s3plan.model.events import AnyEvent, ItemProblem, Warned
from s3plan.model.journal import (
    Copied,
    Intent,
    ItemFailed,
    JournalRecord,
    Receipts,
    Restores,
    UploadBegan,
)
from s3plan.model.local import CatalogueRecord


class Recorder:
    """Of one partition. Written on the loop of its handler, read by another thread.

    Intents are dropped: that of the whole partition is in the journal already. Everything else that
    is committed is waited for until it is in the journal, too.
    """

    def __init__(self, *, files: bool) -> None:
        """With ``files`` nothing is handed out before :meth:`release`: what it tells of is on disk
        only then.
        """
        self._told: list[Told] = []
        self._released: int | None = 0 if files else None
        self._taken_over = 0
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self.warnings: list[str] = []

    @property
    def seq(self) -> int:
        """How many things were told."""
        return len(self._told)

    def note(self, record: JournalRecord) -> None:
        """Keep a record."""
        match record:
            case Intent():
                pass
            case Receipts() | ItemFailed() | Copied() | UploadBegan() | Restores():
                self._told.append(Told(record))
            case _:
                raise AssertionError(f"no handler writes {record} on a worker")

    async def commit(self, record: JournalRecord) -> None:
        """Keep a record, and return once the journal has it."""
        self.note(record)
        if not isinstance(record, Intent):
            await self.flush()

    async def flush(self) -> None:
        """Return once the journal has everything that was told until now."""
        told = len(self._told)
        while self._taken_over < told:
            self._news.clear()
            await self._news.wait()

    def keep_rows(self, rows: Sequence[CatalogueRecord]) -> None:
        """Rows for the catalogue; thread-safe."""
        self._told.append(Told(None, tuple(rows)))

    def hear(self, event: AnyEvent) -> None:
        """The events of a handler's context: what only they tell is kept besides the records."""
        match event:
            case Warned():
                self.warnings.append(event.message)
            case ItemProblem() if event.next_step:
                last = self._told[-1]
                self._told[-1] = Told(last.record, last.rows, event.next_step)
            case _:
                pass  # whoever goes on with the records tells of them again

    def release(self, told: int) -> None:
        """The files of the first ``told`` are durable."""
        self._released = told

    def after(self, taken_over: int) -> tuple[Told, ...]:
        """What was told from a number on; all before it is in the journal. For another thread."""
        if taken_over > self._taken_over:
            self._taken_over = taken_over
            self._loop.call_soon_threadsafe(self._news.set)
        return tuple(self._told[taken_over : self._released])

    def rest(self) -> tuple[int, tuple[Told, ...]]:
        """What is not known to be in the journal, and its number."""
        return self._taken_over, tuple(self._told[self._taken_over : self._released])
