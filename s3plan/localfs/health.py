"""What a directory is made of: its filesystem, its room, and whether we may write there."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from s3plan.localfs.kernel import has_trustworthy_syncfs
from s3plan.model.local import Space

_MOUNTS = Path("/proc/self/mountinfo")

VOLATILE = frozenset({"tmpfs", "ramfs", "overlay"})
"""Filesystems whose content goes with a reboot (tmpfs) or with a container (overlay)."""


class Place(Struct, frozen=True):
    """``path`` is the directory, or the nearest above it that exists; ``filesystem`` is its type
    as the kernel names it, None where it does not tell. ``reports_errors`` says whether one
    syncfs makes files durable and tells of write-back errors.
    """

    path: Path
    exists: bool
    filesystem: str | None
    writable: bool
    space: Space
    reports_errors: bool


def look_at(path: Path) -> Place:
    """Look, and make nothing. Raises OSError where not even a directory above can be opened."""
    found = path.absolute()
    while not found.is_dir() and found != found.parent:
        found = found.parent
    descriptor = os.open(found, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        figures = os.statvfs(descriptor)
        read_only = bool(figures.f_flag & os.ST_RDONLY)
        return Place(
            path=found,
            exists=found == path.absolute(),
            filesystem=_filesystem(os.fstat(descriptor).st_dev),
            writable=not read_only and os.access(found, os.W_OK | os.X_OK),
            space=Space(
                bytes=figures.f_bavail * figures.f_frsize,
                inodes=figures.f_favail if figures.f_files else None,
                block=figures.f_frsize,
            ),
            reports_errors=has_trustworthy_syncfs(descriptor),
        )
    finally:
        os.close(descriptor)


def _filesystem(device: int) -> str | None:
    """The type of the mounted filesystem with this device number (proc_pid_mountinfo(5))."""
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        text = _MOUNTS.read_text(errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        if number in before.split(" ")[2:3]:
            return after.split(" ")[0]
    return None
