"""A FITS file inside gzip: unpacked as far as somebody reads, and never more than a little of it
in memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

from s3plan.rules.fits.headers import FitsError

Chunks = Callable[[], Iterable[bytes | memoryview]]
"""The packed bytes from the beginning, each time it is called."""

MAGIC = b"\x1f\x8b"
_GZIP = 16 + zlib.MAX_WBITS
_OUT = 1 << 20
_KEPT = 4 << 20
"""Bytes behind the last read that can be read again without starting anew."""


class Unpacked:
    """The content of a gzip file, several members as one; a structure.Source.

    Reading raises FitsError where the file is damaged or ends too early.
    """

    def __init__(self, chunks: Chunks) -> None:
        """Nothing is read yet."""
        self._chunks = chunks
        self._start = 0
        self._buffer = bytearray()
        self._pieces = self._unpack()

    def read(self, offset: int, length: int) -> bytes:
        """So many bytes from there; fewer only at the end."""
        if offset < self._start:
            self._restart()
        self._fill(offset + length)
        # What is before the wish is let go of, but for a little.
        keep = offset - _KEPT
        if keep > self._start:
            del self._buffer[: keep - self._start]
            self._start = keep
        begin = offset - self._start
        return bytes(self._buffer[begin : begin + length])

    def reaches(self, size: int) -> bool:
        """Whether the content has at least so many bytes."""
        self._fill(size)
        return self._start + len(self._buffer) >= size

    def _restart(self) -> None:
        self._start = 0
        self._buffer = bytearray()
        self._pieces = self._unpack()

    def _fill(self, end: int) -> None:
        while self._start + len(self._buffer) < end:
            piece = next(self._pieces, None)
            if piece is None:
                return
            self._buffer += piece
            if len(self._buffer) > _KEPT + _OUT and self._start + len(self._buffer) < end:
                passed = len(self._buffer) - _KEPT
                del self._buffer[:passed]
                self._start += passed

    def _unpack(self) -> Iterator[bytes]:
        member = zlib.decompressobj(_GZIP)
        begun = False
        for chunk in self._chunks():
            data = bytes(chunk)
            while data:
                if member.eof:
                    # What follows the last member and is none is filling.
                    if not data.startswith(MAGIC[: len(data)]):
                        return
                    member = zlib.decompressobj(_GZIP)
                try:
                    piece = member.decompress(data, _OUT)
                except zlib.error as error:
                    raise FitsError("it is damaged: its gzip data cannot be unpacked") from error
                begun = True
                if piece:
                    yield piece
                data = member.unused_data if member.eof else member.unconsumed_tail
        if not begun or not member.eof:
            raise FitsError("it is truncated: its gzip data end in the middle")
