"""The local tree into the ``tree`` table: every file under one directory of a destination."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Protocol

from s3plan.model.local import FileStat, LocalFile
from s3plan.model.steps import Totals
from s3plan.tables import TREE, Database

_BATCH = 2_000


class Scannable(Protocol):
    """As much of a tree as looking at it needs."""

    @property
    def root(self) -> Path: ...
    def scan(self, root: str) -> Iterator[LocalFile]: ...


def observe_tree(tree: Scannable, root: str, database: Database) -> Totals:
    """Add a row per file below ``root`` (relative to the tree).

    What is no regular file has size -1. A ``root`` that does not exist has no files. Errors of the
    tree (DestinationError) pass.
    """
    items = size = 0
    for batch in _batches(tree.scan(root)):
        database.append(
            TREE,
            {
                "path": [file.path for file in batch],
                "size": [file.stat.size for file in batch],
                "mtime_ns": [file.stat.mtime_ns for file in batch],
                "inode": [signed(file.stat.inode) for file in batch],
                "device": [signed(file.stat.device) for file in batch],
            },
            {"destination": str(tree.root)},
        )
        items += len(batch)
        size += sum(max(0, file.stat.size) for file in batch)
    return Totals(items, size)


def signed(number: int) -> int:
    """An unsigned 64-bit number (some filesystems use all bits of an inode) as a BIGINT."""
    return number - 2**64 if number >= 2**63 else number


def recorded_stat(device: int, inode: int, size: int, mtime_ns: int) -> FileStat:
    """The stat whose numbers a table holds, as it was before :func:`signed`."""
    return FileStat(device % 2**64, inode % 2**64, size, mtime_ns)


def _batches(files: Iterable[LocalFile]) -> Iterator[list[LocalFile]]:
    iterator = iter(files)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
