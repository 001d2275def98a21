"""How each session stands in a bucket: archived as it is, changed since, or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from s3plan.kinds.kind import Filters
from s3plan.model.sessions import INDEX_SUFFIX, SessionState
from s3plan.rules.sessions.names import SessionKey, day_of
from s3plan.tables import SESSIONS, Database


@dataclass(frozen=True, slots=True)
class Session:
    """One session and its archive in one bucket. ``latest`` is when a file of it last changed.

    Of a changed one ``added``, ``altered`` and ``gone`` count files. ``etag``, ``size`` and
    ``storage_class`` are those of the archive that is there, ``index_etag`` of its index.
    """

    bucket: str
    name: str
    key: str
    parts: dict[str, str]
    state: SessionState
    files: int
    bytes: int
    latest: str
    etag: str | None = None
    size: int | None = None
    storage_class: str | None = None
    modified: str | None = None
    index_etag: str | None = None
    added: int = 0
    altered: int = 0
    gone: int = 0

    def kept_by(self, filters: Filters) -> bool:
        """Whether a plan that is narrowed so is about it."""
        return filters.sessions.keeps(self.name, self.parts.get("year"))


def name_sessions(
    database: Database, library: str, template: SessionKey
) -> tuple[list[str], list[str]]:
    """Fill ``sessions``; sessions that lack a part of their key, and keys that several would have.

    What has no key is not in the table.
    """
    lacking: list[str] = []
    rows: list[tuple[str, str, str, str]] = []
    taken: dict[str, str] = {}
    twice: list[str] = []
    found = database.rows(
        "SELECT DISTINCT session, parts FROM session_files"
        " WHERE destination = ? AND session IS NOT NULL ORDER BY session, parts",
        [library],
    )
    for name, text in found:
        parts = json.loads(text)
        try:
            key = template.key({**parts, "session": name})
        except KeyError as error:
            lacking.append(f"{name} has no {{{error.args[0]}}}")
            continue
        if key in taken:
            twice.append(f"{key}: {taken[key]} and {name}")
        taken[key] = name
        place = day_of(name) or parts.get("year", "")
        rows.append((name, text, key, f"{place} {name}"))
    database.append(
        SESSIONS,
        {
            column: [row[at] for row in rows]
            for at, column in enumerate(("session", "parts", "key", "place"))
        },
        {"destination": library},
    )
    return lacking, twice


def sessions_in(database: Database, library: str, bucket: str) -> Iterator[Session]:
    """Every session and how it stands in ``bucket``, oldest first."""
    rows = database.rows(_STANDING, {"library": library, "bucket": bucket, "suffix": INDEX_SUFFIX})
    for name, key, parts, *values in rows:
        yield Session(bucket, name, key, json.loads(parts), *values)


_STANDING = """
    WITH files AS (
        SELECT s.session, s.key, s.parts, s.place, f.member, f.size, f.modified, f.sha256
        FROM sessions s JOIN session_files f
            ON f.destination = s.destination AND f.session = s.session AND f.parts = s.parts
        WHERE s.destination = $library
    ), held AS (
        SELECT archive, name, size, modified, sha256 FROM members WHERE bucket = $bucket
    ), compared AS (
        SELECT coalesce(f.key, h.archive) AS key,
            count(*) FILTER (h.name IS NULL) AS added,
            count(*) FILTER (f.member IS NULL) AS gone,
            count(*) FILTER (f.size <> h.size OR (f.modified <> h.modified
                AND f.sha256 IS DISTINCT FROM h.sha256)) AS altered
        FROM files f FULL JOIN held h ON h.archive = f.key AND h.name = f.member GROUP BY 1
    ), totals AS (
        SELECT session, key, parts, place, count(*) AS files,
            CAST(sum(size) AS BIGINT) AS bytes, max(modified) AS latest
        FROM files GROUP BY ALL
    )
    SELECT t.session, t.key, t.parts, CASE
            WHEN l.key IS NULL AND i.key IS NOT NULL THEN 'unindexed'
            WHEN l.key IS NULL THEN 'new'
            WHEN a.key IS NULL OR a.problem IS NOT NULL THEN 'adopted'
            WHEN a.etag <> l.etag THEN 'other'
            WHEN c.added + c.gone + c.altered > 0 THEN 'changed'
            ELSE 'same' END,
        t.files, t.bytes, t.latest, l.etag, l.size, l.storage_class, l.modified, i.etag,
        c.added, c.altered, c.gone
    FROM totals t JOIN compared c ON c.key = t.key
    LEFT JOIN listing l ON l.bucket = $bucket AND l.key = t.key AND l.history IS NULL
    LEFT JOIN listing i ON i.bucket = $bucket AND i.key = t.key || $suffix AND i.history IS NULL
    LEFT JOIN archives a ON a.bucket = $bucket AND a.key = t.key
    ORDER BY t.place"""
