"""Files that are in a destination already and may be members of archives: read, if need be."""

from __future__ import annotations

from base64 import b64decode
from itertools import islice

from s3plan.localfs.digests import digest_of_file
from s3plan.localfs.tree import Tree
from s3plan.rules.filetimes import modified_of
from s3plan.tables import PRESENT, Database

_BATCH = 1_000

_CANDIDATES = """
    SELECT t.path, t.mtime_ns, list(DISTINCT m.modified)
    FROM tree t JOIN members m ON m.path = t.path AND m.size = t.size
    WHERE t.destination = ? AND m.bucket = ?
    GROUP BY ALL ORDER BY t.path"""


def observe_present(tree: Tree, bucket: str, database: Database) -> None:
    """Fill ``present``: the SHA-256 of files that have the path and size of a member of an archive.

    A file that also has its time is taken for it, and not read.
    """
    destination = str(tree.root)
    rows = (
        path
        for path, mtime_ns, times in list(database.rows(_CANDIDATES, [destination, bucket]))
        if modified_of(mtime_ns) not in times
    )
    while batch := list(islice(rows, _BATCH)):
        found = [digest_of_file(tree, path, ("SHA256", "")) for path in batch]
        database.append(
            PRESENT,
            {
                "path": batch,
                "sha256": [b64decode(one[0].value).hex() if one else None for one in found],
            },
            {"destination": destination},
        )
