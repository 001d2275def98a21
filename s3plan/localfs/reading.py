"""Reading a file of a tree in chunks, from disk rather than from memory where asked."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import TracebackType

from s3plan.localfs.refusals import refusal
from s3plan.model.local import FileStat

CHUNK = 1 << 20
"""Bytes of a chunk at most."""


class ReadFile:
    """Made by :meth:`s3plan.localfs.tree.Tree.open_read`; use as a context manager."""

    def __init__(self, path: str, descriptor: int, stat: FileStat, *, drop_cache: bool) -> None:
        """``stat`` is that of the open file itself, so no later rename can part the two.

        ``drop_cache`` asks the kernel to forget what it holds of the file, so that the bytes come
        from the disk. What was never written there stays: sync first.
        """
        self.path = path
        self.stat = stat
        self._descriptor = descriptor
        if drop_cache and sys.platform == "linux":
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def chunks(self, first: int = 0) -> Iterator[memoryview]:
        """The content from byte ``first`` to its end. A chunk is valid until the next is asked for.

        Raises DestinationError where the disk cannot be read.
        """
        os.lseek(self._descriptor, first, os.SEEK_SET)
        buffer = memoryview(bytearray(min(CHUNK, max(self.stat.size, 1))))
        while True:
            try:
                count = os.readv(self._descriptor, [buffer])
            except OSError as error:
                raise refusal(error, self.path, "read the file") from error
            if count == 0:
                return
            yield buffer[:count]

    def read_at(self, offset: int, length: int) -> bytes:
        """So many bytes from there; fewer only at the end. Raises DestinationError."""
        pieces: list[bytes] = []
        try:
            while length and (piece := os.pread(self._descriptor, length, offset)):
                pieces.append(piece)
                offset, length = offset + len(piece), length - len(piece)
        except OSError as error:
            raise refusal(error, self.path, "read the file") from error
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def __enter__(self) -> ReadFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
