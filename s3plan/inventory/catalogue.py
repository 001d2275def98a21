"""A destination's catalogue into the ``catalogue`` table: the last word on every key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import assert_never

import msgspec
from msgspec import Struct

from s3plan.errors import CatalogueError
from s3plan.inventory.local import signed
from s3plan.localfs.catalogue import read_catalogue
from s3plan.localfs.tree import Tree
from s3plan.model.local import (
    CatalogueBucket,
    CatalogueConfiguration,
    CatalogueGrants,
    CatalogueHeader,
    CatalogueMarker,
    CatalogueRecord,
    CatalogueRemoved,
    CatalogueRow,
    CatalogueTags,
    CatalogueVerdict,
    CatalogueVersion,
)
from s3plan.rules.integrity import rung_of
from s3plan.tables import CATALOGUE, CATALOGUE_NOTES, Database
from s3plan.tables.database import Value

_BATCH = 1_000


class CatalogueState(Struct, frozen=True):
    """Whose catalogue it is, and what became of the bucket: ``deleted``, ``restored``, or None
    while nothing has, and by which run; and the configuration it had when that was last saved.
    """

    header: CatalogueHeader
    bucket: str | None
    configuration: CatalogueConfiguration | None = None
    bucket_run: str | None = None


def observe_catalogue(
    tree: Tree, bucket: str, database: Database, *, attributes: bool = False
) -> CatalogueState | None:
    """Add a row per key of ``bucket`` that the catalogue in ``tree`` says is on disk.

    Noncurrent versions and delete markers have rows of their own. The last record of each counts;
    a removal voids what was before it. None where there is no catalogue. Raises CatalogueError
    where it is damaged. Only putting objects back and reporting need ``attributes``: those, tags
    and S3's checksums, which are most of a row.
    """
    catalogue = read_catalogue(tree, bucket)
    if catalogue is None:
        return None
    header, records = catalogue
    log = _Log(database, {"destination": str(tree.root), "bucket": bucket}, attributes)
    for batch in _batches(records):
        log.add(batch)
    log.fold()
    return CatalogueState(header, log.bucket, log.configuration, log.bucket_run)


# What is appended is every object record there ever was. The last one of a key counts, unless a
# removal came after it; tags told after it complete it. Rows are struck out in place: a second copy
# of them is where the most memory would go.
_REPEATED = """
    SELECT count(*) > count(DISTINCT key) FROM catalogue
    WHERE destination = $destination AND bucket = $bucket
"""

# Only asked where there are versions, so that no other catalogue pays for them.
_REPEATED_VERSIONS = """
    SELECT count(*) > count(DISTINCT (key, history)) FROM catalogue
    WHERE destination = $destination AND bucket = $bucket
"""

_STRIKE_EARLIER = """
    DELETE FROM catalogue WHERE destination = $destination AND bucket = $bucket AND seq NOT IN (
        SELECT max(seq) FROM catalogue
        WHERE destination = $destination AND bucket = $bucket GROUP BY key, history)
"""

_STRIKE_REMOVED = """
    DELETE FROM catalogue USING catalogue_notes AS n
    WHERE catalogue.destination = $destination AND catalogue.bucket = $bucket
        AND n.record = 'removed' AND n.key = catalogue.key
        AND n.history IS NOT DISTINCT FROM catalogue.history AND n.seq > catalogue.seq
"""

_TELL_TAGS = """
    UPDATE catalogue SET tags_known = true, tags = n.tags
    FROM (
        SELECT key, history, seq, tags FROM catalogue_notes WHERE record = 'tags' AND seq IN (
            SELECT max(seq) FROM catalogue_notes WHERE record = 'tags' GROUP BY key, history)
    ) AS n
    WHERE catalogue.destination = $destination AND catalogue.bucket = $bucket
        AND n.key = catalogue.key AND n.history IS NOT DISTINCT FROM catalogue.history
        AND n.seq > catalogue.seq
"""


_TELL_GRANTS = """
    UPDATE catalogue SET grants = n.tags
    FROM (
        SELECT key, history, seq, tags FROM catalogue_notes WHERE record = 'grants' AND seq IN (
            SELECT max(seq) FROM catalogue_notes WHERE record = 'grants' GROUP BY key, history)
    ) AS n
    WHERE catalogue.destination = $destination AND catalogue.bucket = $bucket
        AND n.key = catalogue.key AND n.history IS NOT DISTINCT FROM catalogue.history
        AND n.seq > catalogue.seq
"""

# A verdict is about the file that had this digest, and no later one.
_TELL_VERDICTS = """
    UPDATE catalogue SET verdict = n.verdict, rung = n.rung
    FROM (
        SELECT key, history, seq, value, verdict, rung FROM catalogue_notes
        WHERE record = 'verdict' AND seq IN (
            SELECT max(seq) FROM catalogue_notes WHERE record = 'verdict' GROUP BY key, history)
    ) AS n
    WHERE catalogue.destination = $destination AND catalogue.bucket = $bucket
        AND n.key = catalogue.key AND n.history IS NOT DISTINCT FROM catalogue.history
        AND n.seq > catalogue.seq AND n.value = catalogue.value
"""

_Note = tuple[int, str, str, str | None, str | None, str | None, str | None, str | None]
"""A row of ``catalogue_notes``."""


class _Log:
    """The records in the order they were written, numbered, then folded."""

    def __init__(self, database: Database, constants: dict[str, Value], attributes: bool) -> None:
        self._attributes = attributes
        self.bucket: str | None = None
        self.bucket_run: str | None = None
        self.configuration: CatalogueConfiguration | None = None
        self._database = database
        self._constants = constants
        self._seq = 0
        self._noted = False
        self._versions = False

    def add(self, batch: list[CatalogueRecord]) -> None:
        """Add a batch; a bucket's record changes ``bucket`` instead. CatalogueError."""
        objects: list[tuple[int, CatalogueRow]] = []
        versions: list[tuple[int, CatalogueRow]] = []
        markers: list[tuple[int, CatalogueMarker]] = []
        notes: list[_Note] = []
        for record in batch:
            self._seq += 1
            match record:
                case CatalogueRow():
                    objects.append((self._seq, record))
                case CatalogueVersion():
                    versions.append((self._seq, record.object))
                case CatalogueMarker():
                    markers.append((self._seq, record))
                case CatalogueTags() | CatalogueGrants() | CatalogueVerdict() | CatalogueRemoved():
                    notes.append(self._note(record))
                case CatalogueBucket():
                    self.bucket, self.bucket_run = record.state, record.run
                case CatalogueConfiguration():
                    self.configuration = record
                case CatalogueHeader():
                    raise CatalogueError(
                        "the catalogue has a second header",
                        address=f"{self._constants['destination']}: record {self._seq + 1}",
                        next_step="put the catalogue back from a backup",
                    )
                case _:
                    assert_never(record)
        self._versions = self._versions or bool(versions or markers)
        self._add_notes(notes)
        if objects:
            self._add_objects(objects)
        if versions:
            self._add_objects(versions, {"history": [row.version_id for _, row in versions]})
        if markers:
            self._add_markers(markers)

    def _note(
        self, record: CatalogueTags | CatalogueGrants | CatalogueVerdict | CatalogueRemoved
    ) -> _Note:
        about = (record.key, record.version_id)
        match record:
            case CatalogueRemoved():
                return self._seq, "removed", *about, None, None, None, None
            case CatalogueTags():
                return self._seq, "tags", *about, self._json(record.tags), None, None, None
            case CatalogueGrants():
                return self._seq, "grants", *about, self._json(record.grants), None, None, None
            case CatalogueVerdict():
                told = (record.digest, record.verdict, record.rung)
                return self._seq, "verdict", *about, None, *told

    def _add_notes(self, notes: list[_Note]) -> None:
        if notes:
            self._noted = True
            names = [column.name for column in CATALOGUE_NOTES.columns]
            columns = dict(zip(names, zip(*notes, strict=True), strict=True))
            self._database.append(CATALOGUE_NOTES, columns)

    def _add_markers(self, markers: list[tuple[int, CatalogueMarker]]) -> None:
        self._database.append(
            CATALOGUE,
            {
                "seq": [seq for seq, _ in markers],
                "key": [marker.key for _, marker in markers],
                "modified": [marker.modified for _, marker in markers],
                "run": [marker.run for _, marker in markers],
                "history": [marker.version_id for _, marker in markers],
            },
            self._constants,
        )

    def _add_objects(
        self,
        numbered: list[tuple[int, CatalogueRow]],
        more: Mapping[str, Sequence[Value]] = MappingProxyType({}),
    ) -> None:
        rows = [row for _, row in numbered]
        self._database.append(
            CATALOGUE,
            {
                "seq": [seq for seq, _ in numbered],
                "key": [row.key for row in rows],
                "path": [row.path for row in rows],
                "size": [row.size for row in rows],
                "etag": [row.etag for row in rows],
                "modified": [row.modified for row in rows],
                "algorithm": [row.evidence.algorithm for row in rows],
                "value": [row.evidence.value for row in rows],
                "parts": [row.evidence.parts for row in rows],
                "verdict": [row.verdict for row in rows],
                "rung": [row.rung or rung_of(row.evidence, row.verdict) for row in rows],
                "device": [signed(row.file.device) for row in rows],
                "inode": [signed(row.file.inode) for row in rows],
                "mtime_ns": [row.file.mtime_ns for row in rows],
                "run": [row.run for row in rows],
                "adopted": [row.adopted for row in rows],
                "tags_known": [row.tags_known for row in rows],
                "attributes": [self._json(row.attributes) for row in rows],
                "missing_metadata": [row.missing_metadata for row in rows],
                "checksums": [self._json(row.checksums) for row in rows],
                **more,
            },
            self._constants,
        )

    def _json(self, value: object) -> str | None:
        return _json(value) if self._attributes else None

    def fold(self) -> None:
        """Leave the last word on every key."""
        question = _REPEATED_VERSIONS if self._versions else _REPEATED
        (repeated,) = self._database.row(question, self._constants)
        if repeated:
            self._database.execute(_STRIKE_EARLIER, self._constants)
        if self._noted:
            self._database.execute(_STRIKE_REMOVED, self._constants)
            self._database.execute(_TELL_TAGS, self._constants)
            self._database.execute(_TELL_GRANTS, self._constants)
            self._database.execute(_TELL_VERDICTS, self._constants)
            self._database.execute("DELETE FROM catalogue_notes")


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _batches(records: Iterable[CatalogueRecord]) -> Iterator[list[CatalogueRecord]]:
    iterator = iter(records)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
