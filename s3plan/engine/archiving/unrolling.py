"""Members of an archive that is packed as one piece, taken as they go by.

There is no way to one of them but past all that come before it. So those that are wanted are
written in one reading, in the order of the tar; what comes after the last of them is not read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from s3plan.engine.archiving.opening import Opened
from s3plan.model.archives import TarMember
from s3plan.rules.unpacking import Unpacker
from s3plan.store import Bucket


class Taker(Protocol):
    """Takes the content of one member, in the thread of the transfer; may raise to leave off."""

    def feed(self, chunk: memoryview) -> None:
        """The next bytes; they are valid until this returns."""

    def end(self) -> None:
        """That was all."""

    def abort(self) -> None:
        """It is not to be: the content comes again from its first byte, or never."""


class _Enough(Exception):
    """Every wanted member has gone by."""


class _Unroll:
    """Receives the archive; starts over with what is left where a transfer has to."""

    def __init__(
        self, opened: Opened, wanted: Sequence[TarMember], take: Callable[[TarMember], Taker]
    ) -> None:
        self._compression = opened.compression
        self._take = take
        self._left = sorted((one for one in wanted if one.size), key=lambda one: one.offset)
        self._empty = [one for one in wanted if not one.size]
        self._taker: Taker | None = None
        self._at = 0

    def empty(self) -> bool:
        """Give what has no bytes; whether there is nothing else."""
        for member in self._empty:
            self._take(member).end()
        return not self._left

    def start(self, head: object) -> None:
        self.abort()
        self._unpacker = Unpacker(self._compression, self._piece)
        self._at = 0

    def feed(self, chunk: bytes) -> None:
        self._unpacker.feed(chunk)

    def abort(self) -> None:
        if self._taker is not None:
            self._taker.abort()
            self._taker = None

    def _piece(self, data: memoryview) -> None:
        while data:
            member = self._left[0]
            if self._at < member.offset:
                size = min(len(data), member.offset - self._at)
            else:
                if self._taker is None:
                    self._taker = self._take(member)
                size = min(len(data), member.offset + member.size - self._at)
                self._taker.feed(data[:size])
            self._at += size
            data = data[size:]
            if self._at == member.offset + member.size:
                self._ended()

    def _ended(self) -> None:
        taker, self._taker = self._taker, None
        assert taker is not None
        try:
            taker.end()
        except BaseException:
            taker.abort()
            raise
        del self._left[0]
        if not self._left:
            raise _Enough


async def unroll(
    bucket: Bucket, opened: Opened, wanted: Sequence[TarMember], take: Callable[[TarMember], Taker]
) -> None:
    """Read the archive until every wanted member has been given to what ``take`` says.

    Members that do not come, as the archive ends before them, are left out. Raises BadPacking where
    it cannot be unpacked, what a taker raises, and StoreError.
    """
    receiver = _Unroll(opened, wanted, take)
    if receiver.empty():
        return
    head = opened.head
    try:
        await bucket.get_to(head.key, receiver, if_match=head.etag, version=head.version_id)
    except _Enough:
        return
    finally:
        receiver.abort()
