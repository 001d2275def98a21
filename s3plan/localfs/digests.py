"""The digest of a file as it is on disk now, and its stat from the same open file."""

from __future__ import annotations

from s3plan.errors import DestinationError
from s3plan.localfs.tree import Tree
from s3plan.model.local import FileStat
from s3plan.model.objects import Checksum, ChecksumAlgorithm
from s3plan.rules.hashing import hasher


def digest_of_file(
    tree: Tree, path: str, algorithm: ChecksumAlgorithm
) -> tuple[Checksum, FileStat] | None:
    """Read the whole file past the page cache; None where it is missing or cannot be read."""
    try:
        with tree.open_read(path, drop_cache=True) as file:
            running = hasher(algorithm)
            for chunk in file.chunks():
                running.update(chunk)
            return running.checksum(), file.stat
    except (DestinationError, OSError):
        return None
