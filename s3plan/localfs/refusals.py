"""What the local filesystem may answer instead of doing it, as errors of s3plan's own tree."""

from __future__ import annotations

import errno

from s3plan.errors import DestinationError, S3PlanError
from s3plan.model.local import FileStat


class RootMissingError(DestinationError):
    """The root of a tree is not there yet; the directory it would stand in is."""

    code = "destination-missing"


class Occupied(DestinationError):
    """Something is there already: nothing was replaced."""

    code = "occupied"

    def __init__(self, path: str) -> None:
        """``path`` is relative to the root: where it stands, or what it is in the way of."""
        super().__init__(
            "something else is in the way",
            address=path,
            expected="a free name below directories of the destination itself",
            next_step="move what is there out of the destination",
        )


class Changed(DestinationError):
    """A file is not the one that was expected: it was left alone."""

    code = "changed"

    def __init__(self, path: str, expected: FileStat, found: FileStat | None) -> None:
        """``found`` is None where nothing is there; size -1 means no regular file."""
        super().__init__(
            "the file is not as it was left",
            address=path,
            expected=_described(expected),
            found=_described(found),
            next_step="look at the file; s3plan leaves it alone",
        )
        self.actual = found


class Missing(DestinationError, FileNotFoundError):
    """There is no regular file at a path (nothing, a directory, or a link)."""

    code = "missing"

    def __init__(self, path: str, found: str) -> None:
        """``found`` says what is there instead."""
        DestinationError.__init__(
            self, "there is no such file", address=path, expected="a regular file", found=found
        )


class BrokenLine(S3PlanError):
    """A line of an append-only log is damaged, and it is not the torn end of the last write."""

    code = "broken-line"

    def __init__(self, path: str, line: int) -> None:
        """``line`` counts from 1."""
        super().__init__(
            f"line {line} is damaged",
            address=f"{path}:{line}",
            expected="a line with its sequence number and checksum intact",
            next_step="restore the file from a copy; never edit it",
        )
        self.path = path
        self.line = line


def refusal(error: OSError, path: str, what: str) -> DestinationError:
    """``error`` as an error of s3plan; ``what`` ends the sentence "cannot ...".

    What stands in the way of one path is :class:`Occupied`; everything else concerns the whole
    destination.
    """
    if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENOTEMPTY):
        return Occupied(path)
    return DestinationError(
        f"cannot {what}: {error.strerror}",
        address=path,
        next_step=next_step_of(error, "look at the disk, then run the same again"),
    )


def next_step_of(error: OSError, otherwise: str) -> str:
    """What to type or do after ``error``; ``otherwise`` where nothing particular is known."""
    return _NEXT_STEPS.get(error.errno or 0, otherwise)


_NEXT_STEPS = {
    errno.ENOSPC: "make room (bytes or inodes) on the disk, then run the same command again",
    errno.EDQUOT: "raise the disk quota or make room, then run the same command again",
    errno.EROFS: "mount the filesystem writable, then run the same command again",
    errno.EACCES: "give yourself the right to write there, then run the same command again",
    errno.EPERM: "give yourself the right to write there, then run the same command again",
    errno.EIO: "the disk reports errors: look at the kernel's log, and do not trust the disk",
    errno.ENOENT: "mount the disk of the destination again, then run the same command again",
    errno.ESTALE: "mount the disk of the destination again, then run the same command again",
    errno.ENODEV: "mount the disk of the destination again, then run the same command again",
    errno.ENXIO: "mount the disk of the destination again, then run the same command again",
    errno.EBUSY: "end the other process (`s3plan lock status` names it), then run the same again",
    errno.ENFILE: "close other programs or raise fs.file-max, then run the same command again",
    errno.EMFILE: "raise the limit of open files (ulimit -n), then run the same command again",
    errno.EXDEV: "use a destination that is one filesystem, without mounts inside",
    errno.ENAMETOOLONG: "use a destination with a shorter path, or a filesystem with longer names",
}


def _described(stat: FileStat | None) -> str:
    if stat is None:
        return "nothing"
    if stat.size < 0:
        return "no regular file"
    return f"{stat.size} bytes, mtime {stat.mtime_ns} ns, inode {stat.inode}"
