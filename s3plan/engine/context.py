"""What a handler is given: the store, the destination, the journal, and who is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import msgspec

from s3plan.engine.each import Feed
from s3plan.engine.guard import Leave
from s3plan.engine.journal import Journal
from s3plan.engine.mirror import Mirror
from s3plan.engine.runs import Run, timestamp
from s3plan.engine.state import RunState, StepState
from s3plan.errors import DestinationError, LockLostError, UsageError
from s3plan.localfs.catalogue import Catalogue
from s3plan.localfs.syncing import SyncPoint as Syncer
from s3plan.localfs.tree import Tree
from s3plan.model.capabilities import UNPROBED
from s3plan.model.commands import Command
from s3plan.model.events import AnyEvent, ItemBegan, ItemProblem, Progressed
from s3plan.model.journal import (
    CopyFacts,
    Intent,
    ItemFailed,
    Outcome,
    Receipts,
    Restores,
    RestoreStage,
    SyncPoint,
)
from s3plan.model.local import CATALOGUE_FORMAT, CatalogueHeader, CatalogueRecord
from s3plan.model.steps import Step
from s3plan.plan.reading import PlanFile
from s3plan.rules.characters import harmless_json
from s3plan.rules.commands import DEFAULT_PLAN, apply_command, rollback_command
from s3plan.store import Bucket, Store
from s3plan.store.deadlines import one_object
from s3plan.tables import Database

if TYPE_CHECKING:
    from s3plan.engine.records import Records

Observer = Callable[[AnyEvent], None]
Result = TypeVar("Result")

DISK_THREADS = 2
"""Small files are hashed and written here; more threads only wait for the interpreter lock."""

SMALL_BODY = 1 << 20
"""Bytes up to which a body is kept in memory and fetched on the loop."""

STREAMS = 8
"""Large bodies in flight at once, each in a thread of its own."""

LEAST_TABLES = 64 << 20
"""Bytes that the tables of one comparison may have at least; what is more goes to disk."""

SYNC_INTERVAL = 5.0
"""Seconds between sync points while files are being written."""


class Interrupted(Exception):
    """Dispatching stopped because a person asked for it; never leaves the engine."""


@dataclass(slots=True)
class Destination:
    """A local tree with its catalogues and its sync points."""

    tree: Tree
    syncer: Syncer
    catalogues: dict[str, Catalogue] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, bucket: str, records: Sequence[CatalogueRecord]) -> None:
        """Append rows; called from worker threads."""
        if records:
            with self.lock:
                self.catalogues[bucket].append(records)


class Context:
    """One session of one run. Handlers read the plan and report through it; nothing else prints
    or writes the journal.
    """

    def __init__(
        self,
        *,
        run: Run,
        plan: PlanFile,
        state: RunState,
        journal: Journal,
        store: Store,
        observer: Observer,
        clock: Callable[[], datetime],
        scratch: Path,
        guard: Leave,
        mirror: Mirror | None = None,
        named: Path | None = None,
        item_log: Callable[[dict[str, object]], None] | None = None,
        commands: Mapping[str, Command] | None = None,
    ) -> None:
        """``named`` is the plan's path as the person wrote it, for commands to type next.

        ``commands`` are those that the project file defines.

        ``guard`` is asked before anything is written; ``mirror`` is None without a journal mirror.
        """
        self.run = run
        self.named = named
        self.plan = plan
        self.state = state
        self.journal = journal
        self.store = store
        self.observer = observer
        self.clock = clock
        self.scratch = scratch
        self.guard = guard
        self.mirror = mirror
        self.item_log = item_log
        self.commands = commands or {}
        self.capabilities = UNPROBED
        """What this run may rely on at the endpoint; the session fills it in."""
        self.records: Records | None = None
        """What journal and evidence say, told to who has neither; None where both are here."""
        self.under_way: dict[tuple[str, int], str] = {}
        """Keys of the items that are being worked on, by step and number."""
        self.on_begun: Callable[[], None] = lambda: None
        """Called when an item is added to these."""
        self._stopped = asyncio.Event()
        self.feeds: list[Feed] = []
        """The `each` edges of what runs now."""
        self.handed_on: dict[str, dict[int, CopyFacts]] = {}
        """Of items on their way from one step to the next: what the step before found, by step."""
        self._mirrored: set[str] = set()
        self._syncing = asyncio.Lock()
        self._opening = asyncio.Lock()
        self._lost: DestinationError | None = None
        self.disk = ThreadPoolExecutor(DISK_THREADS, thread_name_prefix="disk")
        self._destinations: dict[str, Destination] = {}
        self.streams = asyncio.Semaphore(STREAMS)
        """Large bodies that may be in flight, over all steps that run side by side."""

    @cached_property
    def bodies(self) -> asyncio.Semaphore:
        """Small bodies that may be in memory, over all steps that run side by side."""
        return asyncio.Semaphore(max(1, self.plan.header.connection.limits.memory // SMALL_BODY))

    # -- looking things up ---------------------------------------------------------------------

    def now(self) -> str:
        """The time as it stands in records."""
        return timestamp(self.clock())

    def bucket(self, step: Step) -> Bucket:
        """The bucket a step is about."""
        return self.store.bucket(step.subject)

    def destination(self, path: str) -> Destination:
        """The tree at ``path``, opened once; its filesystem stays open for write-back errors."""
        if path not in self._destinations:
            # It is there: the session made it, if need was, before it took the locks.
            tree = Tree.open(Path(path), create=False)
            tree.clean_temporary()  # what sessions that were killed left; we hold the lock
            self._destinations[path] = Destination(tree, Syncer(tree))
        return self._destinations[path]

    async def catalogue(self, destination: Destination, bucket: str) -> None:
        """Open the bucket's catalogue, for ``destination`` to append to."""
        # Two downloads of a bucket may come here together: it is opened once.
        async with self._opening:
            if bucket not in destination.catalogues:
                target = self.plan.header.target
                header = CatalogueHeader(
                    format=CATALOGUE_FORMAT,
                    endpoint=target.endpoint,
                    region=target.region,
                    account=target.account,
                    bucket=bucket,
                    created=self.now(),
                )
                destination.catalogues[bucket] = await self.in_thread(
                    Catalogue.open_for_append, destination.tree, header
                )

    async def in_thread(self, function: Callable[..., Result], *args: object) -> Result:
        """Run disk work away from the loop."""
        return await asyncio.get_running_loop().run_in_executor(self.disk, function, *args)

    def objects_at_once(self, most: int) -> int:
        """How many objects a step works on at once: ``most``, unless the connection says fewer."""
        said = self.plan.header.connection.limits.objects
        return most if said is None else min(said, most)

    def one_object(self) -> AbstractContextManager[None]:
        """A block whose requests are for one object; they fail once its time is over."""
        return one_object(self.plan.header.connection.limits.object_timeout)

    def tables(self) -> Database:
        """A private database for one comparison.

        One thread: what comes to it is already waiting for the disk or for S3, and each further
        thread takes memory of its own. Buckets that are compared side by side share the limit.
        """
        header = self.plan.header
        limit = max(LEAST_TABLES, header.connection.limits.memory // header.side_by_side)
        return Database(self.scratch, memory_limit=limit, threads=1)

    # -- reporting -----------------------------------------------------------------------------

    @property
    def stopping(self) -> bool:
        """Whether nothing new may be started."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Start nothing new from now on."""
        self._stopped.set()

    def check_stop(self) -> None:
        """Raise Interrupted if nothing new may be started."""
        if self.stopping:
            raise Interrupted

    async def unless_stopped(self, waiting: Coroutine[Any, Any, object]) -> None:
        """Wait for ``waiting``; raises Interrupted at once when the run is to stop."""
        task = asyncio.ensure_future(waiting)
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            task.cancel()
            await asyncio.gather(stopped, task, return_exceptions=True)
        self.check_stop()
        task.result()

    def began(self, step: Step, n: int, key: str) -> None:
        """Item ``n`` is being worked on."""
        self.under_way[step.id, n] = key
        self.on_begun()
        self.observer(ItemBegan(step.id, key))
        if self.item_log is not None:
            self.item_log({"event": "start", "step": step.id, "key": key, "time": self.now()})

    def receive(
        self, step: Step, outcome: Outcome, items: Sequence[int], size: int, keys: Sequence[str]
    ) -> None:
        """Items ended well: into the journal, the state and the progress."""
        if not items:
            return
        record = Receipts(
            step=step.id, outcome=outcome, items=tuple(items), bytes=size, time=self.now()
        )
        self.journal.note(record)
        self.state.apply(self.journal.seq, record)
        ended = [self.under_way.pop((step.id, n), "") for n in items]
        self.observer(Progressed(step.id, outcome, len(items), size, tuple(filter(None, ended))))
        if self.feeds:
            self._flow(step)
        if self.item_log is not None:
            for key in keys:
                self.item_log(
                    {
                        "event": "done",
                        "step": step.id,
                        "key": key,
                        "outcome": outcome,
                        "time": self.now(),
                    }
                )

    def problem(
        self,
        step: Step,
        n: int,
        key: str,
        path: str,
        outcome: Outcome,
        reason: str,
        message: str,
        next_step: str | None = None,
    ) -> None:
        """One item did not end well: into the journal, the state and the progress."""
        record = ItemFailed(
            step=step.id,
            n=n,
            key=key,
            path=path,
            outcome=outcome,
            reason=reason,
            message=message,
            time=self.now(),
        )
        self.journal.note(record)
        self.state.apply(self.journal.seq, record)
        self.under_way.pop((step.id, n), None)
        self.observer(Progressed(step.id, outcome, 1, 0, (key,)))
        if self.feeds:
            self._flow(step, lost=n)
        self.observer(
            ItemProblem(
                step.id, key, path, outcome, reason, message, next_step or self.retry_command()
            )
        )
        if self.item_log is not None:
            self.item_log(
                {
                    "event": "failed",
                    "step": step.id,
                    "key": key,
                    "outcome": outcome,
                    "reason": reason,
                    "message": message,
                    "time": self.now(),
                }
            )

    def restored(
        self, step: Step, stage: RestoreStage, items: Sequence[int], until: str = ""
    ) -> None:
        """Archived objects came to a stage: into the journal, the state and the progress."""
        if not items:
            return
        record = Restores(
            step=step.id, stage=stage, items=tuple(items), until=until, time=self.now()
        )
        self.journal.note(record)
        self.state.apply(self.journal.seq, record)
        if stage == "ready":
            self.observer(Progressed(step.id, "done", len(items), 0))

    def _flow(self, step: Step, lost: int | None = None) -> None:
        for feed in self.feeds:
            if feed.after.id == step.id:
                feed.moved()
            elif feed.before.id == step.id:
                feed.offer(lost)

    def retry_command(self) -> str:
        """The command that goes on with this run."""
        if self.plan.header.rollback_of:
            only = self.plan.header.stage
            return rollback_command(str(self.run.journal), self.plan.digest, only=only)
        default = self.named == Path(DEFAULT_PLAN)
        return apply_command(DEFAULT_PLAN if default else str(self.run.plan), self.plan.digest)

    def feed_into(self, step: Step) -> Feed | None:
        """Where a step's items come from as they become ready; None where all are."""
        return next((feed for feed in self.feeds if feed.after.id == step.id), None)

    def feeds_from(self, step: Step) -> list[Feed]:
        """What takes a step's items as they become ready."""
        return [feed for feed in self.feeds if feed.before.id == step.id]

    def step_state(self, step: Step) -> StepState:
        """How far a step is."""
        return self.state.step(step.id)

    # -- permission to write -------------------------------------------------------------------

    async def intend(self, step: Step, first: int, last: int, taken: tuple[int, ...] = ()) -> None:
        """Make durable that requests for items ``first`` to ``last`` may be sent from now on.

        Raises LockLostError where this run may not write any more. With a mirror the first intent
        of a step is in it before the first request: a machine that goes on from there knows.
        """
        self.check_held()
        record = Intent(step=step.id, first=first, last=last, taken=taken, time=self.now())
        await self.journal.commit(record)
        await self._mirror_intent(step)

    async def intend_whole(self, step: Step) -> None:
        """The same for a step without items: that it has begun, which is in the journal, says so.

        Raises LockLostError.
        """
        self.check_held()
        await self._mirror_intent(step)

    async def _mirror_intent(self, step: Step) -> None:
        if self.mirror is not None and step.id not in self._mirrored:
            await self.mirror.copy()
            self._mirrored.add(step.id)

    def check_held(self) -> None:
        """Raise LockLostError, and stop dispatching, unless locks and journal are still ours."""
        try:
            self.guard.check()
        except LockLostError:
            self.stop()
            raise

    # -- durability ----------------------------------------------------------------------------

    async def sync(self) -> None:
        """Make every file whose receipt is written durable, and say so in the journal.

        The sequence number is read before the sync starts: a receipt that is written while it
        runs may be of a file it did not cover.
        """
        async with self._syncing:
            if self._lost is not None:
                raise self._lost
            await self.journal.flush()
            through = self.journal.seq
            devices: list[int] = []
            for destination in self._destinations.values():
                try:
                    devices.append(await self.in_thread(_sync, destination))
                except DestinationError as error:
                    # The kernel tells a write-back error once; a later sync would seem to succeed.
                    self._lost = error
                    self.stop()
                    raise
            # Only now: one record covers the receipts of every destination.
            for device in devices:
                record = SyncPoint(through=through, device=device)
                await self.journal.commit(record)
                self.state.apply(self.journal.seq, record)

    async def sync_regularly(self) -> None:
        """Sync points every few seconds until cancelled."""
        last = -1
        while True:
            await asyncio.sleep(SYNC_INTERVAL)
            if self.journal.seq != last:
                await self.sync()
                last = self.journal.seq

    def close(self) -> None:
        """Close what was opened, in the order that keeps catalogues whole."""
        self.disk.shutdown(wait=True)
        for destination in self._destinations.values():
            for catalogue in destination.catalogues.values():
                catalogue.close()
            destination.syncer.close()
            destination.tree.close()
        self._destinations.clear()

    def destinations(self) -> Iterator[Destination]:
        """Every tree that is open."""
        return iter(self._destinations.values())


def _sync(destination: Destination) -> int:
    destination.tree.check_place()
    with destination.lock:
        for catalogue in destination.catalogues.values():
            catalogue.sync()
    destination.syncer.sync()
    return destination.tree.device


class ItemLog:
    """``--log-file``: JSON Lines, one line for each start, done and failed item.

    A log that cannot be written stops nothing: ``warn`` is told once, and the rest is not logged.
    """

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        try:
            self._file: BinaryIO | None = path.open("ab")
        except OSError as error:
            raise UsageError(
                f"the log file cannot be opened: {error.strerror}",
                address=str(path),
                next_step="name a file that can be written, or leave --log-file out",
            ) from error
        self._encoder = msgspec.json.Encoder()
        self._warn = warn

    def __call__(self, entry: dict[str, object]) -> None:
        if self._file is not None:
            try:
                # People follow logs on terminals.
                self._file.write(harmless_json(self._encoder.encode(entry)) + b"\n")
            except OSError as error:
                self._give_up(error)

    def close(self) -> None:
        """Flush and close."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._warn(f"the log file is not complete: {error.strerror}")
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()
