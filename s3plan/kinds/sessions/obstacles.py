"""What keeps sessions from being archived: every problem with its files named and counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from s3plan.errors import PlanningError
from s3plan.kinds.obstacles import found
from s3plan.kinds.sessions.manifest import ArchiveSpec
from s3plan.kinds.sessions.standing import Session
from s3plan.model.sessions import Library
from s3plan.tables import Database

UNKNOWN = (
    "SELECT path || ': ' || unknown FROM session_files"
    " WHERE destination = ? AND unknown IS NOT NULL ORDER BY path"
)
BROKEN = """
    SELECT f.path || ': ' || f.broken FROM frames f
    JOIN session_files s ON s.destination = f.destination AND s.path = f.path
    WHERE f.destination = ? AND f.broken IS NOT NULL
        AND (s.session IS NULL OR s.session IN (SELECT unnest(?::VARCHAR[]))) ORDER BY f.path"""
LOST = """
    SELECT l.path FROM listed l ANTI JOIN tree t
        ON t.destination = l.destination AND t.path = l.path
    WHERE l.destination = ? ORDER BY l.path"""
GONE = """
    SELECT m.name || ' of ' || m.archive FROM members m
    ANTI JOIN session_files f ON f.destination = $library AND f.member = m.name
    WHERE m.bucket = $bucket AND m.archive IN (SELECT unnest($archives::VARCHAR[]))
    ORDER BY m.archive, m.name"""


def name_obstacles(
    library: Library, spec: ArchiveSpec, lacking: Sequence[str], twice: Sequence[str]
) -> Iterator[PlanningError]:
    """Sessions that cannot have the key that the template says."""
    yield from found(
        ((name,) for name in lacking),
        what="sessions cannot have a key",
        address=library.path,
        expected=f"every part of target.key, {spec.target.key}",
        next_step="name the part in sessions.pattern or in the list, or leave it out of target.key",
    )
    yield from found(
        ((name,) for name in twice),
        what="keys would be those of two sessions",
        address=library.path,
        expected="a key of its own for every session",
        next_step="put more parts of sessions.pattern into target.key",
    )


def file_obstacles(
    database: Database, library: Library, spec: ArchiveSpec, todo: Sequence[Session]
) -> Iterator[PlanningError]:
    """Files of no session, files that are gone, and files that are not whole."""
    said = spec.sessions
    if said.unknown == "block":
        yield from found(
            database.rows(UNKNOWN, [library.path]),
            what="files are of no session",
            address=library.path,
            expected="a session for every file",
            next_step="move them, name them in sessions.ignore, or set sessions.unknown: list",
        )
    if said.missing == "block":
        yield from found(
            database.rows(LOST, [library.path]),
            what="files are in the list and not on disk",
            address=library.listed or library.path,
            expected="every file that the list names",
            next_step="mount what is missing, correct the list, or set sessions.missing: list",
        )
        for bucket in sorted({one.bucket for one in todo}):
            keys = [one.key for one in todo if one.bucket == bucket and one.gone]
            values = {"library": library.path, "bucket": bucket, "archives": keys}
            yield from found(
                database.rows(GONE, values),
                what="files are in an archive that would be replaced, and no longer on disk",
                address=library.path,
                expected="every file that the archive holds",
                next_step="restore them (kind ArchiveRestore), or set sessions.missing: list",
            )
    if said.damaged == "block":
        names = sorted({one.name for one in todo})
        yield from found(
            database.rows(BROKEN, [library.path, names]),
            what="FITS files are damaged",
            address=library.path,
            expected="files as long as their headers say, and as their own sums say",
            next_step="take them again or move them, name them in sessions.ignore, or set"
            " sessions.damaged: archive",
        )


def archive_obstacles(
    orphans: Sequence[Session], chosen: Sequence[Session], *, versioned: bool
) -> Iterator[PlanningError]:
    """Indexes without their archives, and archives that cannot be replaced."""
    yield from found(
        ((one.key,) for one in orphans),
        what="archives are gone, and their indexes are not",
        address=_place(orphans),
        expected="both or neither",
        next_step="see who deleted them; delete the index objects to archive the sessions again",
    )
    replaced = [] if versioned else [one for one in chosen if one.etag is not None]
    yield from found(
        ((one.key,) for one in replaced),
        what="archives would be replaced, and cannot be",
        address=_place(replaced),
        expected="a bucket that keeps versions, so that the old archive stays",
        next_step="set bucket.versioning: enabled, or changed: list to leave them as they are",
    )


def _place(sessions: Sequence[Session]) -> str:
    return f"s3://{sessions[0].bucket}" if sessions else ""
