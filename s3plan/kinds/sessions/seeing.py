"""Sessions as they are on disk and in S3, for people who ask and plan nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from s3plan.errors import ProblemsError, UsageError
from s3plan.kinds.kind import Manifest, Observed
from s3plan.kinds.quantities import format_moment
from s3plan.kinds.sessions.manifest import ArchiveDocument, ArchiveSpec, TargetFields, library_of
from s3plan.kinds.sessions.obstacles import name_obstacles
from s3plan.kinds.sessions.standing import Session, name_sessions, sessions_in
from s3plan.model.sessions import Library, SeenSession
from s3plan.rules.sessions.names import day_of, year_of
from s3plan.tables import Database


def archiving(manifests: tuple[Manifest, ...], address: str) -> Manifest:
    """The one SessionArchive of a file. Raises UsageError where it holds none or several."""
    found = [one for one in manifests if isinstance(one.document, ArchiveDocument)]
    if len(found) != 1:
        raise UsageError(
            "sessions are those of one SessionArchive",
            address=address,
            expected="one document of kind SessionArchive",
            found=", ".join(one.name for one in found) or "none",
            next_step="name the file that holds just that one",
        )
    return found[0]


def seen_sessions(manifest: Manifest, observed: Observed) -> Iterator[SeenSession]:
    """Every session of every bucket, oldest first, then those that only the bucket still has.

    Raises ProblemsError for sessions that cannot have a key.
    """
    assert isinstance(manifest.document, ArchiveDocument)
    spec = manifest.document.spec
    library = library_of(spec, manifest.directory)
    lacking, twice = name_sessions(observed.database, library.path, spec.key)
    problems = list(name_obstacles(library, spec, lacking, twice))
    if problems:
        raise ProblemsError(f"{manifest.kind} {manifest.name} cannot be looked at", problems)
    rigs = _rigs(library, observed.database)
    young = format_moment(observed.now - timedelta(seconds=spec.sessions.min_age))
    for target in spec.targets():
        for session in sessions_in(observed.database, library.path, target.bucket):
            if not session.kept_by(manifest.filters):
                continue
            camera, telescope, night = rigs.get((session.name, session.key), (None, None, None))
            waits = session.state == "new" and session.latest >= young
            yield SeenSession(
                bucket=target.bucket,
                session=session.name,
                key=session.key,
                year=session.parts.get("year"),
                date=day_of(session.name) or night,
                camera=camera,
                telescope=telescope,
                files=session.files,
                bytes=session.bytes,
                state="waiting" if waits else session.state,
                **_archive(session, spec, target, observed.now),
            )
        yield from _retained(spec, target, library, observed)


def library_path(manifest: Manifest) -> Path:
    """The directory of the sessions' files."""
    assert isinstance(manifest.document, ArchiveDocument)
    return Path(library_of(manifest.document.spec, manifest.directory).path)


def files_of(
    manifest: Manifest, observed: Observed, session: SeenSession
) -> list[tuple[str, str, int]]:
    """Member, path in the library and bytes of each file of a session that is on disk."""
    library = str(library_path(manifest))
    return list(observed.database.rows(_FILES, [library, session.session, session.key]))


def _archive(
    session: Session, spec: ArchiveSpec, target: TargetFields, now: datetime
) -> dict[str, Any]:
    if session.etag is None or session.modified is None:
        return {}
    return {
        "size": session.size,
        "storage_class": session.storage_class,
        "archived": session.modified,
        **_moves(session.modified, spec, target, now),
    }


def _moves(
    modified: str, spec: ArchiveSpec, target: TargetFields, now: datetime
) -> dict[str, str | None]:
    """The class by age, and the day of the next move.

    S3 counts days from the upload and rounds up to the next midnight UTC ("Lifecycle rules: based
    on an object's age", https://docs.aws.amazon.com/AmazonS3/latest/userguide/
    intro-lifecycle-rules.html).
    """
    if spec.lifecycle is None:
        return {"expected_class": target.storage_class, "transition": None}
    uploaded = datetime.fromisoformat(modified)
    expected, coming = target.storage_class, None
    for move in spec.lifecycle.definition().transitions:
        due = (uploaded + timedelta(days=move.days or 0)).astimezone(UTC)
        day = (due + timedelta(days=1)).date()
        if day <= now.astimezone(UTC).date():
            expected = move.storage_class
        elif coming is None:
            coming = day.isoformat()
    return {"expected_class": expected, "transition": coming}


def _rigs(
    library: Library, database: Database
) -> dict[tuple[str, str], tuple[str | None, str | None, str | None]]:
    """Camera, telescope and night of most frames, by session and key."""
    rows = database.rows(_RIGS, [library.path])
    return {(name, key): (camera, telescope, night) for name, key, camera, telescope, night in rows}


def _retained(
    spec: ArchiveSpec, target: TargetFields, library: Library, observed: Observed
) -> Iterator[SeenSession]:
    rows = observed.database.rows(_RETAINED, {"library": library.path, "bucket": target.bucket})
    for name, key, files, size_on_disk, camera, telescope, size, storage_class, modified in rows:
        yield SeenSession(
            bucket=target.bucket,
            session=name,
            key=key,
            year=year_of(name),
            date=day_of(name),
            camera=camera,
            telescope=telescope,
            files=files,
            bytes=size_on_disk,
            state="retained",
            size=size,
            storage_class=storage_class,
            archived=modified,
            **_moves(modified, spec, target, observed.now),
        )


_FILES = """
    SELECT f.member, f.path, f.size FROM session_files f JOIN sessions s
        ON s.destination = f.destination AND s.session = f.session AND s.parts = f.parts
    WHERE f.destination = ? AND f.session = ? AND s.key = ? ORDER BY f.member"""

_RIGS = """
    WITH told AS (
        SELECT s.session, s.key, h.night, coalesce(h.keywords, m.keywords) AS keywords
        FROM session_files f
        JOIN sessions s
            ON s.destination = f.destination AND s.session = f.session AND s.parts = f.parts
        LEFT JOIN frames h ON h.destination = f.destination AND h.path = f.path
        LEFT JOIN members m ON m.archive = s.key AND m.name = f.member
        WHERE f.destination = ?
    )
    SELECT session, key, mode(json_extract_string(keywords, '$.INSTRUME')),
        mode(json_extract_string(keywords, '$.TELESCOP')), min(night)
    FROM told GROUP BY session, key"""

_RETAINED = """
    SELECT a.name, a.key, count(*), CAST(sum(m.size) AS BIGINT),
        mode(json_extract_string(m.keywords, '$.INSTRUME')),
        mode(json_extract_string(m.keywords, '$.TELESCOP')),
        any_value(l.size), any_value(l.storage_class), any_value(l.modified)
    FROM archives a
    JOIN members m ON m.bucket = a.bucket AND m.archive = a.key
    JOIN listing l ON l.bucket = a.bucket AND l.key = a.key AND l.history IS NULL
    WHERE a.bucket = $bucket
        AND a.key NOT IN (SELECT key FROM sessions WHERE destination = $library)
    GROUP BY a.name, a.key ORDER BY a.name"""
