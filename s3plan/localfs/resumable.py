"""A large file that is written in ranges, in any order, and outlives the process that writes it.

It lies in ``.s3plan/parts/<bucket>/``, preallocated, beside a log of the ranges that are complete.
A range is in the log only after its bytes were on disk (fdatasync), so after a power cut as after a
kill everything that the log names is there, and nothing else is believed. The log's first record
says which object it is, and how it is cut; a file of anything else is begun anew.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from s3plan.localfs import kernel
from s3plan.localfs.appendlog import AppendLog, BrokenLine, read_log
from s3plan.localfs.confinement import Confinement
from s3plan.localfs.partial import Bytes, seal
from s3plan.localfs.refusals import refusal
from s3plan.model.local import FileStat
from s3plan.rules.naming import RESERVED, encode_component

PLACE = f"{RESERVED}/parts"
FORMAT = "s3plan.parts/1"

_CHUNK = 1 << 20
_data_sync = getattr(os, "fdatasync", os.fsync)  # macOS has only the latter


class Cut(Struct, frozen=True, tag_field="type", tag="cut"):
    """Which object the file is of, and how it is cut: everything has to be equal.

    ``source`` is bucket, key, ETag and version; ``digest`` is the kind that ranges are hashed in.
    """

    source: tuple[str, ...]
    size: int
    spans: int
    digest: tuple[str, str]
    format: str = FORMAT


class Done(Struct, frozen=True, tag_field="type", tag="range"):
    """A range whose bytes are on disk: its number, and its digests as hex, one list a kind."""

    n: Annotated[int, Meta(ge=0)]
    digests: tuple[tuple[str, ...], ...]


class Resumable:
    """Made by :meth:`s3plan.localfs.tree.Tree.resumable`.

    Ranges may be written by several threads at once. Raises DestinationError.
    """

    def __init__(
        self,
        path: str,
        directory: int,
        name: str,
        cut: Cut,
        place: Callable[[int, bytes], None],
    ) -> None:
        """``place`` gives a file, by directory and name, its final path. Owns ``directory``."""
        self.path = path
        self._directory = directory
        self._name = name.encode()
        self._log_name = f"{name}.log"
        self._place = place
        self._size = cut.size
        self._lock = threading.Lock()
        self._stat: FileStat | None = None
        self.done: dict[int, Done] = {}
        """Ranges that are complete and durable, by number."""
        try:
            self._descriptor, self._log = self._open(cut)
        except OSError as error:
            os.close(directory)
            raise refusal(error, path, f"reserve {cut.size} bytes") from error

    def write(self, offset: int, data: Bytes) -> None:
        """Write bytes at their place."""
        rest = memoryview(data)
        try:
            while rest:
                written = os.pwrite(self._descriptor, rest, offset)
                offset += written
                rest = rest[written:]
        except OSError as error:
            raise refusal(error, self.path, "write the file") from error

    def finish(self, n: int, digests: Sequence[Sequence[bytes]]) -> None:
        """Note that range ``n`` is complete, after making it durable."""
        done = Done(n, tuple(tuple(raw.hex() for raw in raws) for raws in digests))
        try:
            _data_sync(self._descriptor)
            with self._lock:
                self._log.append([msgspec.json.encode(done)])
                self._log.sync()
        except OSError as error:
            raise refusal(error, self.path, "make the file durable") from error
        self.done[n] = done

    def read(self, first: int, end: int) -> Iterator[bytes]:
        """Bytes ``first`` up to ``end`` as they are in the file."""
        try:
            while first < end:
                chunk = os.pread(self._descriptor, min(_CHUNK, end - first), first)
                if not chunk:
                    return
                first += len(chunk)
                yield chunk
        except OSError as error:
            raise refusal(error, self.path, "read the file") from error

    def commit(self, mtime_ns: int) -> FileStat:
        """Set the time and give the file its name, replacing nothing.

        Raises :class:`Occupied` where something is there; it may be called again after that.
        """
        try:
            if self._stat is None:
                # Bytes behind the last range are nobody's: only what the log names is believed.
                os.ftruncate(self._descriptor, self._size)
                self._stat = seal(self._descriptor, mtime_ns)
            self._place(self._directory, self._name)
            os.unlink(self._log_name, dir_fd=self._directory)
        except OSError as error:
            raise refusal(error, self.path, "finish the file") from error
        return self._stat

    def discard(self) -> None:
        """Remove file and log: they are of no use to anybody."""
        for name in (self._name, self._log_name.encode()):
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._directory)

    def close(self) -> None:
        """Let go of it; what is not committed stays for the next session."""
        self._log.close()
        os.close(self._descriptor)
        os.close(self._directory)

    def _open(self, cut: Cut) -> tuple[int, AppendLog]:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        known = self._known(cut)
        if known is not None:
            with suppress(FileNotFoundError):
                descriptor = os.open(self._name, flags, dir_fd=self._directory)
                self.done = {done.n: done for done in known}
                return descriptor, AppendLog.open(self._log_name, directory=self._directory)
        self.discard()
        log = AppendLog.create(self._log_name, directory=self._directory)
        log.append([msgspec.json.encode(cut)])
        log.sync()
        created = flags | os.O_CREAT | os.O_EXCL
        descriptor = os.open(self._name, created, 0o666, dir_fd=self._directory)
        # A disk that is too small says so now and not after hours of downloading.
        kernel.reserve(descriptor, cut.size)
        return descriptor, log

    def _known(self, cut: Cut) -> list[Done] | None:
        """What the log says is complete; None where it is of something else, or damaged."""
        try:
            records = [body for _, body in read_log(self._log_name, directory=self._directory)]
            if not records or msgspec.json.decode(records[0], type=Cut) != cut:
                return None
            return [msgspec.json.decode(record, type=Done) for record in records[1:]]
        except (FileNotFoundError, BrokenLine, msgspec.MsgspecError):
            return None


def place_of(bucket: str) -> str:
    """The directory of a bucket's unfinished files, below the destination."""
    return f"{PLACE}/{encode_component(bucket, first=False)}"


def clean(confinement: Confinement, bucket: str) -> int:
    """Remove a bucket's unfinished files; the count of them. Raises OSError."""
    try:
        directory = confinement.open(place_of(bucket), os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return 0
    try:
        names = os.listdir(directory)
        for name in names:
            os.unlink(name, dir_fd=directory)
    finally:
        os.close(directory)
    parent, last = confinement.parent(place_of(bucket))
    try:
        os.rmdir(last, dir_fd=parent)
    finally:
        os.close(parent)
    return sum(not name.endswith(".log") for name in names)
