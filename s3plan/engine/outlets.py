"""What tells of a run besides its journal: the snapshot of its worklist and its metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from s3plan.engine.context import LEAST_TABLES, Context
from s3plan.engine.itemtimes import ItemTimes
from s3plan.engine.journal import JournalWriter, read_journal
from s3plan.engine.livefiles import LiveFile, Outlets
from s3plan.engine.metrics import exposition, run_metrics
from s3plan.engine.snapshot import Snapshot
from s3plan.engine.statuslines import StatusLines
from s3plan.model.events import RunFinished, Warned
from s3plan.model.journal import JournalRecord, Receipts
from s3plan.tables import Database

METRICS_INTERVAL = 5.0
"""Seconds between two writings of the metrics; collectors look every 15 s or less often."""


def journal_of(context: Context) -> Path:
    """The journal that a session writes."""
    header = context.plan.header
    return context.run.back(header.stage).journal if header.rollback_of else context.run.journal


class Telling:
    """The files of a session. ``finished`` is to be filled in when it is over."""

    def __init__(self, context: Context) -> None:
        self.finished: RunFinished | None = None
        self._context = context
        self._times = ItemTimes()
        self._files: list[LiveFile] = []
        self._last = 0.0

    def warn(self, sentence: str) -> None:
        """Tell a person."""
        self._context.observer(Warned(sentence))

    def recall(self) -> None:
        """Fold what is in the journal. Blocks."""
        for _, record in read_journal(journal_of(self._context)):
            self._times.apply(record)

    def listen(self, journal: JournalWriter) -> None:
        """Fold what is written from now on."""
        journal.listener = self._hear
        self._context.on_begun = self._changed

    def keep_snapshot(self, path: Path, interval: float, database: Database) -> None:
        """Keep a snapshot from now on."""
        context = self._context
        snapshot = Snapshot(context.plan, context.state, self._times, database)

        def write(file: BinaryIO) -> None:
            snapshot.write(file, () if self.finished is not None else tuple(context.under_way))

        self._files.append(LiveFile(path, interval, write, self.warn))

    def keep_metrics(self, path: Path) -> None:
        """Keep the metrics from now on."""
        self._files.append(LiveFile(path, METRICS_INTERVAL, self._write_metrics, self.warn))

    async def keep_status(self, interval: float) -> None:
        """Note from now on, every ``interval`` seconds, how the run stands."""
        context, journal = self._context, journal_of(self._context)
        lines = await asyncio.to_thread(
            StatusLines, context.run, context.plan, context.state, journal, context.now
        )
        path = context.run.statuses(journal)
        self._files.append(LiveFile(path, interval, lines.write, self.warn))

    async def close(self) -> None:
        """Write every file a last time."""
        for file in self._files:
            await file.close()

    def _hear(self, record: JournalRecord) -> None:
        self._times.apply(record)
        if isinstance(record, Receipts):
            self._last = self._context.clock().timestamp()
        self._changed()

    def _changed(self) -> None:
        for file in self._files:
            file.changed()

    def _write_metrics(self, file: BinaryIO) -> None:
        context = self._context
        now = context.clock().timestamp()
        found = run_metrics(context.plan, context.state, now, self._last, self.finished)
        file.write(exposition(found).encode())


@asynccontextmanager
async def telling(
    context: Context, journal: JournalWriter, outlets: Outlets
) -> AsyncIterator[Telling]:
    """Keep the files that ``outlets`` names, and the plan asks for, while a session goes on, and
    write them at its end.
    """
    every = context.plan.header.status_interval
    if outlets == Outlets() and every is None:
        yield Telling(context)
        return
    told = Telling(context)
    await asyncio.to_thread(told.recall)
    told.listen(journal)
    # A private database: the snapshot is read again and again, from a thread of its own.
    with Database(context.scratch, memory_limit=LEAST_TABLES, threads=1) as database:
        if outlets.snapshot is not None:
            told.keep_snapshot(outlets.snapshot, outlets.snapshot_interval, database)
        if outlets.metrics is not None:
            told.keep_metrics(outlets.metrics)
        if every is not None:
            await told.keep_status(every)
        try:
            yield told
        finally:
            await told.close()
