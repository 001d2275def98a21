"""A large object in ranges: several at once, each pinned, hashed as it comes; resumed after a kill.

Each range is hashed by itself while it is written, and what it hashed to is noted once its bytes
are on disk; the digest of the whole is put together from these. Where a digest must see the bytes
in their order (SHA, MD5), a follower reads each range from the page cache as soon as all before it
are there. A session that goes on fetches what is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial

from s3plan.engine.context import Context
from s3plan.localfs.resumable import Cut, Resumable
from s3plan.localfs.tree import Tree
from s3plan.model.local import FileStat
from s3plan.model.objects import Checksum, Kind, ObjectHead
from s3plan.model.steps import Item
from s3plan.rules.hashing import RawHasher, hasher
from s3plan.rules.integrity import FALLBACK
from s3plan.rules.spans import Span, in_order, spans_of, whole_of
from s3plan.store import Bucket

RANGED_FROM = 512 << 20
"""Bytes from which an object is fetched in ranges. Several smaller ones are as quick side by side,
and begin again sooner than they could be gone on with."""

RANGE = 64 << 20
"""Bytes of a range, about: what a kill costs, and what one request of a slow network carries."""

BUFFER = 256 << 10
"""Bytes of a range that are hashed and written at once."""


class RangedFetch:
    """One object on its way to disk."""

    def __init__(
        self, context: Context, bucket: Bucket, tree: Tree, item: Item, head: ObjectHead, kind: Kind
    ) -> None:
        """``kind`` is the digest that the content is compared by. Blocks: it opens the file."""
        self.item = item
        self.head = head
        self._context = context
        self._bucket = bucket
        self._kind = kind
        self._spans = spans_of(item.size, RANGE, kind)
        source = (bucket.name, item.key, item.etag, head.version_id or "")
        cut = Cut(source, item.size, len(self._spans), kind)
        self._file: Resumable = tree.resumable(item.path, bucket.name, cut)
        self._committed = False
        self._arrived = asyncio.Event()
        nothing = hasher(*FALLBACK).checksum()
        self.digests = nothing, nothing
        """What all of it hashed to, of the wanted kind and of the whole; after :meth:`run`."""

    async def run(self) -> bool:
        """Fetch what is missing. False where the run was stopped before all of it was there.

        Raises StoreError and DestinationError; what is complete stays for another try.
        """
        missing = iter([n for n in range(len(self._spans)) if n not in self._file.done])
        running = hasher(*self._kind)
        following = in_order(self._kind)
        parts = self._context.plan.header.connection.limits.parts
        workers = [asyncio.create_task(self._work(missing)) for _ in range(parts)]
        follower = [asyncio.create_task(self._follow(running))] if following else []
        try:
            await asyncio.gather(*workers)
            if len(self._file.done) < len(self._spans):
                return False
            await asyncio.gather(*follower)
        finally:
            for task in (*workers, *follower):
                task.cancel()
            await asyncio.gather(*workers, *follower, return_exceptions=True)
        plain = self._put_together(FALLBACK, 1)
        whole = running.checksum() if following else self._put_together(self._kind, 0)
        self.digests = whole, plain
        return True

    def commit(self, mtime_ns: int) -> FileStat:
        """Give the file its name; see :meth:`s3plan.localfs.resumable.Resumable.commit`."""
        stat = self._file.commit(mtime_ns)
        self._committed = True
        return stat

    def close(self, *, keep: bool) -> None:
        """Let go of the file. Without ``keep`` one that was not committed is removed. Blocks."""
        if not keep and not self._committed:
            self._file.discard()
        self._file.close()

    async def _work(self, missing: Iterator[int]) -> None:
        for n in missing:
            if self._context.stopping:
                return
            span = self._spans[n]
            sink = _SpanSink(self._file, span, self._kinds(span))
            async with self._context.streams:
                await self._bucket.get_range(
                    self.item.key,
                    sink,
                    span.first,
                    span.end,
                    of=self.head,
                    version=self.item.version_id,
                )
            await _in_thread(partial(self._finish, n, sink))
            self._arrived.set()

    def _finish(self, n: int, sink: _SpanSink) -> None:
        own, plain = self._kinds(self._spans[n])
        digests = sink.finish()
        self._file.finish(n, [digests[own] if own is not None else [], digests[plain]])

    def _kinds(self, span: Span) -> tuple[Kind | None, Kind]:
        """What a span is hashed in: for the comparison, and as local evidence falls back on."""
        own = None if in_order(self._kind) else (self._kind[0], span.parts)
        return own, FALLBACK

    async def _follow(self, running: RawHasher) -> None:
        for n, span in enumerate(self._spans):
            while n not in self._file.done:
                self._arrived.clear()
                await self._arrived.wait()
            await _in_thread(partial(self._hash, span, running))

    def _hash(self, span: Span, running: RawHasher) -> None:
        for chunk in self._file.read(span.first, span.end):
            running.update(chunk)

    def _put_together(self, kind: Kind, which: int) -> Checksum:
        digests = [
            [bytes.fromhex(raw) for raw in self._file.done[n].digests[which]]
            for n in range(len(self._spans))
        ]
        return whole_of(kind, self._spans, digests)


async def _in_thread(work: Callable[[], None]) -> None:
    """Run ``work`` away from the loop; cancelled, it is waited for: the file must stay open."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


class _SpanSink:
    """One range: hashed and written in the transfer's thread."""

    def __init__(self, file: Resumable, span: Span, kinds: tuple[Kind | None, Kind]) -> None:
        self._file = file
        self._span = span
        self._kinds = kinds
        self.start()

    def start(self) -> None:
        self._at = self._span.first
        self._hashers = {kind: hasher(*kind) for kind in self._kinds if kind is not None}
        self._chunks: list[bytes] = []
        self._held = 0

    def feed(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._held += len(chunk)
        if self._held >= BUFFER:
            self._flush()

    def finish(self) -> dict[Kind, list[bytes]]:
        """Write what is held, and give the digests."""
        self._flush()
        return {kind: one.raws() for kind, one in self._hashers.items()}

    def _flush(self) -> None:
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._held = 0
        for one in self._hashers.values():
            one.update(data)
        self._file.write(self._at, data)
        self._at += len(data)
