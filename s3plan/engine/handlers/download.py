"""``download``: objects to local files, hashed while written, renamed without replacing.

Small bodies are fetched on the loop and finished in batches on a disk thread; larger ones stream in
a thread of their own. A download repeats harmlessly, but its intent is awaited all the same: after
a power cut it tells a file of this run that lost its bytes from a stranger's. Content that does
not match what S3 stored never gets its final name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any

from msgspec import Struct

from s3plan.engine.context import SMALL_BODY, Context, Destination
from s3plan.engine.each import Feed
from s3plan.engine.handlers.large import (
    ATTEMPTS,
    Drifted,
    Finished,
    LargeBodies,
    check_same,
)
from s3plan.engine.handlers.placing import Content, Placer, mtime_of
from s3plan.engine.state import SETTLED, ItemState
from s3plan.errors import (
    ArchivedObjectError,
    DestinationError,
    NoSuchKeyError,
    PreconditionFailedError,
    S3PlanError,
    StoreError,
)
from s3plan.localfs.tree import Occupied
from s3plan.model.journal import Outcome
from s3plan.model.local import CatalogueRecord, FileStat
from s3plan.model.objects import ObjectHead
from s3plan.model.steps import Download, Item, Step
from s3plan.rules.hashing import digest
from s3plan.rules.integrity import FALLBACK, compare, evidence_of, rung_of
from s3plan.store import Bucket

BATCH = 64
"""Small bodies finished by one trip to a disk thread."""

LINGER = 0.01
"""Seconds that a batch waits for more."""

INTENT_RANGE = 1000
"""Items that one intent covers."""

GIVE_UP = 50
"""Failures in a row, without one success, after which the step stops asking."""


class Fetched(Struct, frozen=True):
    """A small body with the answer's headers."""

    item: Item
    head: ObjectHead
    body: bytes
    tags: dict[str, str] | None
    sizes: tuple[int, ...]


class Downloader:
    """One download step."""

    def __init__(self, context: Context, step: Step, destination: Destination) -> None:
        self.context = context
        self.step = step
        self.destination = destination
        self.bucket: Bucket = context.bucket(step)
        self.state = context.step_state(step)
        self.placer = Placer(destination.tree, context.run.id, self.state)
        self.ready: asyncio.Queue[Fetched | Item | None] = asyncio.Queue(maxsize=4 * BATCH)
        self.memory = context.bodies
        self.large = LargeBodies(context, self.bucket, destination, self.placer)
        self.intending = asyncio.Lock()
        self.intended = 0
        """Items up to this number, it not among them, may be requested."""
        self.tops: dict[str, bool] = {}
        """Directories right below the destination: whether they were there before this step."""
        self.failures = 0
        self.stopped: S3PlanError | None = None
        self.feed = context.feed_into(step)
        self.blocks: set[int] = set()
        """Ranges of items that may be requested, where they do not come in order."""

    async def run(self) -> None:
        await self.context.catalogue(self.destination, self.step.subject)
        if self.feed is not None:
            await self._adopt_first(self.feed)
        items = self._items()
        finishers = [asyncio.create_task(self._finish_batches()) for _ in range(2)]
        connections = self.context.plan.header.connection.limits.connections
        count = self.context.objects_at_once(connections)
        workers = [asyncio.create_task(self._work(items)) for _ in range(count)]
        feeding = asyncio.ensure_future(asyncio.gather(*workers))
        try:
            # A finisher ends before its end mark only by an error that nobody expected.
            tasks: list[asyncio.Future[Any]] = [feeding, *finishers]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                await feeding
                for _ in finishers:
                    await self.ready.put(None)
            await asyncio.gather(*finishers)
        finally:
            feeding.cancel()
            for finisher in finishers:
                finisher.cancel()
            await asyncio.gather(feeding, *finishers, return_exceptions=True)
        if self.stopped is not None:
            raise self.stopped

    def _items(self) -> Iterator[Item]:
        """What is left of the worklist."""
        for item in self.context.plan.items(self.step.id, self.state.first_open()):
            if self.state.of(item.n) not in SETTLED:
                yield item

    async def _next(self, items: Iterator[Item]) -> Item | None:
        """The next item, once the intent of its range is durable."""
        if self.feed is not None:
            return await self._fed(self.feed)
        item = next(items, None)
        if item is not None and item.n >= self.intended:
            async with self.intending:
                if item.n >= self.intended:
                    end = min(item.n + INTENT_RANGE, self.step.totals.items)
                    taken = await self.context.in_thread(self._taken, item.n, end)
                    await self.context.intend(self.step, item.n, end - 1, taken)
                    self.state.take(taken)
                    self.intended = end
        return item

    async def _fed(self, feed: Feed) -> Item | None:
        """The same, of items that come as they become ready, in any order."""
        item = await feed.next()
        if item is not None and item.n // INTENT_RANGE not in self.blocks:
            async with self.intending:
                block = item.n // INTENT_RANGE
                if block not in self.blocks:
                    first = block * INTENT_RANGE
                    end = min(first + INTENT_RANGE, self.step.totals.items)
                    taken = await self.context.in_thread(self._taken, first, end)
                    await self.context.intend(self.step, first, end - 1, taken)
                    self.blocks.add(block)
        return item

    def _stop(self, error: S3PlanError) -> None:
        """Ask for nothing more; also those who wait for an item to become ready."""
        self.stopped = error
        if self.feed is not None:
            self.feed.leave()

    def _taken(self, first: int, end: int) -> tuple[int, ...]:
        """Items of a range that nobody began whose path is in use; runs on a disk thread."""
        tree = self.destination.tree
        found: list[int] = []
        for item in islice(self.context.plan.items(self.step.id, first), end - first):
            if not item.path:
                continue  # a delete marker has no file
            top = item.path.partition("/")[0]
            if top not in self.tops:
                self.tops[top] = tree.stat(top) is not None
            if (
                self.tops[top]
                and self.state.of(item.n) is ItemState.PENDING
                and tree.stat(item.path.rstrip("/")) is not None
            ):
                found.append(item.n)
        return tuple(found)

    async def _work(self, items: Iterator[Item]) -> None:
        while item := await self._next(items):
            if self.context.stopping or self.stopped is not None:
                return
            self.context.began(self.step, item.n, item.key)
            try:
                with self.context.one_object():
                    await self._one(item)
            except (Drifted, NoSuchKeyError, PreconditionFailedError) as error:
                self._problem(item, "drifted", "source-changed", _drift_text(item, error))
            except ArchivedObjectError as error:
                # A temporary copy that expired is asked for again.
                if self.feed is None or not self.feed.give_back(item):
                    self._problem(item, "failed", error.code, str(error))
            except DestinationError as error:
                # Every other item would fail alike; a full or missing disk is for a person.
                self._stop(error)
                return
            except StoreError as error:
                self._problem(item, "failed", error.code, str(error))
                self.failures += 1
                if self.failures >= GIVE_UP:
                    self._stop(error)
                    return
            else:
                self.failures = 0

    async def _one(self, item: Item) -> None:
        if item.marker:
            await self.memory.acquire()
            await self.ready.put(item)
            return
        # What may be here already is looked at before it is asked for.
        may_be = self.state.of(item.n) is not ItemState.PENDING or self.state.was_taken(item.n)
        if may_be and await self._adopted(item):
            return
        sizes = await self.large.part_sizes(item)
        if item.size > SMALL_BODY:
            self._told(await self.large.fetch(item, sizes))
            return
        await self.memory.acquire()
        try:
            head, body = await self.bucket.get(
                item.key, if_match=item.etag, version=item.version_id
            )
            check_same(item, head)
            tags = await self.large.tags(item, head)
        except BaseException:
            self.memory.release()
            raise
        await self.ready.put(Fetched(item, head, body, tags, sizes))

    # -- small bodies --------------------------------------------------------------------------

    async def _finish_batches(self) -> None:
        ended = False
        while not ended:
            batch = [await self.ready.get()]
            # Fewer, fuller batches: every trip to another thread costs more than a small file.
            await asyncio.sleep(LINGER)
            while len(batch) < BATCH and not self.ready.empty():
                batch.append(self.ready.get_nowait())
            fetched = [entry for entry in batch if entry is not None]
            # Each finisher takes one end mark; a second one is for the other.
            marks = len(batch) - len(fetched)
            ended = marks > 0
            for _ in range(marks - 1):
                await self.ready.put(None)
            if fetched:
                try:
                    finished = await self.context.in_thread(self._finish, fetched)
                except DestinationError as error:
                    self._stop(error)
                    continue
                finally:
                    for _ in fetched:
                        self.memory.release()
                self._report(finished)
                await self._again(finished)

    def _finish(self, batch: list[Fetched | Item]) -> list[Finished]:
        """Hash, write and record a batch; runs on a disk thread."""
        rows: list[CatalogueRecord] = []
        results: list[Finished] = []
        for entry in batch:
            if isinstance(entry, Item):
                rows.append(self.placer.marker(entry))
                results.append(Finished(entry, "verified"))
                continue
            expected = evidence_of(entry.head, entry.sizes)
            algorithm, parts = expected.kind if expected else FALLBACK
            actual = digest(algorithm, entry.body, parts)
            verdict = compare(expected, actual)
            if verdict == "mismatched":
                results.append(Finished(entry.item, verdict, sizes=entry.sizes))
                continue
            rung = rung_of(actual, verdict)
            content = Content(entry.head, actual, verdict, entry.tags, rung)
            try:
                rows.append(self.placer.place(entry.item, content, partial(self._write, entry)))
            except Occupied as error:
                results.append(Finished(entry.item, None, ("failed", "occupied", str(error))))
                continue
            results.append(Finished(entry.item, verdict))
        self.destination.record(self.step.subject, rows)
        return results

    def _write(self, entry: Fetched) -> FileStat:
        tree = self.destination.tree
        if entry.item.path.endswith("/"):
            return tree.make_marker(entry.item.path)
        return tree.write_new(entry.item.path, entry.body, mtime_of(entry.item))

    async def _again(self, finished: list[Finished]) -> None:
        """A body that did not match is fetched once more before it is called mismatched."""
        for result in finished:
            if result.verdict != "mismatched":
                continue
            try:
                self._told(await self.large.fetch_once_more(result.item, result.sizes))
            except (Drifted, NoSuchKeyError, PreconditionFailedError) as error:
                self._problem(
                    result.item, "drifted", "source-changed", _drift_text(result.item, error)
                )
            except StoreError as error:
                self._problem(result.item, "failed", error.code, str(error))

    def _told(self, finished: Finished | None) -> None:
        """Report a large body; None is one that the run was stopped before."""
        if finished is None:
            return
        if finished.verdict != "mismatched":
            self._report([finished])
            return
        item = finished.item
        self._problem(
            item,
            "mismatched",
            "content-differs",
            f"the content of {self._address(item)} is not what S3 stored, "
            f"{ATTEMPTS} times; nothing was written to {item.path}",
        )

    # -- files that are there already ----------------------------------------------------------

    async def _adopted(self, item: Item) -> bool:
        """Whether the file of an item that may be done is there with the object's content."""
        if item.path.endswith("/"):
            return False  # making a folder marker again is as good as looking
        stat = await self.context.in_thread(self.destination.tree.stat, item.path)
        if stat is None or stat.size != item.size:
            return False
        head = await self.bucket.head(item.key, if_match=item.etag, version=item.version_id)
        check_same(item, head)
        expected = evidence_of(head, await self.large.part_sizes(item, head))
        if expected is None:
            return False
        local = await self.context.in_thread(self.placer.local, item, expected.kind)
        if local is None or local[0] != expected:
            return False
        tags = await self.large.tags(item, head)
        content = Content(head, expected, "verified", tags, rung_of(expected, "verified"))
        adopted = not self.placer.ours(item, local[1])
        row = self.placer.row(item, content, local[1], adopted=adopted)
        await self.context.in_thread(self.destination.record, self.step.subject, [row])
        self._report([Finished(item, "verified")])
        return True

    async def _adopt_first(self, feed: Feed) -> None:
        """Adopt what is there already, before anything is paid for restoring it."""
        items = self._items()
        while chunk := list(islice(items, INTENT_RANGE)):
            for item in await self.context.in_thread(self._of_their_size, chunk):
                self.context.check_stop()
                # What does not work out here is met again, and told, when its turn comes.
                with suppress(Drifted, StoreError):
                    await self._adopted(item)
        feed.surveyed.set()

    def _of_their_size(self, chunk: list[Item]) -> list[Item]:
        """Items at whose path is a file that may be theirs; runs on a disk thread."""
        tree = self.destination.tree
        stats = [(item, tree.stat(item.path.rstrip("/"))) for item in chunk]
        return [item for item, stat in stats if stat is not None and stat.size == item.size]

    # -- reporting -----------------------------------------------------------------------------

    def _report(self, finished: list[Finished]) -> None:
        for verdict in ("verified", "unverifiable"):
            items = [f.item for f in finished if f.verdict == verdict and f.problem is None]
            self.context.receive(
                self.step,
                verdict,
                [item.n for item in items],
                sum(item.size for item in items),
                [item.key for item in items] if self.context.item_log else (),
            )
        for result in finished:
            if result.problem is not None:
                self._problem(result.item, *result.problem)

    def _problem(self, item: Item, outcome: Outcome, reason: str, message: str) -> None:
        next_step = None
        if outcome == "drifted":
            next_step = "s3plan plan again: the object changed after the plan was made"
        elif reason == "occupied":
            next_step = (
                f"move {item.path} out of the destination, then {self.context.retry_command()}"
            )
        self.context.problem(
            self.step, item.n, item.key, item.path, outcome, reason, message, next_step
        )

    def _address(self, item: Item) -> str:
        return f"s3://{self.step.subject}/{item.key}"


async def paths_in_use(context: Context, step: Step, action: Download) -> tuple[int, ...]:
    """Items that nobody began whose path is in use: what is there is not this run's."""
    downloader = Downloader(context, step, context.destination(action.destination))
    return await context.in_thread(downloader._taken, 0, step.totals.items)


async def download(context: Context, step: Step, action: Download) -> None:
    """Run a download step. Raises DestinationError when the disk stops it."""
    destination = context.destination(action.destination)
    await Downloader(context, step, destination).run()
    context.check_stop()


def _drift_text(item: Item, error: Exception) -> str:
    if isinstance(error, NoSuchKeyError):
        return f"{item.key} is gone from S3 since the plan was made"
    return f"{item.key} was changed in S3 since the plan was made"
