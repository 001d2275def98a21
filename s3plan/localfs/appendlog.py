"""Append-only JSON Lines in which every line bears its number and a checksum.

A record ``{"a":1}`` is stored as ``{"seq":7,"a":1,"crc":"0a1b2c3d"}`` and a newline; the checksum
is CRC-32 (RFC 1952) of every byte before ``,"crc"``. A line without its newline is the torn end of
the last write and is dropped; any other damage is refused. One writer at a time, whoever reads.
"""

from __future__ import annotations

import errno
import os
import re
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from s3plan.localfs.partial import write_all
from s3plan.localfs.refusals import BrokenLine

__all__ = ["AppendLog", "BrokenLine", "read_log"]

_CHUNK = 1 << 16
_LONGEST_LINE = 1 << 24
_CRC = b',"crc":"'
_END = len(b',"crc":"00000000"}')
_START = re.compile(rb'\{"seq":(0|[1-9][0-9]{0,18}),')

_data_sync = getattr(os, "fdatasync", os.fsync)  # macOS has only the latter


class AppendLog:
    """The writing end. Raises OSError where the disk refuses, and :class:`BrokenLine`."""

    def __init__(self, path: Path, descriptor: int, seq: int, size: int) -> None:
        """For :meth:`create` and :meth:`open`."""
        self.path = path
        self._descriptor = descriptor
        self._seq = seq
        self._size = size
        self._lock = threading.Lock()

    @classmethod
    def create(cls, path: str | os.PathLike[str], *, directory: int | None = None) -> AppendLog:
        """A new log, durable with its directory. FileExistsError where there is one.

        ``directory`` is a descriptor that ``path`` is relative to.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o666, dir_fd=directory)
        try:
            os.fsync(descriptor)
            above = os.path.dirname(path) or "."
            folder = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(Path(path), descriptor, 0, 0)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        directory: int | None = None,
        check: bool = True,
    ) -> AppendLog:
        """An existing log, to go on with; a torn last line is cut off. Locks are the caller's.

        With ``check`` every line is read and verified; without, only the last one, for a log that
        has just been read or is too long to read again. FileNotFoundError where there is none.
        """
        if check:
            seq, size = 0, 0
            for seq, line in _lines(path, directory):  # noqa: B007 - the last one counts
                size += len(line) + 1
        else:
            seq, size = _last(path, directory)
        flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, dir_fd=directory)
        try:
            if os.fstat(descriptor).st_size > size:
                os.ftruncate(descriptor, size)
                _data_sync(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(Path(path), descriptor, seq, size)

    @property
    def seq(self) -> int:
        """The number of the last line; 0 while there is none."""
        return self._seq

    def append(self, bodies: Sequence[bytes]) -> int:
        """Write records (JSON objects with at least one member, on one line) in one go.

        Returns the number of the last one. They are durable after :meth:`sync`. After an OSError
        (a full disk; EBUSY where another process has written to the log) none of them is in it.
        """
        with self._lock:
            if os.fstat(self._descriptor).st_size != self._size:
                raise OSError(errno.EBUSY, "another process has written to it")
            seq = self._seq
            lines = []
            for body in bodies:
                seq += 1
                text = b'{"seq":%d,%b' % (seq, body[1:-1])
                lines.append(b'%b,"crc":"%08x"}\n' % (text, zlib.crc32(text)))
            data = b"".join(lines)
            try:
                write_all(self._descriptor, data)
            except OSError:
                # Half a line must not stand in the middle once there is room again.
                os.ftruncate(self._descriptor, self._size)
                raise
            self._seq = seq
            self._size += len(data)
            return seq

    def sync(self) -> None:
        """Return once every record is on disk (fdatasync)."""
        _data_sync(self._descriptor)

    def is_ours(self) -> bool:
        """Whether the log is still at its path, and holds what was written here and no more.

        For a ``path`` that is not relative to a directory's descriptor.
        """
        try:
            with self._lock:
                there = os.stat(self.path, follow_symlinks=False)
                mine = os.fstat(self._descriptor)
                same = (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)
                return same and mine.st_size == self._size
        except OSError:
            return False

    def close(self) -> None:
        """Let go of the file; does not sync."""
        os.close(self._descriptor)


def read_log(
    path: str | os.PathLike[str], *, directory: int | None = None
) -> Iterator[tuple[int, bytes]]:
    """The records with their numbers, which count from 1. FileNotFoundError where there is no log.

    Raises :class:`BrokenLine` at a line that is damaged, missing or out of turn.
    """
    for seq, line in _lines(path, directory):
        yield seq, _body(line)


def _open(path: str | os.PathLike[str], directory: int | None) -> int:
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)


def _lines(path: str | os.PathLike[str], directory: int | None) -> Iterator[tuple[int, bytes]]:
    descriptor = _open(path, directory)
    expected = 1
    rest: list[bytes] = []
    length = 0
    try:
        while chunk := os.read(descriptor, _CHUNK):
            *lines, last = chunk.split(b"\n")
            if lines:
                lines[0] = b"".join((*rest, lines[0]))
                rest.clear()
                length = 0
            rest.append(last)
            length += len(last)
            for line in lines:
                if _number(line) != expected:
                    raise BrokenLine(str(path), expected)
                yield expected, line
                expected += 1
            # No record is so long: a file of another kind must not be read into memory.
            if length > _LONGEST_LINE:
                raise BrokenLine(str(path), expected)
    finally:
        os.close(descriptor)


def _last(path: str | os.PathLike[str], directory: int | None) -> tuple[int, int]:
    """Number of the last whole line, and bytes up to its end; zeros where none is."""
    descriptor = _open(path, directory)
    try:
        tail, start = b"", os.fstat(descriptor).st_size
        # Until the piece holds the last newline and the one before it.
        while start and tail.count(b"\n") < 2 and len(tail) <= 2 * _LONGEST_LINE:
            length = min(_CHUNK, start)
            start -= length
            tail = os.pread(descriptor, length, start) + tail
    finally:
        os.close(descriptor)
    end = tail.rfind(b"\n")
    if end < 0 and not start:
        return 0, 0
    line = tail[tail.rfind(b"\n", 0, end) + 1 : end]
    seq = _number(line)
    if seq is None:
        # Damage: the whole is read to number the line, which raises where it comes to it.
        seq = sum(1 for _ in _lines(path, directory))
    return seq, start + end + 1


def _number(line: bytes) -> int | None:
    """The number of a line that is whole; None for any other."""
    text, end = line[:-_END], line[-_END:]
    if end != b'%b%08x"}' % (_CRC, zlib.crc32(text)):
        return None
    start = _START.match(text)
    return int(start[1]) if start else None


def _body(line: bytes) -> bytes:
    return b"{" + line[line.index(b",") + 1 : -_END] + b"}"
