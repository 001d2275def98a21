"""The digests of a file as it is on disk now, and its stat from the same open file."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from s3plan.errors import DestinationError
from s3plan.localfs.tree import Tree
from s3plan.model.local import FileStat
from s3plan.model.objects import Checksum, Kind
from s3plan.rules.hashing import hasher


def digests_of_file(
    tree: Tree,
    path: str,
    kinds: Sequence[Kind],
    between: Callable[[], None] = lambda: None,
) -> tuple[tuple[Checksum, ...], FileStat]:
    """Read the whole file past the page cache, once; the digests are in the order asked for.

    ``between`` is called after each chunk, and may raise to leave off. Raises Missing where there
    is no regular file, DestinationError where it cannot be read.
    """
    with tree.open_read(path, drop_cache=True) as file:
        running = [hasher(*kind) for kind in kinds]
        for chunk in file.chunks():
            for one in running:
                one.update(chunk)
            between()
        return tuple(one.checksum() for one in running), file.stat


def digest_of_file(tree: Tree, path: str, kind: Kind) -> tuple[Checksum, FileStat] | None:
    """The one digest; None where the file is missing or cannot be read."""
    try:
        (checksum,), stat = digests_of_file(tree, path, [kind])
    except (DestinationError, OSError):
        return None
    return checksum, stat
