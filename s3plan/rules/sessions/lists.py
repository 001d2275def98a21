"""A list that says which file is of which session: CSV with a header row, or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

COLUMNS = ("session", "path")


class Listed(Struct, frozen=True):
    """One file. ``path`` is below the library; ``parts`` is what else the list says of its
    session.
    """

    path: str
    session: str
    parts: dict[str, str]


class ListError(ValueError):
    """The list cannot be understood; the text says which row and why."""


def read_list(text: str) -> Iterator[Listed]:
    """The files in the list's order.

    CSV has the columns ``session`` and ``path``; every other one is a part of keys. JSON is a list
    of objects with the same names, where ``path`` may be a list; or an object with a list of paths
    for each session. Raises ListError.
    """
    rows = _of_json(text) if text.lstrip()[:1] in ("[", "{") else _of_csv(text)
    seen: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        session, path = row.pop("session", ""), row.pop("path", "")
        if not session or not path:
            raise ListError(f"entry {number:,} has no session or no path")
        if {"", ".", ".."} & set(path.split("/")):
            raise ListError(f"entry {number:,}: {path!r} is no path below the library")
        if "/" in session or session in (".", ".."):
            raise ListError(f"entry {number:,}: {session!r} is no name of a session")
        if seen.setdefault(path, session) != session:
            raise ListError(f"{path!r} is of two sessions, {seen[path]} and {session}")
        yield Listed(path, session, row)


def _of_csv(text: str) -> Iterator[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        names = tuple(reader.fieldnames or ())
        if not set(COLUMNS) <= set(names):
            raise ListError(
                f"a table has the columns session and path; this has {', '.join(names) or 'none'}"
            )
        for row in reader:
            if None in row or None in row.values():
                raise ListError(f"line {reader.line_num:,} has not as many fields as the first")
            yield row
    except csv.Error as error:
        raise ListError(f"line {reader.line_num:,} is no CSV: {error}") from error


def _of_json(text: str) -> Iterator[dict[str, str]]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ListError(f"it is no JSON: {error}") from error
    if isinstance(found, Mapping):
        found = [{"session": session, "path": paths} for session, paths in found.items()]
    for number, entry in enumerate(found, 1):
        if not isinstance(entry, Mapping):
            raise ListError(f"entry {number:,} is no object")
        paths = entry.get("path")
        for path in paths if isinstance(paths, list) else [paths]:
            yield _texts({**entry, "path": path}, number)


def _texts(entry: Mapping[str, Any], number: int) -> dict[str, str]:
    row: dict[str, str] = {}
    for name, value in entry.items():
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ListError(f"entry {number:,}: {name} is no text")
        row[name] = str(value)
    return row
