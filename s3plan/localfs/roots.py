"""Opening the directory that a tree lives in, and saying what to do where that cannot be."""

from __future__ import annotations

import os
from pathlib import Path

from s3plan.errors import DestinationError
from s3plan.localfs.refusals import RootMissingError, refusal
from s3plan.rules.naming import RESERVED

FSTAB = Path("/etc/fstab")


def open_root(root: Path, *, create: bool) -> int:
    """A descriptor of ``root``, which may itself be reached through links: it is the user's choice.

    With ``create`` the directory is made where only it is missing, and it must be writable.
    Raises RootMissingError where it is missing otherwise, DestinationError where its parent is, or
    where it is no directory, read-only, forbidden, or on a disk that is not mounted.
    """
    root = Path(os.path.abspath(root))
    _check_mounted(root)
    if create and not root.exists() and root.parent.is_dir():
        try:
            root.mkdir()
        except FileExistsError:
            pass
        except OSError as error:
            raise refusal(error, str(root), "make the destination") from error
    try:
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise _missing(root) from error
    except NotADirectoryError as error:
        raise DestinationError(
            "the destination is not a directory",
            address=str(root),
            expected="a directory",
            found="a file",
            next_step="name a directory in the manifest's destination.path",
        ) from error
    except OSError as error:
        raise refusal(error, str(root), "open the destination") from error
    if create:
        try:
            _check_writable(root, descriptor)
        except DestinationError:
            os.close(descriptor)
            raise
    return descriptor


def _missing(root: Path) -> DestinationError:
    if root.parent.is_dir():
        return RootMissingError(
            "the destination does not exist yet",
            address=str(root),
            expected="a directory",
            found="nothing",
            next_step=f"mount its disk, or make it: mkdir {root}",
        )
    return DestinationError(
        "the directory that the destination would be in does not exist",
        address=str(root),
        expected=f"a directory {root.parent}",
        found="nothing",
        next_step=f"mount its disk, or make it: mkdir -p {root.parent}",
    )


def _check_writable(root: Path, descriptor: int) -> None:
    if os.statvfs(descriptor).f_flag & os.ST_RDONLY:
        found, next_step = "a read-only filesystem", "mount it writable"
    elif not os.access(root, os.W_OK | os.X_OK):
        found, next_step = "no right to write", f"as its owner: chmod u+wx {root}"
    else:
        return
    raise DestinationError(
        "the destination cannot be written",
        address=str(root),
        expected="a writable directory",
        found=found,
        next_step=f"{next_step}, then run the same command again",
    )


def _check_mounted(root: Path) -> None:
    """Refuse a path on a disk that the system knows and that is not plugged in.

    Files would land on the system disk below the mount point, and hide when the disk comes back.
    A directory that s3plan has used before in that state is taken as meant.
    """
    point = _known_mount_point(root)
    if point is None or os.path.ismount(point) or (root / RESERVED).is_dir():
        return
    raise DestinationError(
        "the disk of the destination is not mounted",
        address=str(root),
        expected=f"a filesystem mounted at {point}, as {FSTAB} says",
        found="none",
        next_step=f"mount {point}",
    )


def _known_mount_point(root: Path) -> Path | None:
    try:
        text = FSTAB.read_text(errors="replace")
    except OSError:
        return None  # no such file here, or not for us: then nothing is known
    points = [
        Path(fields[1].replace("\\040", " "))
        for line in text.splitlines()
        if len(fields := line.split()) > 1 and not fields[0].startswith("#")
    ]
    above = [point for point in points if point != Path("/") and root.is_relative_to(point)]
    return max(above, key=lambda point: len(point.parts), default=None)
