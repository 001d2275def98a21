"""A large file while it is being written, under a temporary name until all of it is there."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType

from s3plan.localfs import kernel
from s3plan.localfs.refusals import refusal
from s3plan.model.local import FileStat

Bytes = bytes | bytearray | memoryview


class Partial:
    """Made by :meth:`s3plan.localfs.tree.Tree.partial`. One thread at a time.

    As a context manager it removes the temporary file unless it was committed.
    """

    def __init__(
        self,
        path: str,
        descriptor: int,
        size: int | None,
        place: Callable[[], None],
        discard: Callable[[], None],
    ) -> None:
        """``place`` gives the temporary file its final name; ``discard`` removes it."""
        self.path = path
        self._descriptor = descriptor
        self._size = size
        self._place = place
        self._discard = discard
        self._stat: FileStat | None = None
        self._ended = False
        self._reserve()

    def restart(self) -> None:
        """Drop what was written so far: the content comes again from its first byte."""
        if os.lseek(self._descriptor, 0, os.SEEK_CUR) == 0:
            return
        try:
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
        except OSError as error:
            raise refusal(error, self.path, "write the file again") from error
        self._reserve()

    def write(self, chunk: Bytes) -> None:
        """Append bytes. Raises DestinationError (a full disk, an error of the disk)."""
        try:
            write_all(self._descriptor, chunk)
        except OSError as error:
            raise refusal(error, self.path, "write the file") from error

    def commit(self, mtime_ns: int) -> FileStat:
        """Set the time and give the file its name, replacing nothing.

        Raises :class:`Occupied` where something is there; it may be called again after that.
        """
        if self._stat is None:
            try:
                self._stat = seal(self._descriptor, mtime_ns)
                os.close(self._descriptor)
            except OSError as error:
                raise refusal(error, self.path, "finish the file") from error
        self._place()
        self._ended = True
        return self._stat

    def abort(self) -> None:
        """Remove the temporary file; nothing happens after a commit or a second time."""
        if self._ended:
            return
        self._ended = True
        if self._stat is None:
            os.close(self._descriptor)
        self._discard()

    def __enter__(self) -> Partial:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.abort()

    def _reserve(self) -> None:
        # A disk that is too small says so now and not after an hour of downloading.
        if self._size is None:
            return
        try:
            kernel.reserve(self._descriptor, self._size)
        except OSError as error:
            self.abort()
            raise refusal(error, self.path, f"reserve {self._size} bytes") from error


def write_all(descriptor: int, data: Bytes) -> None:
    """write(2) until all of ``data`` is written. Raises OSError."""
    written = os.write(descriptor, data)
    if written < len(data):
        rest = memoryview(data)
        while written < len(data):
            written += os.write(descriptor, rest[written:])


def seal(descriptor: int, mtime_ns: int) -> FileStat:
    """Set the time of a file that is complete, and tell what it is. Raises OSError."""
    os.utime(descriptor, ns=(mtime_ns, mtime_ns))
    return stat_of(os.fstat(descriptor))


def stat_of(status: os.stat_result) -> FileStat:
    """The part of a stat that tells whether a regular file is still the same."""
    return FileStat(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
