"""Large bodies: in one stream or in ranges, hashed on their way, compared, given their names.

What does not match is fetched once more before it is called mismatched, and never gets its name.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec import Struct

from s3plan.engine.context import Context, Destination
from s3plan.engine.handlers import ranged
from s3plan.engine.handlers.placing import Content, Placer, mtime_of
from s3plan.engine.handlers.ranged import RangedFetch
from s3plan.errors import NotSupportedError
from s3plan.localfs.tree import Occupied, Tree
from s3plan.model.journal import Outcome
from s3plan.model.local import FileStat
from s3plan.model.objects import Checksum, ObjectHead, Verdict
from s3plan.model.steps import Item
from s3plan.rules.hashing import hasher
from s3plan.rules.integrity import FALLBACK, compare, evidence_of, parts_offered, rung_of
from s3plan.rules.parts import count_of_parts
from s3plan.store import Bucket

BUFFER = 256 << 10
"""Bytes of a stream that are hashed and written at once."""

ATTEMPTS = 2
"""Downloads of an object whose content did not match, before it is called mismatched."""


class Finished(Struct, frozen=True):
    """What a disk thread made of a body."""

    item: Item
    verdict: Verdict | None
    problem: tuple[Outcome, str, str] | None = None
    sizes: tuple[int, ...] = ()


class _Arrived(Struct, frozen=True):
    """A large body whose bytes are all in a file without a name.

    ``digests`` are of the kind to compare by, and of the whole as local evidence falls back on.
    """

    item: Item
    head: ObjectHead
    tags: dict[str, str] | None
    expected: Checksum | None
    digests: tuple[Checksum, Checksum]
    commit: Callable[[int], FileStat]


class Drifted(Exception):
    """The object is not the one that was planned."""


class LargeBodies:
    """Fetches the large objects of one download step.

    Raises Drifted, StoreError and DestinationError.
    """

    def __init__(
        self, context: Context, bucket: Bucket, destination: Destination, placer: Placer
    ) -> None:
        self._context = context
        self._bucket = bucket
        self._destination = destination
        self._placer = placer
        self._parts = context.plan.header.connection.limits.parts

    async def fetch(self, item: Item, sizes: tuple[int, ...]) -> Finished | None:
        """Fetch an object; ``sizes`` are those of :meth:`part_sizes`.

        None where the run was stopped before all of it was here.
        """
        if item.size >= ranged.RANGED_FROM and self._parts > 1:
            return await self._ranged(item, sizes)
        return await self._stream(item, sizes, ATTEMPTS)

    async def fetch_once_more(self, item: Item, sizes: tuple[int, ...]) -> Finished:
        """Fetch an object, also a small one, whose content did not match."""
        return await self._stream(item, sizes, ATTEMPTS - 1)

    async def part_sizes(self, item: Item, head: ObjectHead | None = None) -> tuple[int, ...]:
        """The sizes of an object's parts, where only they make its content comparable.

        Asked for before its bytes come, since these are hashed as they do. No request is sent for
        an object that was uploaded whole, nor where the listing tells a checksum of the whole.
        """
        count = count_of_parts(item.etag)
        if count in (None, 1) or (item.checksum or "").endswith("/FULL_OBJECT"):
            return ()
        if head is None:
            head = await self._bucket.head(item.key, if_match=item.etag, version=item.version_id)
            check_same(item, head)
        offered = parts_offered(head)
        if not offered:
            return ()
        found = await self._bucket.part_sizes(
            item.key, offered, if_match=item.etag, version=item.version_id
        )
        return found or ()

    async def tags(self, item: Item, head: ObjectHead) -> dict[str, str] | None:
        """The tags, or None where only asking for each object could tell that there are none."""
        if head.tag_count:
            return await self._bucket.tags(item.key, version=item.version_id)
        return None

    async def _ranged(self, item: Item, sizes: tuple[int, ...]) -> Finished | None:
        head = await self._bucket.head(item.key, if_match=item.etag, version=item.version_id)
        check_same(item, head)
        for last in (False, True):
            fetch = await self._context.in_thread(self._open_ranges, item, head, sizes)
            keep = True
            try:
                if not await fetch.run():
                    return None  # another session goes on with what is there
                tags = await self.tags(item, head)
                expected = evidence_of(head, sizes)
                arrived = _Arrived(item, head, tags, expected, fetch.digests, fetch.commit)
                finished = await self._context.in_thread(self._settle, arrived, last)
                keep = finished.problem is not None
            except NotSupportedError:
                keep = False
                break
            finally:
                await self._context.in_thread(partial(fetch.close, keep=keep))
            if last or finished.verdict != "mismatched":
                return finished
        # The endpoint knows no ranges.
        return await self._stream(item, sizes, ATTEMPTS)

    def _open_ranges(self, item: Item, head: ObjectHead, sizes: tuple[int, ...]) -> RangedFetch:
        expected = evidence_of(head, sizes)
        kind = expected.kind if expected else FALLBACK
        return RangedFetch(self._context, self._bucket, self._destination.tree, item, head, kind)

    async def _stream(self, item: Item, sizes: tuple[int, ...], attempts: int) -> Finished:
        async with self._context.streams:
            for _ in range(attempts - 1):
                finished = await self._streamed(item, sizes, last=False)
                if finished.verdict != "mismatched":
                    return finished
            return await self._streamed(item, sizes, last=True)

    async def _streamed(self, item: Item, sizes: tuple[int, ...], *, last: bool) -> Finished:
        sink = _FileSink(self._destination.tree, item, sizes)
        try:
            head = await self._bucket.get_to(
                item.key, sink, if_match=item.etag, version=item.version_id
            )
            check_same(item, head)
            tags = await self.tags(item, head)
            return await self._context.in_thread(self._finish_stream, sink, head, tags, last)
        finally:
            await self._context.in_thread(sink.close)

    def _finish_stream(
        self, sink: _FileSink, head: ObjectHead, tags: dict[str, str] | None, last: bool
    ) -> Finished:
        digests = sink.finish()
        expected = sink.expected
        return self._settle(
            _Arrived(sink.item, head, tags, expected, digests, sink.partial.commit), last
        )

    def _settle(self, arrived: _Arrived, last: bool) -> Finished:
        """Compare a large body that is all there, and give it its name if it is right.

        Runs on a disk thread. ``last`` says that it will not be fetched again.
        """
        item = arrived.item
        actual, plain = arrived.digests
        verdict = compare(arrived.expected, actual)
        rung = rung_of(actual, verdict)
        if verdict == "mismatched":
            if rung != "parts-etag" or not last:
                return Finished(item, verdict)
            # What such an ETag is made of is nowhere promised: that it differs proves nothing, and
            # must not stand in the way of a copy for ever. It does not verify anything either.
            actual, verdict = plain, "unverifiable"
        content = Content(arrived.head, actual, verdict, arrived.tags, rung)
        try:
            row = self._placer.place(item, content, partial(arrived.commit, mtime_of(item)))
        except Occupied as error:
            return Finished(item, None, ("failed", "occupied", str(error)))
        self._destination.record(self._bucket.name, [row])
        return Finished(item, verdict)


class _FileSink:
    """A large body on its way to disk: hashed and written in the transfer's thread."""

    def __init__(self, tree: Tree, item: Item, sizes: tuple[int, ...]) -> None:
        self.item = item
        self._sizes = sizes
        self.partial = tree.partial(item.path, item.size)
        self.expected: Checksum | None = None
        self._chunks: list[bytes] = []
        self._held = 0

    def start(self, head: ObjectHead) -> None:
        check_same(self.item, head)
        self.expected = evidence_of(head, self._sizes)
        self._kind = self.expected.kind if self.expected else FALLBACK
        self._hashers = {kind: hasher(*kind) for kind in (self._kind, FALLBACK)}
        self._chunks.clear()
        self._held = 0
        self.partial.restart()

    def feed(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._held += len(chunk)
        if self._held >= BUFFER:
            self._flush()

    def finish(self) -> tuple[Checksum, Checksum]:
        """Write what is held and give the digest of all of it, as expected and as of the whole."""
        self._flush()
        return self._hashers[self._kind].checksum(), self._hashers[FALLBACK].checksum()

    def close(self) -> None:
        """Remove the temporary file if it was not committed."""
        self.partial.abort()

    def _flush(self) -> None:
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._held = 0
        for one in self._hashers.values():
            one.update(data)
        self.partial.write(data)


def check_same(item: Item, head: ObjectHead) -> None:
    """An endpoint that ignores If-Match on GET must not slip us another object."""
    if head.etag != item.etag or head.size != item.size:
        raise Drifted
