"""A destination's catalogue into the ``catalogue`` table: the last word on every key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import assert_never

import msgspec

from s3plan.errors import CatalogueError
from s3plan.inventory.local import signed
from s3plan.localfs.catalogue import read_catalogue
from s3plan.localfs.tree import Tree
from s3plan.model.local import (
    CatalogueBucket,
    CatalogueHeader,
    CatalogueRecord,
    CatalogueRemoved,
    CatalogueRow,
    CatalogueTags,
)
from s3plan.tables import CATALOGUE_LOG, Database
from s3plan.tables.database import Value

_BATCH = 5_000


@dataclass(frozen=True, slots=True)
class CatalogueState:
    """Whose catalogue it is, and what became of the bucket: ``deleted``, ``restored``, or None
    while nothing has.
    """

    header: CatalogueHeader
    bucket: str | None


def observe_catalogue(tree: Tree, bucket: str, database: Database) -> CatalogueState | None:
    """Add a row per key of ``bucket`` that the catalogue in ``tree`` says is on disk.

    The last record of a key counts; a removal voids what was before it. None where there is no
    catalogue. Raises CatalogueError where it is damaged. Memory does not grow with its rows.
    """
    catalogue = read_catalogue(tree, bucket)
    if catalogue is None:
        return None
    header, records = catalogue
    log = _Log(database, {"destination": str(tree.root), "bucket": bucket})
    for batch in _batches(records):
        log.add(batch)
    database.execute(_FOLD)
    database.execute("DELETE FROM catalogue_log")
    return CatalogueState(header, log.bucket)


# The last object or removal of a key counts; tags told after an object complete it.
_FOLD = """
    WITH last AS (
        SELECT * FROM catalogue_log WHERE record <> 'tags'
        QUALIFY row_number() OVER (PARTITION BY key ORDER BY seq DESC) = 1
    ), told AS (
        SELECT key, seq, tags FROM catalogue_log WHERE record = 'tags'
        QUALIFY row_number() OVER (PARTITION BY key ORDER BY seq DESC) = 1
    )
    INSERT INTO catalogue BY NAME
    SELECT last.* EXCLUDE (seq, record, tags_known, tags),
        last.tags_known OR told.seq IS NOT NULL AS tags_known, told.tags
    FROM last LEFT JOIN told ON told.key = last.key AND told.seq > last.seq
    WHERE last.record = 'object'
"""


class _Log:
    """The records in the order they were written, as rows of ``catalogue_log``."""

    def __init__(self, database: Database, constants: dict[str, Value]) -> None:
        self.bucket: str | None = None
        self._database = database
        self._constants = constants
        self._seq = 0

    def add(self, batch: list[CatalogueRecord]) -> None:
        """Add a batch; a bucket's record changes ``bucket`` instead. CatalogueError."""
        objects: list[tuple[int, CatalogueRow]] = []
        others: list[tuple[int, str, str, str | None]] = []
        for record in batch:
            self._seq += 1
            match record:
                case CatalogueRow():
                    objects.append((self._seq, record))
                case CatalogueTags():
                    tags = msgspec.json.encode(record.tags).decode()
                    others.append((self._seq, "tags", record.key, tags))
                case CatalogueRemoved():
                    others.append((self._seq, "removed", record.key, None))
                case CatalogueBucket():
                    self.bucket = record.state
                case CatalogueHeader():
                    raise CatalogueError(
                        "the catalogue has a second header",
                        address=f"{self._constants['destination']}: record {self._seq + 1}",
                        next_step="put the catalogue back from a backup",
                    )
                case _:
                    assert_never(record)
        if others:
            seqs, records, keys, told = zip(*others, strict=True)
            columns = {"seq": seqs, "record": records, "key": keys, "tags": told}
            self._database.append(CATALOGUE_LOG, columns, self._constants)
        if objects:
            self._add_objects([seq for seq, _ in objects], [row for _, row in objects])

    def _add_objects(self, seqs: list[int], rows: list[CatalogueRow]) -> None:
        self._database.append(
            CATALOGUE_LOG,
            {
                "seq": seqs,
                "key": [row.key for row in rows],
                "path": [row.path for row in rows],
                "size": [row.size for row in rows],
                "etag": [row.etag for row in rows],
                "modified": [row.modified for row in rows],
                "algorithm": [row.evidence.algorithm for row in rows],
                "value": [row.evidence.value for row in rows],
                "verdict": [row.verdict for row in rows],
                "device": [signed(row.file.device) for row in rows],
                "inode": [signed(row.file.inode) for row in rows],
                "mtime_ns": [row.file.mtime_ns for row in rows],
                "run": [row.run for row in rows],
                "adopted": [row.adopted for row in rows],
                "tags_known": [row.tags_known for row in rows],
                "attributes": [msgspec.json.encode(row.attributes).decode() for row in rows],
            },
            self._constants | {"record": "object"},
        )


def _batches(records: Iterable[CatalogueRecord]) -> Iterator[list[CatalogueRecord]]:
    iterator = iter(records)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
