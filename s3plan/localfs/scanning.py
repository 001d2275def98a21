"""Walking a tree: every file below a directory, whatever kind it is, links never followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from s3plan.localfs.confinement import Confinement
from s3plan.localfs.refusals import refusal
from s3plan.model.local import FileStat, LocalFile
from s3plan.rules.naming import RESERVED

_LIST = os.O_RDONLY | os.O_DIRECTORY


def scan_tree(confinement: Confinement, root: str) -> Iterator[LocalFile]:
    r"""Everything below ``root`` (relative, empty for the whole tree), in no order.

    A ``root`` that is not there holds nothing. s3plan's own directory at the top is left out. A
    link or special file has size -1; a directory without entries is reported as ``path/``. A name
    that is no UTF-8 is shown with ``\xNN``. Raises DestinationError where anything cannot be
    read: a scan that failed anywhere is no scan.
    """
    pending = [root.encode()]
    while pending:
        directory = pending.pop()
        try:
            descriptor = confinement.open(directory, _LIST)
        except FileNotFoundError:
            continue  # the root is not there yet, or a directory went while we walked
        except OSError as error:
            raise refusal(error, _text(directory), "read the directory") from error
        try:
            yield from _scan_one(descriptor, directory, pending)
        except OSError as error:
            raise refusal(error, _text(directory), "read the directory") from error
        finally:
            os.close(descriptor)


def _scan_one(descriptor: int, directory: bytes, pending: list[bytes]) -> Iterator[LocalFile]:
    below = directory + b"/" if directory else b""
    prefix = _text(below)
    empty = True
    with os.scandir(descriptor) as entries:
        for entry in entries:
            empty = False
            name = entry.name
            if entry.is_dir(follow_symlinks=False):
                if below or name != RESERVED:
                    pending.append(below + os.fsencode(name))
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            path = prefix + (name if name.isascii() else _text(os.fsencode(name)))
            yield LocalFile(path, any_stat(status))
    if empty and directory:
        status = os.fstat(descriptor)
        yield LocalFile(prefix, FileStat(status.st_dev, status.st_ino, 0, status.st_mtime_ns))


def any_stat(status: os.stat_result) -> FileStat:
    """A stat in which only a regular file has a size; anything else has -1."""
    size = status.st_size if stat.S_ISREG(status.st_mode) else -1
    return FileStat(status.st_dev, status.st_ino, size, status.st_mtime_ns)


def _text(name: bytes) -> str:
    return name.decode(errors="backslashreplace")
