"""A tree of files confined to a root directory: nothing leaves it, nothing in it is replaced.

Paths are relative, use ``/`` and come from :mod:`s3plan.rules.naming`; a path ending in ``/`` is a
directory. All methods block, may be called from several threads, and raise DestinationError (with
what to do) where the disk refuses. How a path is reached is the business of
:mod:`s3plan.localfs.confinement`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat as stat_bits
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from s3plan.errors import DestinationError
from s3plan.localfs import resumable, temporary
from s3plan.localfs.confinement import Confinement
from s3plan.localfs.partial import Bytes, Partial, seal, stat_of, write_all
from s3plan.localfs.reading import ReadFile
from s3plan.localfs.refusals import Changed, Missing, Occupied, RootMissingError, refusal
from s3plan.localfs.renaming import Renamer
from s3plan.localfs.resumable import Cut, Resumable
from s3plan.localfs.roots import open_root
from s3plan.localfs.scanning import any_stat, scan_tree
from s3plan.localfs.temporary import Temporary
from s3plan.model.local import FileStat, LocalFile, Space
from s3plan.rules.naming import RESERVED

__all__ = ["Changed", "Missing", "Occupied", "RootMissingError", "Tree"]

SET_ASIDE = f"{RESERVED}/set-aside"

# O_NONBLOCK: a named pipe that someone put there must not hold us.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


class Tree:
    """Open with :meth:`open`, end with :meth:`close` (or use as a context manager)."""

    def __init__(self, root: Path, confinement: Confinement) -> None:
        """For :meth:`open`."""
        self.root = root
        self.device = os.fstat(confinement.root).st_dev
        self.confinement = confinement
        self._temporary: Temporary | None = None
        self._lock = threading.Lock()
        self._renamer = Renamer()
        self._on_written: Callable[[str], None] | None = None

    @classmethod
    def open(cls, root: str | os.PathLike[str], *, create: bool) -> Tree:
        """The tree at ``root``; with ``create`` it is made if only it is missing, and writable.

        Raises RootMissingError (without ``create``) where there is no directory yet, and
        DestinationError for all else that :func:`s3plan.localfs.roots.open_root` names.
        """
        path = Path(root)
        return cls(path, Confinement(open_root(path, create=create)))

    def close(self) -> None:
        """Remove our temporary directory and let go of the root."""
        if self._temporary is not None:
            self._temporary.close()
            self._temporary = None
        self.confinement.close()

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- looking -------------------------------------------------------------------------------

    def check_place(self) -> None:
        """Raise DestinationError unless the root is still what is at its path.

        A disk that was pulled out or unmounted, or a directory that was moved, stays usable through
        our descriptor; who comes to look for the files by their path does not find them.
        """
        try:
            there = os.stat(self.root)
        except OSError as error:
            raise _out_of_place(self.root, str(error.strerror)) from error
        mine = os.fstat(self.confinement.root)
        if (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino):
            raise _out_of_place(self.root, "another directory")

    def stat(self, path: str) -> FileStat | None:
        """What is at ``path``: size -1 for anything but a regular file, None for nothing.

        Where a link or a file stands for one of its directories there is nothing either.
        """
        try:
            parent, name = self.confinement.parent(path)
            try:
                return any_stat(os.stat(name, dir_fd=parent, follow_symlinks=False))
            finally:
                os.close(parent)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return None
            raise refusal(error, path, "look at the file") from error

    def is_marker(self, path: str) -> bool:
        """Whether ``path`` ends in ``/`` and is a directory, whatever it holds."""
        if not path.endswith("/"):
            return False
        try:
            os.close(self.confinement.open(path[:-1], os.O_RDONLY | os.O_DIRECTORY))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return False
            raise refusal(error, path, "look at the directory") from error
        return True

    def open_read(self, path: str, *, drop_cache: bool) -> ReadFile:
        """A regular file, open; with ``drop_cache`` its bytes come from disk (after a sync).

        Raises :class:`Missing`, also a FileNotFoundError, where there is none.
        """
        try:
            descriptor = self.confinement.open(path, _READ)
        except FileNotFoundError as error:
            raise Missing(path, "nothing") from error
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
                raise Missing(path, "a link or something else") from error
            raise refusal(error, path, "open the file") from error
        status = os.fstat(descriptor)
        if not stat_bits.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise Missing(path, "no regular file")
        return ReadFile(path, descriptor, stat_of(status), drop_cache=drop_cache)

    def scan(self, root: str) -> Iterator[LocalFile]:
        """Everything below ``root``, as :func:`s3plan.localfs.scanning.scan_tree` says."""
        return scan_tree(self.confinement, root)

    def space(self) -> Space:
        """What an ordinary user may still fill. Some filesystems make inodes as needed: None."""
        figures = os.statvfs(self.confinement.root)
        free = figures.f_favail if figures.f_files else None
        return Space(figures.f_bavail * figures.f_frsize, free, block=figures.f_frsize)

    # -- writing -------------------------------------------------------------------------------

    def write_new(self, path: str, data: Bytes, mtime_ns: int) -> FileStat:
        """Make a small file whole: written under a temporary name, then renamed.

        ``mtime_ns`` is nanoseconds since 1970. Raises :class:`Occupied` where something is there;
        nothing is left behind by an error.
        """
        try:
            place = self._own_temporary()
            name, descriptor = place.create()
        except OSError as error:
            raise refusal(error, path, "make a temporary file") from error
        try:
            try:
                write_all(descriptor, data)
                stat = seal(descriptor, mtime_ns)
            finally:
                os.close(descriptor)  # raises too, where a network filesystem writes late
            self._place(path, place.directory, name)
        except BaseException as error:
            place.discard(name)
            if isinstance(error, OSError):
                raise refusal(error, path, "write the file") from error
            raise
        return stat

    def partial(self, path: str, size: int | None) -> Partial:
        """A large file to be written piece by piece; ``size`` bytes are reserved, if known."""
        try:
            place = self._own_temporary()
            name, descriptor = place.create()
        except OSError as error:
            raise refusal(error, path, "make a temporary file") from error

        def put() -> None:
            try:
                self._place(path, place.directory, name)
            except OSError as error:
                raise refusal(error, path, "rename the file") from error

        return Partial(path, descriptor, size, put, lambda: place.discard(name))

    def resumable(self, path: str, bucket: str, cut: Cut) -> Resumable:
        """A large file to be written in ranges, gone on with where it was begun before."""
        name = hashlib.sha256("\0".join((*cut.source, path)).encode()).hexdigest()[:32]
        place = resumable.place_of(bucket)
        try:
            directory = self.confinement.make_directory(place)
        except OSError as error:
            raise refusal(error, place, "make the directory") from error
        return Resumable(path, directory, name, cut, partial(self._place, path))

    def clean_resumable(self, bucket: str) -> int:
        """Remove the unfinished files of a bucket; how many there were.

        Call it with the run's lock held, and when nothing is being written.
        """
        try:
            return resumable.clean(self.confinement, bucket)
        except OSError as error:
            place = resumable.place_of(bucket)
            raise refusal(error, place, "remove unfinished files") from error

    def make_marker(self, path: str) -> FileStat:
        """Make the directory ``path`` (ending in ``/``) with all above it; it may be there already.

        Its size is given as 0. Raises :class:`Occupied` where something else stands in the way.
        """
        try:
            directory = self.confinement.make_directory(path.removesuffix("/"))
            try:
                status = os.fstat(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise refusal(error, path, "make the directory") from error
        self._written(path)
        return FileStat(status.st_dev, status.st_ino, 0, status.st_mtime_ns)

    def remove(self, path: str, expect: FileStat) -> None:
        """Remove a file that still is what ``expect`` says; raises :class:`Changed` where not.

        Between the look and the removal lies one system call. Directories stay.
        """
        try:
            parent, name = self.confinement.parent(path)
            try:
                found = any_stat(os.stat(name, dir_fd=parent, follow_symlinks=False))
                if found != expect:
                    raise Changed(path, expect, found)
                os.unlink(name, dir_fd=parent)
            finally:
                os.close(parent)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise Changed(path, expect, None) from error
            raise refusal(error, path, "remove the file") from error
        self._written(path)

    def prune_empty(self, path: str) -> None:
        """Remove the directory ``path`` (ending in ``/``) if it is empty, then those above it.

        For a file's path this begins at the directory it was in. The root stays.
        """
        parts = path.split("/")[:-1]
        while parts:
            try:
                parent, name = self.confinement.parent("/".join(parts))
                try:
                    os.rmdir(name, dir_fd=parent)
                finally:
                    os.close(parent)
            except FileNotFoundError:
                pass  # gone already: what is above it may be empty too
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.ELOOP):
                    return
                raise refusal(error, path, "remove the empty directory") from error
            parts.pop()
            self._written("/".join([*parts, ""]) if parts else "")

    def set_aside(self, path: str, label: str) -> str:
        """Move a file, whatever it is, to ``.s3plan/set-aside/<label>/<path>``; the new path.

        ``label`` is a directory name (a run's id). Raises :class:`Missing` where nothing is there
        and :class:`Occupied` where something was set aside under this name before.
        """
        aside = f"{SET_ASIDE}/{label}/{path}"
        try:
            source, name = self.confinement.parent(path)
            try:
                target, target_name = self.confinement.parent(aside, create=True)
                try:
                    os.stat(name, dir_fd=source, follow_symlinks=False)
                    self._renamer.rename(source, name, target, target_name)
                finally:
                    os.close(target)
            finally:
                os.close(source)
        except FileNotFoundError as error:
            raise Missing(path, "nothing") from error
        except FileExistsError as error:
            raise Occupied(aside) from error
        except OSError as error:
            raise refusal(error, path, "set the file aside") from error
        self._written(aside)
        self._written(path)
        return aside

    def leftovers(self) -> temporary.Leftovers:
        """Unfinished files of processes that are gone; only looks."""
        try:
            return temporary.leftovers(self.confinement)
        except OSError as error:
            raise refusal(error, temporary.PLACE, "look at temporary files") from error

    def clean_temporary(self) -> int:
        """Remove unfinished files of processes that are gone; how many there were.

        Call it with the run's lock held, and before anything is written.
        """
        try:
            return temporary.clean(self.confinement)
        except OSError as error:
            raise refusal(error, temporary.PLACE, "remove temporary files") from error

    def on_written(self, callback: Callable[[str], None]) -> None:
        """Have ``callback`` told each path that was made, removed or moved, from any thread."""
        self._on_written = callback

    # -- inside --------------------------------------------------------------------------------

    def _own_temporary(self) -> Temporary:
        if self._temporary is None:
            with self._lock:
                if self._temporary is None:
                    self._temporary = Temporary(self.confinement)
        return self._temporary

    def _place(self, path: str, directory: int, unfinished: bytes) -> None:
        """Give the finished file ``unfinished`` of a directory its path. Raises OSError."""
        parent, name = self.confinement.parent(path, create=True)
        try:
            self._renamer.rename(directory, unfinished, parent, name)
        finally:
            os.close(parent)
        self._written(path)

    def _written(self, path: str) -> None:
        if self._on_written is not None:
            self._on_written(path)


def _out_of_place(root: Path, found: str) -> DestinationError:
    return DestinationError(
        "the destination is not at its path any more",
        address=str(root),
        expected="the directory that the run began with",
        found=found,
        next_step="mount the disk of the destination again, then run the same command again",
    )
