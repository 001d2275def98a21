"""Locks between processes of one machine: flock on a file that says who holds it.

The kernel lets go of a lock when its process ends in any way, so none is ever stale. The file
stays: removing it would let two processes lock two files of one name.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec

from s3plan.errors import DestinationError, LockedError
from s3plan.localfs.refusals import next_step_of
from s3plan.localfs.tree import Tree

ATTEMPTS = 10
PAUSE = 0.02
"""Seconds between attempts: somebody may only be asking who holds the lock."""

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lock: ``since`` is RFC 3339, ``journal`` the path of the run's journal.

    ``what`` is the thing that is locked, where the lock's path does not tell. ``outlives`` is for
    how many seconds others may go on for this process once it is gone.
    """

    host: str
    pid: int
    since: str
    journal: str
    what: str = ""
    outlives: float = 0.0

    def __str__(self) -> str:
        """As errors and listings name it."""
        return f"process {self.pid} on {self.host} since {self.since} ({self.journal})"


class Lock:
    """A lock that is held. It is lost when somebody breaks it: removes or replaces its file.

    ``left`` is the last holder, where that had no time to let go.
    """

    def __init__(
        self, path: str | os.PathLike[str], descriptor: int, left: Holder | None = None
    ) -> None:
        """Made by :func:`hold` and :func:`hold_in`."""
        self.left = left
        self.path = os.path.abspath(path)
        status = os.fstat(descriptor)
        self._file = (status.st_dev, status.st_ino)

    def is_held(self) -> bool:
        """Whether the file that is locked is still the one at the lock's path."""
        try:
            status = os.stat(self.path, follow_symlinks=False)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._file


@contextmanager
def hold(path: str | os.PathLike[str], holder: Holder) -> Iterator[Lock]:
    """Hold the lock at ``path`` (made with its directory where missing) while the block runs.

    Raises LockedError, which names the holder, at once; DestinationError where locks cannot be.
    """
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        descriptor = os.open(path, _FLAGS, 0o666)
    except OSError as error:
        raise _unusable(path, error) from error
    with _holding(path, descriptor, holder) as lock:
        yield lock


@contextmanager
def hold_in(tree: Tree, path: str, holder: Holder) -> Iterator[Lock]:
    """Hold the lock at ``path`` below a tree's root, which no link there can lead elsewhere.

    Opening the tree first also keeps a lock file from being made where a disk is not mounted.
    Errors as :func:`hold`.
    """
    address = tree.root / path
    try:
        parent, name = tree.confinement.parent(path, create=True)
        try:
            descriptor = os.open(name, _FLAGS, 0o666, dir_fd=parent)
        finally:
            os.close(parent)
    except OSError as error:
        raise _unusable(address, error) from error
    with _holding(address, descriptor, holder) as lock:
        yield lock


@contextmanager
def _holding(path: str | os.PathLike[str], descriptor: int, holder: Holder) -> Iterator[Lock]:
    """Lock an open file, say who holds it, and close it at the end."""
    try:
        _lock(path, descriptor)
        left = _said(descriptor)
        if left is not None:
            # Also should this process be killed before it has waited for those of the last.
            holder = msgspec.structs.replace(holder, outlives=max(left.outlives, holder.outlives))
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, msgspec.json.encode(holder) + b"\n", 0)
        except OSError as error:
            raise _unusable(path, error) from error
        lock = Lock(path, descriptor, left)
        if not lock.is_held():
            # Broken between opening and locking: the file that counts is another one by now.
            raise _locked(path, None)
        yield lock
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def holder_of(path: str | os.PathLike[str]) -> Holder | None:
    """Who holds the lock now; None where it is free or was never taken.

    Raises LockedError where somebody holds it and does not say who.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = _said(descriptor)
        if holder is None:
            raise _locked(path, None) from error
        return holder
    except OSError as error:
        raise _unusable(path, error) from error
    finally:
        os.close(descriptor)
    return None


def break_lock(path: str | os.PathLike[str]) -> None:
    """Take a lock from its holder, who learns of it before its next write. Raises DestinationError.

    The next one locks another file of this name. Only for holders that cannot be reached.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unusable(path, error) from error


def _lock(path: str | os.PathLike[str], descriptor: int) -> None:
    for attempt in range(ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if attempt == ATTEMPTS - 1:
                raise _locked(path, _said(descriptor)) from error
            time.sleep(PAUSE)
        except OSError as error:
            raise _unusable(path, error) from error
        else:
            return


def _said(descriptor: int) -> Holder | None:
    try:
        return msgspec.json.decode(os.pread(descriptor, 1 << 16, 0), type=Holder)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None  # between locking and writing, or of another version


def _locked(path: str | os.PathLike[str], holder: Holder | None) -> LockedError:
    found = "a process that does not say who it is" if holder is None else str(holder)
    return LockedError(
        "another run holds the lock",
        address=os.fspath(path),
        found=found,
        next_step="wait for it to end, or end it, then run the same command again; "
        "`s3plan lock status` lists the locks",
    )


def _unusable(path: str | os.PathLike[str], error: OSError) -> DestinationError:
    return DestinationError(
        f"the lock cannot be taken: {error.strerror}",
        address=os.fspath(path),
        next_step=next_step_of(
            error, "use a directory that is writable and on a filesystem with file locks"
        ),
    )
