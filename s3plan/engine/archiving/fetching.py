"""The content of one member of an archive, by the ranges of the object that hold it.

Where a member lies and what it is says the index, or, where there is none, what its headers were
when the plan was made; the plan names the digest of either. So no header can lead a file anywhere.
"""

from __future__ import annotations

import asyncio
import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterator

from s3plan.engine.archiving.opening import Opened
from s3plan.errors import ArchiveIndexError
from s3plan.model.archives import IndexFrame, TarMember
from s3plan.model.objects import ObjectHead
from s3plan.rules.frames import unpack
from s3plan.store import Bucket

Write = Callable[[bytes | memoryview], None]
"""Takes the next bytes of a member; may raise to leave off."""


class MemberSink:
    """A member that is written and hashed as it comes."""

    def __init__(self, restart: Callable[[], None], write: Write) -> None:
        """``restart`` drops what was written: it comes again from its first byte."""
        self._restart = restart
        self._write = write
        self._digest = hashlib.sha256()

    def start(self) -> None:
        """An attempt begins."""
        self._restart()
        self._digest = hashlib.sha256()

    def feed(self, chunk: bytes | memoryview) -> None:
        """The next bytes."""
        self._digest.update(chunk)
        self._write(chunk)

    @property
    def sha256(self) -> str:
        """Of everything so far, in hex."""
        return self._digest.hexdigest()


class _Held:
    """A range in memory."""

    def __init__(self) -> None:
        self.data = bytearray()

    def start(self) -> None:
        self.data.clear()

    def feed(self, chunk: bytes) -> None:
        self.data += chunk


class Members:
    """Fetches members of one archive."""

    def __init__(self, bucket: Bucket, opened: Opened) -> None:
        self._bucket = bucket
        self._head: ObjectHead = opened.head
        self._compression = opened.compression
        self._frames = sorted(opened.frames, key=lambda frame: frame.tar_offset)
        self._starts = [frame.tar_offset for frame in self._frames]
        # One frame at a time: members beside each other are in the same one.
        self._turn = asyncio.Lock()
        self._last: tuple[IndexFrame, bytes] | None = None

    async def fetch(self, member: TarMember, sink: MemberSink) -> None:
        """All bytes of the member into ``sink``, which is started first."""
        if not member.size:
            sink.start()
        elif self._compression == "none":
            end = member.offset + member.size
            await self._range(sink, member.offset, end)
        else:
            async with self._turn:
                sink.start()
                for frame in self._frames_of(member):
                    data = await self._unpacked(frame)
                    first = max(0, member.offset - frame.tar_offset)
                    end = min(frame.raw, member.offset + member.size - frame.tar_offset)
                    await asyncio.to_thread(sink.feed, memoryview(data)[first:end])

    async def digest(self, member: TarMember) -> str:
        """The SHA-256 that it must have, in hex; where nothing says it, that of a first read."""
        if member.sha256 is not None:
            return member.sha256
        sink = MemberSink(lambda: None, lambda _: None)
        await self.fetch(member, sink)
        return sink.sha256

    def _frames_of(self, member: TarMember) -> Iterator[IndexFrame]:
        at = bisect_right(self._starts, member.offset) - 1
        while at < len(self._frames) and self._starts[at] < member.offset + member.size:
            yield self._frames[at]
            at += 1

    async def _unpacked(self, frame: IndexFrame) -> bytes:
        if self._last is not None and self._last[0] == frame:
            return self._last[1]
        self._last = None
        held = _Held()
        await self._range(held, frame.offset, frame.offset + frame.size)
        try:
            data = await asyncio.to_thread(unpack, self._compression, bytes(held.data), frame.raw)
        except ValueError as error:
            raise ArchiveIndexError(
                "a piece of the archive cannot be unpacked",
                address=f"s3://{self._bucket.name}/{self._head.key}",
                expected=f"{frame.raw:,} bytes of the tar",
                found=str(error),
                next_step="verify the archive: it is damaged, or not the one of its index",
            ) from error
        self._last = frame, data
        return data

    async def _range(self, sink: MemberSink | _Held, first: int, end: int) -> None:
        await self._bucket.get_range(
            self._head.key, sink, first, end, of=self._head, version=self._head.version_id
        )
