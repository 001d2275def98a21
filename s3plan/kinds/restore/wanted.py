"""Which archives and which of their files a manifest means, and how each file stands on disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from s3plan.inventory.selection import any_of
from s3plan.kinds.kind import Filters
from s3plan.kinds.restore.manifest import ArchiveRestoreSpec
from s3plan.model.sessions import INDEX_SUFFIX
from s3plan.rules.classes import ARCHIVED_CLASSES
from s3plan.tables import Database

# An archive is what has an index; of the rest nobody knows what is in it.
_ARCHIVES = """
    CREATE OR REPLACE TABLE restore_archives AS
    SELECT l.key, a.name, l.size, l.etag, l.modified, l.storage_class, a.digest,
        coalesce(a.unindexed, false) AS unindexed, coalesce(a.asleep, false) AS asleep, a.others,
        CASE WHEN a.compression <> 'none' AND coalesce(a.frames, 0) = 0 THEN a.tar ELSE 0 END
            AS unpacked,
        CASE WHEN a.problem IS NOT NULL THEN a.problem
            WHEN a.etag <> l.etag OR a.size <> l.size THEN 'the archive is another one by now'
            END AS problem,
        CASE WHEN list_contains($cold, l.storage_class) THEN l.storage_class ELSE t.tier END
            AS cold
    FROM archives a
    JOIN listing l ON l.bucket = a.bucket AND l.key = a.key
    LEFT JOIN archive_tiers t ON t.bucket = l.bucket AND t.key = l.key AND t.history IS NULL
    WHERE a.bucket = $bucket AND regexp_full_match(l.key, $keys, 's')
        AND coalesce(regexp_full_match(a.name, $sessions, 's'), true)
        AND ($only = '' OR coalesce(regexp_full_match(a.name, $only, 's'), true))
        AND NOT ($exclude <> '' AND coalesce(regexp_full_match(a.name, $exclude, 's'), false))
    ORDER BY l.key
    LIMIT $limit"""

# A file that has the member's size and time is taken for it; one of its size that was changed at
# another time was read.
_MEMBERS = """
    CREATE OR REPLACE TABLE restore_members AS
    SELECT m.archive, m.name, m.path, m.folded, m.size, m.modified,
        CASE WHEN t.path IS NULL THEN 'missing'
            WHEN t.size <> m.size THEN 'occupied'
            WHEN strftime(make_timestamp(t.mtime_ns // 1000000 * 1000), '%Y-%m-%dT%H:%M:%S.%gZ')
                = m.modified THEN 'here'
            WHEN p.sha256 = m.sha256 THEN 'here'
            ELSE 'occupied' END AS state
    FROM members m
    JOIN restore_archives a ON a.key = m.archive AND a.problem IS NULL
    LEFT JOIN tree t ON t.destination = $destination AND t.path = m.path
    LEFT JOIN present p ON p.destination = $destination AND p.path = m.path
    WHERE m.bucket = $bucket
        AND regexp_full_match(CASE WHEN starts_with(m.name, a.name || '/')
            THEN substr(m.name, length(a.name) + 2) ELSE m.name END, $files, 's')"""

ITEMS = """
    INSERT INTO items BY NAME
    SELECT $step AS step, row_number() OVER (ORDER BY name) - 1 AS n, name AS key, path, size,
        '' AS etag, modified, 'STANDARD' AS storage_class
    FROM restore_members WHERE archive = $archive AND state = 'missing'"""

COLD = """
    CREATE OR REPLACE TABLE restore_cold AS
    SELECT key, size, etag, modified, storage_class, cold FROM restore_archives
    WHERE cold IS NOT NULL AND (asleep
        OR key IN (SELECT archive FROM restore_members WHERE state = 'missing'))
    UNION ALL
    SELECT key, size, etag, modified, storage_class, cold FROM restore_extras
    WHERE cold IS NOT NULL AND state = 'missing'"""
"""What must be asked for before it can be read: archives and extras."""

COLD_ITEMS = """
    INSERT INTO items BY NAME
    SELECT $step AS step, row_number() OVER (ORDER BY key) - 1 AS n, key, '' AS path, size, etag,
        modified, storage_class
    FROM restore_cold"""


class Wanted:
    """The tables ``restore_archives`` and ``restore_members`` of one manifest."""

    def __init__(
        self, database: Database, spec: ArchiveRestoreSpec, destination: str, filters: Filters
    ) -> None:
        """Fill them, from what was looked at."""
        self.database = database
        chosen = filters.sessions
        database.execute(
            _ARCHIVES,
            {
                "bucket": spec.source.bucket,
                "keys": any_of(spec.keys),
                "sessions": any_of(spec.sessions),
                "only": any_of(chosen.only) if chosen.only else "",
                "exclude": any_of(chosen.exclude) if chosen.exclude else "",
                "limit": chosen.limit if chosen.limit is not None else 2**31,
                "cold": sorted(ARCHIVED_CLASSES),
            },
        )
        database.execute(
            _MEMBERS,
            {
                "bucket": spec.source.bucket,
                "destination": destination,
                "files": any_of(spec.files),
            },
        )

    def rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        """Rows of a query of the two tables."""
        return self.database.rows(query)

    def without_index(self, bucket: str, prefix: str) -> int:
        """Objects that are no archive that s3plan knows, and no extra."""
        (count,) = self.database.row(
            "SELECT count(*) FROM listing l WHERE bucket = $bucket AND starts_with(key, $prefix)"
            " AND NOT ends_with(key, $suffix) AND NOT EXISTS (SELECT 1 FROM archives a"
            " WHERE a.bucket = l.bucket AND a.key = l.key)"
            " AND key NOT IN (SELECT key FROM restore_versions)",
            {"bucket": bucket, "prefix": prefix, "suffix": INDEX_SUFFIX},
        )
        return int(count)
