"""An archive that is packed as one piece, unpacked as it goes by: never much of it in memory.

gzip files may consist of members one after the other (RFC 1952, 2.2), zstd files of frames (RFC
8878, 3). A few bytes of either may unpack to very many; whoever takes the pieces says when it is
too much.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import IO, assert_never, cast

import zstandard

from s3plan.model.archives import Compression

PIECE = 1 << 20
"""Bytes that are given at once, at most."""

_AS_GZIP = 31

Give = Callable[[memoryview], None]
"""Takes the next bytes; they are valid until it returns."""


class BadPacking(ValueError):
    """These bytes cannot be unpacked; says why."""


class Unpacker:
    """Takes what is packed in its order and gives what it unpacks to. Its methods block."""

    def __init__(self, compression: Compression, give: Give) -> None:
        """What ``give`` raises comes out of :meth:`feed`."""
        self._take: _Plain | _Gzip | _Zstd
        match compression:
            case "none":
                self._take = _Plain(give)
            case "gzip":
                self._take = _Gzip(give)
            case "zstd":
                self._take = _Zstd(give)
            case _:
                assert_never(compression)

    def feed(self, chunk: bytes) -> None:
        """The next bytes. Raises BadPacking."""
        try:
            self._take.feed(chunk)
        except (zlib.error, zstandard.ZstdError) as error:
            raise BadPacking(f"it cannot be unpacked: {error}") from error

    def end(self) -> None:
        """There are no more. Raises BadPacking where that is too early, as far as it shows."""
        if not self._take.is_whole:
            raise BadPacking("what it is packed with ends early")


class _Plain:
    is_whole = True

    def __init__(self, give: Give) -> None:
        self._give = give

    def feed(self, chunk: bytes) -> None:
        self._give(memoryview(chunk))


class _Gzip:
    """Members one after the other; zeros may fill the file up."""

    def __init__(self, give: Give) -> None:
        self._give = give
        self._member = zlib.decompressobj(_AS_GZIP)
        self._begun = True

    @property
    def is_whole(self) -> bool:
        return not self._begun

    def feed(self, chunk: bytes) -> None:
        while chunk:
            if not self._begun:
                chunk = chunk.lstrip(b"\0")
                if not chunk:
                    return
                self._member, self._begun = zlib.decompressobj(_AS_GZIP), True
            piece = None
            # A full piece may leave output behind, also where no input is left.
            while piece is None or (not self._member.eof and (chunk or len(piece) == PIECE)):
                piece = self._member.decompress(chunk, PIECE)
                chunk = self._member.unconsumed_tail
                self._give(memoryview(piece))
            chunk = self._member.unused_data
            self._begun = not self._member.eof


class _Zstd:
    """Frames one after the other. Whether the last one is whole does not show."""

    is_whole = True

    def __init__(self, give: Give) -> None:
        self._give = give
        self._writer = zstandard.ZstdDecompressor().stream_writer(
            cast("IO[bytes]", self), write_size=PIECE
        )

    def write(self, data: bytes) -> int:
        """What the library calls with what it unpacked."""
        self._give(memoryview(data))
        return len(data)

    def feed(self, chunk: bytes) -> None:
        self._writer.write(chunk)
