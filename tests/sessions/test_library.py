"""Which file of a library is of which session, on disk and by the indexes of its archives."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from s3plan.errors import DestinationError, ManifestError
from s3plan.inventory.library import observe_library
from s3plan.model.sessions import Library
from s3plan.rules.sessions import GROUP_KEYS
from s3plan.rules.sessions.lists import ListError, read_list
from s3plan.rules.sessions.names import SessionKey, SessionPattern, year_of
from s3plan.rules.systemfiles import SYSTEM_FILES
from s3plan.tables import MEMBERS, Database
from tests.sessions.fitsfiles import light

NOW = datetime(2026, 11, 20, tzinfo=UTC)
MODIFIED = "2024-03-16T04:00:00.000Z"


def write(root: Path, files: Mapping[str, bytes]) -> Path:
    """A library; every file was changed at MODIFIED."""
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        when = datetime.fromisoformat(MODIFIED).timestamp()
        os.utime(path, (when, when))
    return root


def by_directory(root: Path, pattern: str = "{year}/{session}") -> Library:
    parsed = SessionPattern.parse(pattern)
    return Library(str(root), "directory", parsed.regex, parsed.names, ignore=SYSTEM_FILES)


def looked_at(
    tmp_path: Path, library: Library, members: list[dict[str, Any]] | None = None
) -> dict[str, tuple[Any, ...]]:
    """Session, parts, member, why unknown and digest by path."""
    with Database(tmp_path / "scratch") as database:
        rows = members or []
        names = sorted({name for row in rows for name in row})
        if rows:
            columns = {name: [row.get(name) for row in rows] for name in names}
            database.append(MEMBERS, columns, {"bucket": "astro"})
        observe_library(library, NOW, database)
        found = database.rows(
            "SELECT path, session, parts, member, unknown, sha256 FROM session_files ORDER BY path"
        )
        return {path: tuple(rest) for path, *rest in found}


def test_directories_of_the_pattern_are_sessions(tmp_path: Path) -> None:
    """D9, D11: the year and the session by their directories, members below the session's name."""
    root = write(
        tmp_path / "library",
        {
            "2024/M31 night/lights/a.fits": light(),
            "2024/M31 night/notes.txt": b"clear",
            "2024/M31 night/.DS_Store": b"x",
            "2024/loose.fits": light(),
            "readme.txt": b"x",
        },
    )
    (root / "2024/M31 night/link").symlink_to("notes.txt")
    found = looked_at(tmp_path, by_directory(root))
    assert found == {
        "2024/M31 night/lights/a.fits": (
            "M31 night",
            '{"year": "2024"}',
            "M31 night/lights/a.fits",
            None,
            None,
        ),
        "2024/M31 night/link": (None, None, None, "it is a link or a special file", None),
        "2024/M31 night/notes.txt": (
            "M31 night",
            '{"year": "2024"}',
            "M31 night/notes.txt",
            None,
            None,
        ),
        "2024/loose.fits": (None, None, None, "it is in no directory of sessions.pattern", None),
        "readme.txt": (None, None, None, "it is in no directory of sessions.pattern", None),
    }


def test_headers_say_rig_and_night(tmp_path: Path) -> None:
    """D1: one rig in one night is a session wherever its files lie; others are told with why."""
    root = write(
        tmp_path / "library",
        {
            "M31/a.fits": light(),
            "M33/b.fits": light("2024-03-16T06:00:00"),
            "M33/c.fits": light("2024-03-16T06:00:00", "ASI294MC"),
            "flat.fits": light(""),
            "log.txt": b"x",
        },
    )
    library = Library(str(root), "header", zone="site", keys=GROUP_KEYS)
    found = looked_at(tmp_path, library)
    assert {path: (row[0], row[2], row[3]) for path, row in found.items()} == {
        "M31/a.fits": ("20240315_43AB9D79", "20240315_43AB9D79/M31/a.fits", None),
        "M33/b.fits": ("20240315_43AB9D79", "20240315_43AB9D79/M33/b.fits", None),
        "M33/c.fits": ("20240315_2522D8D3", "20240315_2522D8D3/M33/c.fits", None),
        "flat.fits": (None, None, "DATE-OBS is missing"),
        "log.txt": (None, None, "it is no FITS file, and sessions go by headers"),
    }
    assert found["M31/a.fits"][1] == '{"year": "2024"}'


def test_a_session_stays_what_its_archive_says(tmp_path: Path) -> None:
    """D11: an id is stored, never computed again: not by another zone, not by a mended header."""
    root = write(tmp_path / "library", {"M31/a.fits": light(), "M31/b.fits": light(SITELONG=1.0)})
    members = [
        {"archive": "k", "name": "20240314_OLD/M31/a.fits", "size": 5760, "modified": MODIFIED},
        {"archive": "k", "name": "20240314_OLD/M31/b.fits", "size": 99, "modified": MODIFIED},
    ]
    library = Library(str(root), "header", zone="UTC", keys=GROUP_KEYS)
    found = looked_at(tmp_path, library, members)
    assert {row[0] for row in found.values()} == {"20240314_OLD"}


def test_a_list_says_it_all(tmp_path: Path) -> None:
    root = write(tmp_path / "library", {"a/x.raw": b"1", "b/y.raw": b"2", "z.raw": b"3"})
    listed = tmp_path / "sessions.csv"
    listed.write_text("session,path,target\n2023-01-02 M1,a/x.raw,M1\nother,b/y.raw,M2\n")
    library = Library(str(root), "list", listed=str(listed))
    found = looked_at(tmp_path, library)
    assert {path: row[:4] for path, row in found.items()} == {
        "a/x.raw": (
            "2023-01-02 M1",
            '{"target": "M1", "year": "2023"}',
            "2023-01-02 M1/a/x.raw",
            None,
        ),
        "b/y.raw": ("other", '{"target": "M2"}', "other/b/y.raw", None),
        "z.raw": (None, None, None, "the list does not name it"),
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("path,night\na,b\n", "the columns session and path; this has path, night"),
        ("session,path\na\n", "has not as many fields"),
        ("session,path\na,../b\n", "no path below the library"),
        ("session,path\na/b,c\n", "no name of a session"),
        ("session,path\na,c\nb,c\n", "is of two sessions, a and b"),
        ('[{"session": "a", "path": 5.5}]', "path is no text"),
        ('{"a": [1.5]}', "path is no text"),
        ("[1]", "entry 1 is no object"),
        ("[", "it is no JSON"),
    ],
)
def test_a_list_that_is_none_is_refused(text: str, why: str) -> None:
    with pytest.raises(ListError, match=why):
        list(read_list(text))


def test_a_list_may_be_json() -> None:
    assert [(one.session, one.path) for one in read_list('{"a": ["x", "y"], "b": "z"}')] == [
        ("a", "x"),
        ("a", "y"),
        ("b", "z"),
    ]


def test_a_library_that_is_not_there_is_no_empty_one(tmp_path: Path) -> None:
    """A disk that is not mounted must not look like a library without sessions (D50)."""
    with pytest.raises(DestinationError):
        looked_at(tmp_path, by_directory(tmp_path / "gone"))
    library = Library(str(write(tmp_path / "l", {"a": b""})), "list", listed=str(tmp_path / "no"))
    with pytest.raises((DestinationError, ManifestError)):
        looked_at(tmp_path, library)


def test_only_what_changed_is_read(tmp_path: Path) -> None:
    """D8: of files that an archive holds, those of another time are compared by their digest."""
    root = write(tmp_path / "library", {"2024/n/same": b"one", "2024/n/touched": b"two"})
    members = [
        {"archive": "k", "name": "n/same", "size": 3, "modified": MODIFIED, "sha256": "?"},
        {"archive": "k", "name": "n/touched", "size": 3, "modified": "2020", "sha256": "?"},
    ]
    found = looked_at(tmp_path, by_directory(root), members)
    assert found["2024/n/same"][4] is None
    assert found["2024/n/touched"][4] == sha256(b"two").hexdigest()


def test_what_patterns_and_keys_refuse() -> None:
    for text, why in (
        ("{year}", "one part is {session}"),
        ("{session}{year}", "something must stand between"),
        ("/{session}", "begins with no /"),
        ("{session}/{session}", "twice"),
    ):
        with pytest.raises(ValueError, match=why):
            SessionPattern.parse(text)
    for text, why in (
        ("{year}.tar", "that of many sessions"),
        ("/{session}", "neither begins nor ends"),
        ("{nights}/{session}", "there is no part {nights}"),
    ):
        with pytest.raises(ValueError, match=why):
            SessionKey.parse(text, ("session", "year"))
    assert year_of("19990101") == "1999"
