"""Writing and reading a run's journal: group commit on one thread, typed records when read.

An intent is durable before any request it covers is sent: :meth:`JournalWriter.commit` returns
after fdatasync, and everything that waits at that moment shares one. What may be lost without harm
goes through :meth:`JournalWriter.note`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Protocol

import msgspec

from s3plan.engine.journaltimes import JournalTimes
from s3plan.errors import JournalError
from s3plan.localfs.appendlog import AppendLog, BrokenLine, read_log
from s3plan.localfs.refusals import next_step_of
from s3plan.model.journal import (
    JOURNAL_FORMAT,
    Copied,
    Intent,
    ItemFailed,
    JournalRecord,
    Puts,
    Receipts,
    Restores,
    RunStarted,
    UploadBegan,
)

_log = logging.getLogger(__name__)
_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[JournalRecord] = msgspec.json.Decoder(JournalRecord)


LAG = 0.25
"""Seconds that a record which nobody waits for may stay unwritten."""

MOST_PENDING = 64
"""Records that are written at once even if nobody waits."""


class Journal(Protocol):
    """What a handler writes of: the run's own journal, or what stands for it elsewhere."""

    @property
    def seq(self) -> int:
        """Counts what was written."""

    def note(self, record: JournalRecord) -> None:
        """Write soon. Losing it only makes items unknown."""

    async def commit(self, record: JournalRecord) -> None:
        """Write and return once it is durable, together with all that was noted before."""

    async def flush(self) -> None:
        """Return once all that was noted is durable: ``seq`` then counts it."""


class _Waiter:
    """A coroutine that waits until its record is durable."""

    __slots__ = ("future", "loop")

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self.loop.create_future()

    def settle(self, error: Exception | None) -> None:
        self.loop.call_soon_threadsafe(self._set, error)

    def _set(self, error: Exception | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(error)


class JournalWriter:
    """The one writer of a journal. Owns the log; use as a context manager.

    An error while writing (a full disk) is final: it is raised by every later call, so that
    nothing is sent that the journal does not know.
    """

    def __init__(self, log: AppendLog) -> None:
        self._log = log
        self._pending: deque[tuple[bytes | None, _Waiter | None]] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._error: JournalError | None = None
        self._seq = log.seq
        self.listener: Callable[[JournalRecord], object] = lambda _: None
        """Told of every record, on the loop."""
        self.times = JournalTimes(perf_counter())
        self._waiters = 0
        self._waited_since = 0.0
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @property
    def seq(self) -> int:
        """Sequence number of the last line handed to the kernel."""
        return self._seq

    def note(self, record: JournalRecord) -> None:
        """Write soon, durable at the next commit. Losing it only makes items unknown."""
        self._raise()
        self._pending.append((self._encoded(record), None))
        self.listener(record)
        if len(self._pending) >= MOST_PENDING:
            self._wake.set()

    async def commit(self, record: JournalRecord) -> None:
        """Write and return once it is durable, together with all that was noted before."""
        await self._waited(self._encoded(record))
        self.listener(record)

    async def flush(self) -> None:
        """Return once all that was noted is durable: ``seq`` then counts it."""
        await self._waited(None)

    async def _waited(self, body: bytes | None) -> None:
        self._raise()
        waiter = _Waiter()
        self._pending.append((body, waiter))
        self._wake.set()
        if not self._waiters:
            self._waited_since = perf_counter()
        self._waiters += 1
        try:
            await waiter.future
        finally:
            self._waiters -= 1
            if not self._waiters:
                self.times.waiting += perf_counter() - self._waited_since

    def _encoded(self, record: JournalRecord) -> bytes:
        began = perf_counter()
        body = _encoder.encode(record)
        self.times.encoding += perf_counter() - began
        self.times.records += 1
        return body

    def is_ours(self) -> bool:
        """Whether the journal is still at its path and nobody else has written to it."""
        return self._log.is_ours()

    def close(self) -> None:
        """Write what is queued, make it durable, and stop the thread."""
        if self._thread.is_alive():
            self._closing = True
            self._wake.set()
            self._thread.join()
            self._log.close()
            _log.debug("%s: %s", self._log.path.name, self.times.told())

    def __enter__(self) -> JournalWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        closing = False
        while not closing:
            # What is only noted waits for company: each waking costs the loop a turn.
            self._wake.wait(LAG)
            self._wake.clear()
            closing = self._closing
            entries = [self._pending.popleft() for _ in range(len(self._pending))]
            waiters = [waiter for _, waiter in entries if waiter is not None]
            bodies = [body for body, _ in entries if body is not None]
            error = self._write(bodies, durable=closing or bool(waiters))
            for waiter in waiters:
                waiter.settle(error)

    def _write(self, bodies: list[bytes], *, durable: bool) -> JournalError | None:
        if self._error is None:
            try:
                began = perf_counter()
                if bodies:
                    self._seq = self._log.append(bodies)
                written = perf_counter()
                self.times.writing += written - began
                if durable:
                    self._log.sync()
                    self.times.syncing += perf_counter() - written
            except OSError as error:
                self._error = JournalError(
                    f"the journal cannot be written: {error.strerror}",
                    address=str(self._log.path),
                    next_step=next_step_of(
                        error, "look at its disk, then run the same command again"
                    ),
                )
                self._error.__cause__ = error
        return self._error


def read_journal(path: Path, most_items: int | None = None) -> Iterator[tuple[int, JournalRecord]]:
    """The records of a journal with their sequence numbers, checked line by line.

    A torn last line is dropped. Raises JournalError for a broken line in the middle (naming it),
    a file that is no journal, a format this version does not read, or an item whose number is not
    below ``most_items``: a state is as large as the largest number, whatever the file says.
    """
    try:
        for seq, body in read_log(path):
            record = _decode(path, seq, body)
            if seq == 1:
                _check_header(path, record)
            if most_items is not None:
                _check_items(path, seq, record, most_items)
            yield seq, record
    except BrokenLine as error:
        raise JournalError(
            f"line {error.line} of the journal is damaged",
            address=f"{path}:{error.line}",
            expected="a line with its sequence number and checksum intact",
            next_step="restore the run folder from a copy; never edit a journal",
        ) from error
    except FileNotFoundError as error:
        raise JournalError(
            "there is no journal here",
            address=str(path),
            next_step="name the journal, or run `s3plan apply` first",
        ) from error
    except OSError as error:
        raise JournalError(
            f"the journal cannot be read: {error.strerror}",
            address=str(path),
            next_step="name the journal where s3plan wrote it, and make it readable",
        ) from error


def _decode(path: Path, seq: int, body: bytes) -> JournalRecord:
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise JournalError(
            "this line is not a journal record that this version knows",
            address=f"{path}:{seq}",
            expected=f"a record of {JOURNAL_FORMAT}",
            found=str(error),
            next_step="use the version of s3plan that wrote it, or a newer one",
        ) from error


def _check_items(path: Path, seq: int, record: JournalRecord, most_items: int) -> None:
    match record:
        case Intent():
            named: tuple[int, ...] = (record.first, record.last)
        case Receipts() | Restores():
            named = record.items
        case ItemFailed() | UploadBegan():
            named = (record.n,)
        case Copied():
            named = tuple(copy.n for copy in record.copies)
        case Puts():
            named = tuple(put.n for put in record.puts)
        case _:
            return
    if named and not 0 <= min(named) <= max(named) < most_items:
        raise JournalError(
            "this line names an item that the plan cannot have",
            address=f"{path}:{seq}",
            expected=f"numbers from 0 to below {most_items}",
            found=f"{min(named)} to {max(named)}",
            next_step="restore the run folder from a copy; never edit a journal",
        )


def _check_header(path: Path, record: JournalRecord) -> None:
    if isinstance(record, RunStarted) and record.format == JOURNAL_FORMAT:
        return
    found = record.format if isinstance(record, RunStarted) else "another record"
    raise JournalError(
        "this is not a journal that this version reads",
        address=f"{path}:1",
        expected=f"a header of format {JOURNAL_FORMAT}",
        found=found,
        next_step="use the version of s3plan that wrote it, or a newer one",
    )
