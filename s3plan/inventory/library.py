"""A library on disk and the indexes of its archives: which file is of which session.

What an index knows already, by name, size and time of change, is not read again: a library of
25,000 files whose sessions are archived costs a look at their directories.
"""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64decode
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from s3plan.errors import ArchiveIndexError, ManifestError, StoreError
from s3plan.inventory.frames import is_fits, observe_frames
from s3plan.inventory.indexes import read_index
from s3plan.inventory.local import observe_tree
from s3plan.localfs.digests import digests_of_file
from s3plan.localfs.tablefile import lines
from s3plan.localfs.tree import Missing, Tree
from s3plan.model.sessions import INDEX_SUFFIX, Library
from s3plan.rules.filetimes import modified_of
from s3plan.rules.naming import encode_key, fold
from s3plan.rules.sessions.lists import Listed, ListError, read_list
from s3plan.rules.sessions.names import year_of
from s3plan.rules.sessions.nights import zone_named
from s3plan.rules.tarlayout import manifest_name
from s3plan.store import Bucket
from s3plan.tables import ARCHIVES, LISTED, MEMBERS, SESSION_FILES, Database

_BATCH = 5_000
_AT_ONCE = 32
"""Indexes that are read side by side; each is some ten kilobytes."""

OUTSIDE = "it is in no directory of sessions.pattern"
UNLISTED = "the list does not name it"
IRREGULAR = "it is a link or a special file"
NO_FITS = "it is no FITS file, and sessions go by headers"


async def observe_indexes(bucket: Bucket, database: Database) -> None:
    """Read every index in the listing of ``bucket`` into ``archives`` and ``members``.

    One that is damaged, or archived and cannot be read, has its ``problem`` said.
    """
    keys = [
        key
        for (key,) in database.rows(
            "SELECT key FROM listing WHERE bucket = ? AND ends_with(key, ?)"
            " AND history IS NULL ORDER BY key",
            [bucket.name, INDEX_SUFFIX],
        )
    ]
    for at in range(0, len(keys), _AT_ONCE):
        some = keys[at : at + _AT_ONCE]
        await asyncio.gather(*[_observe_index(bucket, key, database) for key in some])


async def _observe_index(bucket: Bucket, key: str, database: Database) -> None:
    archive = key.removesuffix(INDEX_SUFFIX)
    row: dict[str, str | int | None] = {"bucket": bucket.name, "key": archive}
    try:
        index = await read_index(bucket, key)
    except (ArchiveIndexError, StoreError) as error:
        database.append(ARCHIVES, {"problem": [error.found or error.what]}, row)
        return
    if index is None:
        return  # gone since the listing
    if (index.header.bucket, index.header.key) != (bucket.name, archive):
        problem = f"it is of s3://{index.header.bucket}/{index.header.key}"
        database.append(ARCHIVES, {"problem": [problem]}, row)
        return
    header = index.header
    database.append(
        ARCHIVES,
        {"name": [header.name]},
        {
            **row,
            "etag": header.etag,
            "size": header.size,
            "tar": header.tar,
            "made": header.made,
            "compression": header.compression,
            "content": header.content,
            "digest": index.digest,
            "frames": len(index.frames),
        },
    )
    # The list of digests is made with the archive, and is no file of the session.
    made = manifest_name(header.name)
    members = [member for member in index.members if member.name != made]
    paths = [encode_key(member.name, marker=False) for member in members]
    database.append(
        MEMBERS,
        {
            "name": [member.name for member in members],
            "size": [member.size for member in members],
            "modified": [member.modified for member in members],
            "sha256": [member.sha256 for member in members],
            "keywords": [msgspec.json.encode(member.keywords).decode() for member in members],
            "path": paths,
            "folded": [fold(path) for path in paths],
        },
        {"bucket": bucket.name, "archive": archive},
    )


def observe_library(library: Library, now: datetime, database: Database) -> None:
    """Fill ``tree``, ``frames``, ``listed`` and ``session_files``; after the indexes.

    Raises DestinationError where the library is not there or cannot be read, ManifestError for a
    list that cannot be understood.
    """
    with Tree.open(Path(library.path), create=False) as tree:
        observe_tree(tree, "", database)
        if library.listed is not None:
            _observe_list(library, library.listed, database)
        _place_files(library, database)
        _read_headers(library, tree, now, database)
        if library.by == "header":
            _place_by_headers(library, database)
        _read_changed(library, tree, database)


def _observe_list(library: Library, path: str, database: Database) -> None:
    try:
        text = b"".join(lines(Path(path))).decode("utf-8")
        found = list(read_list(text))
    except (ListError, UnicodeDecodeError) as error:
        raise ManifestError(
            "the list of sessions cannot be read",
            address=path,
            expected="CSV with the columns session and path, or JSON",
            found=str(error),
        ) from error
    for some in _batches(found):
        database.append(
            LISTED,
            {
                "path": [one.path for one in some],
                "session": [one.session for one in some],
                "parts": [_parts(one.session, one.parts) for one in some],
            },
            {"destination": library.path},
        )


def _place_files(library: Library, database: Database) -> None:
    """A row for each file that counts, with its session where its path or the list says it."""
    ignored = ignored_pattern(library.ignore)
    pattern = re.compile(library.pattern, re.DOTALL) if library.by == "directory" else None
    files = database.batches(
        "SELECT t.path, t.size, t.mtime_ns, l.session, l.parts FROM tree t"
        " LEFT JOIN listed l ON l.destination = t.destination AND l.path = t.path"
        " WHERE t.destination = ? AND NOT ends_with(t.path, '/') ORDER BY t.path",
        [library.path],
    )
    for batch in files:
        rows = [row for row in batch if ignored is None or not ignored.search(row[0])]
        placed = [_placed(library, pattern, *row) for row in rows]
        database.append(
            SESSION_FILES,
            {
                "path": [row[0] for row in rows],
                "size": [row[1] for row in rows],
                "modified": [modified_of(row[2]) for row in rows],
                "session": [one[0] for one in placed],
                "parts": [one[1] for one in placed],
                "member": [one[2] for one in placed],
                "unknown": [one[3] for one in placed],
            },
            {"destination": library.path},
        )


_Place = tuple[str | None, str | None, str | None, str | None]
"""Session, parts, member; or why there are none."""


def _placed(
    library: Library,
    pattern: re.Pattern[str] | None,
    path: str,
    size: int,
    _: int,
    session: str | None,
    parts: str | None,
) -> _Place:
    if size < 0:
        return None, None, None, IRREGULAR
    if library.by == "list":
        if session is None:
            return None, None, None, UNLISTED
        return session, parts, f"{session}/{path}", None
    if pattern is None:
        return None, None, None, None  # its header will say
    found = pattern.fullmatch(path)
    if found is None:
        return None, None, None, OUTSIDE
    *values, rest = found.groups()
    known = dict(zip(library.names, values, strict=True))
    name = known["session"]
    return name, _parts(name, known), f"{name}/{rest}", None


def _parts(session: str, known: dict[str, str]) -> str:
    """The parts of a session's keys as JSON; its year from its name, where nothing else says it."""
    parts = {name: value for name, value in known.items() if name != "session"}
    year = parts.get("year") or year_of(session)
    return json.dumps(parts | ({"year": year} if year else {}), sort_keys=True)


def _read_headers(library: Library, tree: Tree, now: datetime, database: Database) -> None:
    """Headers of the FITS files that no index knows as they are."""
    known = (
        "substr(m.name, instr(m.name, '/') + 1) = f.path"
        if library.by == "header"
        else "m.name = f.member"
    )
    paths = database.rows(
        "SELECT f.path FROM session_files f WHERE f.destination = ? AND f.size >= 0"  # noqa: S608
        " AND f.unknown IS NULL AND NOT EXISTS (SELECT 1 FROM members m"
        f" WHERE {known} AND m.size = f.size AND m.modified = f.modified) ORDER BY f.path",
        [library.path],
    )
    names = [path for (path,) in paths if is_fits(path)]
    zone = zone_named(library.zone)
    observe_frames(tree, library.path, names, zone, library.keys, now, database)


def _place_by_headers(library: Library, database: Database) -> None:
    """The session that an index says, for good; else that of the header."""
    database.execute(
        """
        UPDATE session_files SET session = found.session,
            member = found.session || '/' || found.path,
            parts = '{"year": "' || substr(found.session, 1, 4) || '"}'
        FROM (
            SELECT f.path, coalesce(min(m.session), min(h.session)) AS session
            FROM session_files f
            LEFT JOIN (
                SELECT substr(name, 1, instr(name, '/') - 1) AS session,
                    substr(name, instr(name, '/') + 1) AS path FROM members
            ) m ON m.path = f.path
            LEFT JOIN frames h ON h.destination = f.destination AND h.path = f.path
            WHERE f.destination = $library GROUP BY f.path
        ) found
        WHERE session_files.destination = $library AND session_files.path = found.path
            AND session_files.unknown IS NULL AND found.session IS NOT NULL""",
        {"library": library.path},
    )
    database.execute(
        """
        UPDATE session_files SET unknown = coalesce(
            (SELECT min(h.unknown) FROM frames h
             WHERE h.destination = $library AND h.path = session_files.path), $other)
        WHERE destination = $library AND session IS NULL AND unknown IS NULL""",
        {"library": library.path, "other": NO_FITS},
    )


def _read_changed(library: Library, tree: Tree, database: Database) -> None:
    """The digest of each file that an archive holds in the same size, changed at another time."""
    paths = [
        path
        for (path,) in database.rows(
            """
            SELECT f.path FROM session_files f WHERE f.destination = ? AND EXISTS (
                SELECT 1 FROM members m WHERE m.name = f.member AND m.size = f.size
            ) AND NOT EXISTS (
                SELECT 1 FROM members m
                WHERE m.name = f.member AND m.size = f.size AND m.modified = f.modified
            ) ORDER BY f.path""",
            [library.path],
        )
    ]
    for path in paths:
        try:
            (found,), _ = digests_of_file(tree, path, [("SHA256", "")])
        except Missing:
            continue  # gone since the directory was read
        database.execute(
            "UPDATE session_files SET sha256 = ? WHERE destination = ? AND path = ?",
            [b64decode(found.value).hex(), library.path, path],
        )


def ignored_pattern(globs: Sequence[str]) -> re.Pattern[str] | None:
    """What a path holds that counts for nothing: a name of its own or of a directory above it."""
    if not globs:
        return None
    names = "|".join(_glob(one) for one in globs)
    return re.compile(f"(?:^|/)(?:{names})(?:/|$)")


def _glob(glob: str) -> str:
    return "".join(
        "[^/]*" if part == "*" else "[^/]" if part == "?" else re.escape(part)
        for part in re.split(r"([*?])", glob)
    )


def _batches(listed: Sequence[Listed]) -> Iterator[Sequence[Listed]]:
    starts: Iterable[int] = range(0, len(listed), _BATCH)
    for at in starts:
        yield listed[at : at + _BATCH]
