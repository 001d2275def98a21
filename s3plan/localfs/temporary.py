"""Names for files that are not finished: one directory for each process that writes a tree."""

from __future__ import annotations

import fcntl
import itertools
import os
import secrets
from collections.abc import Iterator
from typing import NamedTuple

from s3plan.localfs.confinement import Confinement
from s3plan.rules.naming import RESERVED

PLACE = f"{RESERVED}/tmp"  # noqa: S108 - below the destination

_LOCK = b"lock"


class Temporary:
    """A directory of our own in ``.s3plan/tmp``, locked as long as this process lives.

    Owns its descriptors. Raises OSError.
    """

    def __init__(self, confinement: Confinement) -> None:
        """Make the directory and take its lock."""
        self._confinement = confinement
        self._numbers = itertools.count()
        self._path = f"{PLACE}/{os.getpid()}-{secrets.token_hex(4)}"
        self.directory = confinement.make_directory(self._path)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._lock = os.open(_LOCK, flags, 0o666, dir_fd=self.directory)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def create(self) -> tuple[bytes, int]:
        """The name and the descriptor of a new file, open for writing."""
        name = b"%d" % next(self._numbers)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return name, os.open(name, flags, 0o666, dir_fd=self.directory)

    def discard(self, name: bytes) -> None:
        """Remove a file that was not finished."""
        os.unlink(name, dir_fd=self.directory)

    def close(self) -> None:
        """Remove the directory; a file that is still being written stays, for :func:`clean`."""
        try:
            os.unlink(_LOCK, dir_fd=self.directory)
            parent, name = self._confinement.parent(self._path)
            try:
                os.rmdir(name, dir_fd=parent)
            finally:
                os.close(parent)
        except OSError:
            pass  # whatever is left is rubbish, and the next run removes it
        finally:
            os.close(self._lock)
            os.close(self.directory)


class Leftovers(NamedTuple):
    """Files that were never finished, of processes that are gone, and their bytes."""

    files: int
    bytes: int


def leftovers(confinement: Confinement) -> Leftovers:
    """What :func:`clean` would remove. Raises OSError."""
    sizes = [
        os.stat(name, dir_fd=directory, follow_symlinks=False).st_size
        for directory, _, _ in _dead(confinement)
        for name in _unfinished(directory)
    ]
    return Leftovers(len(sizes), sum(sizes))


def clean(confinement: Confinement) -> int:
    """Remove the files of processes that are gone; the count of these files. Raises OSError."""
    removed = 0
    for directory, place, name in _dead(confinement):
        removed += _empty(directory)
        os.rmdir(name, dir_fd=place)
    return removed


def _dead(confinement: Confinement) -> Iterator[tuple[int, int, str]]:
    """The directories of processes that are gone: each open, with its parent and its name."""
    try:
        place = confinement.open(PLACE, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        for name in os.listdir(place):
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            directory = os.open(name, flags, dir_fd=place)
            try:
                if _is_dead(directory):
                    yield directory, place, name
            finally:
                os.close(directory)
    finally:
        os.close(place)


def _is_dead(directory: int) -> bool:
    try:
        lock = os.open(_LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        return True  # it died between making the directory and the lock: runs do not overlap
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _unfinished(directory: int) -> list[str]:
    return [name for name in os.listdir(directory) if name != _LOCK.decode()]


def _empty(directory: int) -> int:
    names = _unfinished(directory)
    for name in os.listdir(directory):
        os.unlink(name, dir_fd=directory)
    return len(names)
