"""Putting what a worker told into the journal, once it is known to be about what it was given."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import assert_never

from msgspec.structs import replace

from s3plan.engine.context import Context
from s3plan.engine.layout.facts import keep_at_hand
from s3plan.engine.runners.dask.parcels import Told, moved, numbers_of
from s3plan.errors import RunnerError
from s3plan.model.journal import Copied, ItemFailed, Receipts, Restores, UploadBegan
from s3plan.model.local import (
    CatalogueMarker,
    CatalogueRecord,
    CatalogueRow,
    CatalogueVersion,
    FileStat,
)
from s3plan.model.steps import Download, Item, Step

AT_HAND = 500_000
"""Facts that are kept for the next verb, some 200 MB of them: it follows partitions behind, and not
items; what is more is read from the journal, all of which takes long."""


class Handout:
    """A partition that is with a worker.

    What comes is put into the journal once, in its order, however often it is told.
    """

    def __init__(
        self, context: Context, step: Step, items: Sequence[Item], tells: Sequence[str] = ()
    ) -> None:
        """``items`` as the plan has them; ``tells`` are steps besides this one whose copies the
        worker may tell of.
        """
        self.tells = frozenset(tells)
        self.numbers = tuple(item.n for item in items)
        self.context = context
        self.step = step
        self.items = items
        self.taken_over = 0
        """How much of what was told is in the journal, durably so where it was waited for."""
        self.failed = asyncio.Event()
        """Set when what was told could not be taken over; ``error`` says why."""
        self.error: Exception | None = None
        self._taking = asyncio.Lock()

    async def take(self, first: int, told: Sequence[Told]) -> None:
        """What was told from the ``first``-th on. Errors are kept: see ``failed``."""
        async with self._taking:
            try:
                await self._take(first, told)
            except Exception as error:  # noqa: BLE001 - raised by who waits for the partition
                self.error = error
                self.failed.set()

    async def _take(self, first: int, told: Sequence[Told]) -> None:
        if first > self.taken_over:
            raise self._wrong("something that it told before is missing")
        fresh = told[self.taken_over - first :]
        for entry in fresh:
            if entry.record is None:
                await self._keep_rows(entry.rows)
            else:
                self._record(entry)
        if any(isinstance(entry.record, UploadBegan) for entry in fresh):
            # It goes on only once the journal knows what is to be completed or aborted.
            await self.context.journal.flush()
        self.taken_over += len(fresh)

    def _record(self, told: Told) -> None:
        record, context, step = told.record, self.context, self.step
        assert record is not None
        numbers = numbers_of(record)
        meant = record.step == step.id or (isinstance(record, Copied) and record.step in self.tells)
        if not meant or not all(0 <= n < len(self.items) for n in numbers):
            raise self._wrong(f"a record of step {record.step}, items {numbers[:3]}")
        record = moved(record, self.numbers)
        match record:
            case Receipts():
                mine = [self.items[n] for n in numbers]
                keys = [item.key for item in mine] if context.item_log else []
                context.receive(step, record.outcome, record.items, record.bytes, keys)
            case ItemFailed():
                item = self.items[numbers[0]]
                context.problem(
                    step, item.n, item.key, item.path, record.outcome, record.reason,
                    record.message, told.next_step or None,
                )  # fmt: skip
            case Restores():
                context.restored(step, record.stage, record.items, record.until)
            case Copied() | UploadBegan():
                context.journal.note(record)
                context.state.apply(context.journal.seq, record)
                if isinstance(record, Copied) and record.step in context.handed_on:
                    for facts in record.copies:
                        keep_at_hand(context, record.step, facts, AT_HAND)
            case _:
                assert_never(record)

    async def _keep_rows(self, rows: Sequence[CatalogueRecord]) -> None:
        action = self.step.action
        if not isinstance(action, Download):
            raise self._wrong("rows of a catalogue")
        destination = self.context.destination(action.destination)
        await self.context.catalogue(destination, self.step.subject)
        places = {(item.key, item.path) for item in self.items}
        keys = {item.key for item in self.items}
        kept: list[CatalogueRecord] = []
        for row in rows:
            match row:
                case CatalogueRow() if (row.key, row.path) in places:
                    kept.append(_here(row, destination.tree.device))
                case CatalogueVersion() if (row.object.key, row.object.path) in places:
                    kept.append(replace(row, object=_here(row.object, destination.tree.device)))
                case CatalogueMarker() if row.key in keys:
                    kept.append(row)
                case _:
                    raise self._wrong(f"a row of the catalogue: {row}")
        await self.context.in_thread(destination.record, self.step.subject, kept)

    def _wrong(self, what: str) -> RunnerError:
        return RunnerError(
            "a worker told of something that it was not given",
            address=self.step.id,
            expected=f"items {self.items[0].n} to {self.items[-1].n}",
            found=what,
            next_step="look whether other software runs on the cluster, then run the same again",
        )


def _here(row: CatalogueRow, device: int) -> CatalogueRow:
    """The row with the number that this host has for the filesystem."""
    stat = row.file
    return replace(row, file=FileStat(device, stat.inode, stat.size, stat.mtime_ns))
