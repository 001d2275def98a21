"""``put-files``: local files to objects, each as it was planned, verified by what S3 stored of it.

The worklist goes in ranges. Before a range the keys are looked at, where the endpoint is not known
to refuse what would write over an object; what was there then is told by its content. A file that
changed since the plan, or while it was read, makes no object that anybody counts on; a key that
somebody took is left alone. Files of a few hundred KiB are read many at a time and stay in memory
until they are sent; larger ones wait for memory, are streamed, or go in parts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

from msgspec import Struct

from s3plan.engine.archiving.packing import SourceChanged, check_source, check_stat, open_source
from s3plan.engine.context import Context
from s3plan.engine.handlers import sending
from s3plan.engine.handlers.putting import SMALL, content_verdict
from s3plan.engine.handlers.sending import LargeFile, PartSender
from s3plan.engine.looking import look_at
from s3plan.engine.state import SETTLED, ItemState
from s3plan.engine.together import together
from s3plan.errors import (
    DestinationError,
    NoSuchKeyError,
    OutcomeUnknownError,
    PreconditionFailedError,
    StoreError,
)
from s3plan.localfs.refusals import Missing
from s3plan.localfs.tree import Tree
from s3plan.model.journal import Outcome, PutFacts, Puts
from s3plan.model.objects import Checksum, ObjectAttributes
from s3plan.model.steps import Item, PutFiles, Step
from s3plan.rules.hashing import hasher
from s3plan.rules.integrity import FALLBACK
from s3plan.store import ChunkedSource

RANGE = 1_000
"""Files that one look and one intent cover: a page of a listing, where the keys lie together."""

RANGE_BYTES = 256 << 20
"""Bytes of them, unless a single file has more: a look is not to become old."""

LIGHT = 256 << 10
"""Bytes up to which a file is read before somebody has time to send it."""

TRIP = 32
"""Such files that are read by one trip to a disk thread."""

BATCH = 50
"""Objects whose receipts are written together."""


class _Local(Struct, frozen=True):
    """A file as it was planned: its digests, and its bytes where they are held in memory."""

    whole: Checksum
    md5: Checksum
    data: bytes | None


class _Begun(Struct, frozen=True):
    """An item whose intent is durable.

    ``local`` is what was read of it, what is wrong with it, or None where it was not read yet;
    ``seen`` that its key has to be looked at before it is written; ``fresh`` that no session
    before this one may have sent it, so what is there is a stranger's.
    """

    item: Item
    local: _Local | SourceChanged | DestinationError | None
    seen: bool
    fresh: bool


class _Made(Struct, frozen=True):
    """An object that has the content of its file."""

    item: Item
    facts: PutFacts


class _Putter:
    """One put-files step."""

    def __init__(self, context: Context, step: Step, action: PutFiles, tree: Tree) -> None:
        self.context = context
        self.step = step
        self.tree = tree
        self.bucket = context.bucket(step)
        self.state = context.step_state(step)
        self.sender = PartSender(context, step, self.bucket, tree)
        # What must not be written over is refused by the endpoint, or else looked at before.
        self.guarded = context.capabilities.holds("put-if-none-match")
        headers = {"content-type": action.content_type} if action.content_type else {}
        self.attributes = ObjectAttributes(
            headers=headers,
            tags=action.tags,
            storage_class=action.storage_class,
            encryption=action.encryption,
            kms_key=action.kms_key,
        )
        # Twice: while a file is being read, its pieces and the whole are there.
        memory = context.plan.header.connection.limits.memory
        self.heavy = asyncio.Semaphore(max(1, memory // (2 * SMALL)))
        self.made: list[_Made] = []

    async def run(self) -> None:
        """Files are looked at and read while those before them are sent, without a pause."""
        queue: asyncio.Queue[_Begun | None] = asyncio.Queue(TRIP)
        connections = self.context.plan.header.connection.limits.connections
        count = self.context.objects_at_once(connections)
        try:
            await together([self._begin(queue, count), *[self._work(queue) for _ in range(count)]])
        finally:
            self._flush()

    async def _begin(self, queue: asyncio.Queue[_Begun | None], workers: int) -> None:
        """Look at one range after the other, say in the journal that it begins, and read it."""
        ranges = _ranges(
            item
            for item in self.context.plan.items(self.step.id)
            if self.state.of(item.n) not in SETTLED
        )
        while not self.context.stopping and (some := await self._next(ranges)):
            fresh = {item.n for item in some if self.state.of(item.n) is ItemState.PENDING}
            taken = await self._taken(some)
            await self.context.intend(self.step, some[0].n, some[-1].n)
            for trip in self._trips(some):
                read = await self.context.in_thread(self._read_light, trip)
                for item, local in zip(trip, read, strict=True):
                    begun = _Begun(item, local, item.key in taken, item.n in fresh)
                    await queue.put(begun)
        for _ in range(workers):
            await queue.put(None)

    def _trips(self, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
        """A range in pieces that a disk thread reads at a time, until the run is to stop."""
        for start in range(0, len(items), TRIP):
            if self.context.stopping:
                return
            yield items[start : start + TRIP]

    async def _next(self, ranges: Iterator[list[Item]]) -> list[Item] | None:
        return await self.context.in_thread(next, ranges, None)

    async def _taken(self, items: Sequence[Item]) -> set[str]:
        """The keys that have to be looked at one by one, right before they are written."""
        if self.guarded:
            return set()
        # What is to be replaced is there, and what takes long to send would be looked at too early.
        singly = {item.key for item in items if item.etag or item.size > SMALL}
        keys = [item.key for item in items if item.key not in singly]
        return singly | (await look_at(self.bucket, keys)).keys()

    async def _work(self, queue: asyncio.Queue[_Begun | None]) -> None:
        while (begun := await queue.get()) is not None:
            if self.context.stopping:
                continue
            item = begun.item
            self.context.began(self.step, item.n, item.key)
            try:
                async with self.heavy if LIGHT < item.size <= SMALL else nullcontext():
                    with self.context.one_object():
                        await self._one(begun)
            except SourceChanged as changed:
                self._problem(item, "drifted", changed.reason, str(changed), "plan again")
            except (StoreError, DestinationError) as error:
                self._problem(item, "failed", error.code, str(error), None)

    async def _one(self, begun: _Begun) -> None:
        item, local = begun.item, begun.local
        if isinstance(local, SourceChanged | DestinationError):
            raise local
        if local is None:
            local = await self.context.in_thread(self._read, item)
        if begun.seen and await self._settled(item, local, adopted=begun.fresh):
            return
        try:
            facts = await self._put(item, local)
        except PreconditionFailedError:
            if not await self._settled(item, local, adopted=begun.fresh):
                raise
            return
        except OutcomeUnknownError:
            facts = None  # looking tells
        if facts is not None:
            self._done(item, facts)
        elif not self.context.stopping and not await self._settled(item, local, adopted=False):
            message = f"{item.key} is not what was sent"
            self._problem(item, "failed", "outcome-unknown", message, None)

    # -- the file ------------------------------------------------------------------------------

    def _read_light(
        self, items: Sequence[Item]
    ) -> list[_Local | SourceChanged | DestinationError | None]:
        """What was read of each item, None where it is too large; runs on a disk thread."""
        found: list[_Local | SourceChanged | DestinationError | None] = []
        for item in items:
            try:
                found.append(self._read(item) if item.size <= LIGHT else None)
            except (SourceChanged, DestinationError) as error:
                found.append(error)
        return found

    def _read(self, item: Item) -> _Local:
        """Hash the file, and hold it if it is small. Raises SourceChanged, DestinationError.

        It is as it was planned when it is opened, and its path still leads to such a file when all
        of it was read.
        """
        running = (hasher(*FALLBACK), hasher("MD5"))
        held: list[bytes] = []
        try:
            with self.tree.open_read(item.path, drop_cache=False) as file:
                check_stat(item, file.stat)
                for chunk in file.chunks():
                    for one in running:
                        one.update(chunk)
                    if item.size <= SMALL:
                        held.append(bytes(chunk))
        except Missing as missing:
            raise SourceChanged(item, "source-gone", f"{item.path} is gone") from missing
        check_source(self.tree, item)
        whole, md5 = (one.checksum() for one in running)
        return _Local(whole, md5, b"".join(held) if item.size <= SMALL else None)

    def _chunks(self, item: Item) -> Iterator[memoryview]:
        with self.tree.open_read(item.path, drop_cache=False) as file:
            yield from file.chunks()

    # -- the object ----------------------------------------------------------------------------

    async def _put(self, item: Item, local: _Local) -> PutFacts | None:
        """Make the object; None where the answer does not prove what it holds."""
        if item.size > sending.LARGEST_PUT:
            large = LargeFile(item.n, item.key, item.path, item.size, self.attributes, local.whole)
            try:
                await self.sender.send(
                    large, if_none_match=not item.etag, if_match=item.etag or None
                )
            except PreconditionFailedError:
                await self.sender.abandon(large)  # its parts are of no use to anybody
                raise
            return None
        body = local.data if local.data is not None else ChunkedSource(lambda: self._chunks(item))
        result = await self.bucket.put(
            item.key,
            body,
            size=item.size,
            attributes=self.attributes,
            content_md5=bytes.fromhex(local.md5.value),
            checksum=local.whole,
            if_none_match=not item.etag,
            if_match=item.etag or None,
        )
        # An ETag that is its MD5, or its checksum.
        if result.etag != local.md5.value and local.whole not in result.checksums:
            return None
        return PutFacts(item.n, result.etag, item.size, local.whole, result.version_id)

    async def _settled(self, item: Item, local: _Local, *, adopted: bool) -> bool:
        """Whether it is known how the item ended: by the content of what the key holds.

        Not where the key holds nothing, or still what is to be replaced.
        """
        try:
            head = await self.bucket.head(item.key)
        except NoSuchKeyError:
            return False
        if item.etag and head.etag == item.etag:
            return False
        verdict = await content_verdict(self.bucket, item.key, item.size, local.whole, local.md5)
        if verdict != "verified":
            message = f"{item.key} holds something else; it was left alone"
            self._problem(item, "drifted", "key-taken", message, "plan again")
            return True
        facts = PutFacts(item.n, head.etag, head.size, local.whole, head.version_id, adopted)
        self._done(item, facts)
        return True

    # -- how it ended --------------------------------------------------------------------------

    def _done(self, item: Item, facts: PutFacts) -> None:
        self.made.append(_Made(item, facts))
        if len(self.made) >= BATCH:
            self._flush()

    def _flush(self) -> None:
        """Facts before receipts: a receipt promises that the object can be recognised."""
        if not self.made:
            return
        made, self.made = self.made, []
        record = Puts(step=self.step.id, puts=tuple(one.facts for one in made))
        self.context.journal.note(record)
        self.context.state.apply(self.context.journal.seq, record)
        self.context.receive(
            self.step,
            "verified",
            [one.item.n for one in made],
            sum(one.item.size for one in made),
            [one.item.key for one in made],
        )

    def _problem(
        self, item: Item, outcome: Outcome, reason: str, message: str, next_step: str | None
    ) -> None:
        self.context.problem(
            self.step, item.n, item.key, item.path, outcome, reason, message, next_step
        )


def _ranges(items: Iterator[Item]) -> Iterator[list[Item]]:
    """The worklist in pieces of at most ``RANGE`` files and, of several, ``RANGE_BYTES``."""
    some: list[Item] = []
    size = 0
    for item in items:
        if some and (len(some) >= RANGE or size + item.size > RANGE_BYTES):
            yield some
            some, size = [], 0
        some.append(item)
        size += item.size
    if some:
        yield some


async def put_files(context: Context, step: Step, action: PutFiles) -> None:
    """Run a put-files step."""
    with open_source(Path(action.source)) as tree:
        await _Putter(context, step, action, tree).run()
    context.check_stop()
