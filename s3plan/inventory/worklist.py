"""Worklists read from files: a JSON array, or line by line JSON objects and ``bucket|key``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import msgspec

from s3plan.errors import ProblemsError, WorklistError
from s3plan.model.worklist import Entry
from s3plan.rules.worklist import parse_json, parse_line
from s3plan.tables import ASKED, Database

_BATCH = 5_000
_MOST_PROBLEMS = 20

LARGEST_ARRAY = 64 * 1024 * 1024
"""Bytes up to which a JSON array is read: it is read whole, while lines are read one by one."""

LONGEST_LINE = 1024 * 1024
"""Bytes that one line may have: what is longer is no worklist."""

_ARRAY: msgspec.json.Decoder[list[msgspec.Raw]] = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Worklist:
    """What a plan is asked to be for. ``name`` is what the person calls it; ``entries`` gives them
    in order, each time it is called, and raises ProblemsError or WorklistError.
    """

    name: str
    entries: Callable[[], Iterable[Entry]]

    def buckets(self) -> frozenset[str]:
        """The buckets that it names."""
        return frozenset(entry.bucket for entry in self.entries())


def read_worklist(path: Path, name: str) -> Iterator[Entry]:
    """The entries of a file, in order. ``name`` is what the person calls it.

    Raises ProblemsError with the entries that cannot be read, WorklistError where nothing can be.
    """
    with _opened(path, name) as file:
        problems: list[WorklistError] = []
        for number, entry in _entries(file, name):
            if isinstance(entry, Entry):
                yield entry
                continue
            problems.append(
                WorklistError("an entry cannot be read", address=f"{name}:{number}", found=entry)
            )
            if len(problems) == _MOST_PROBLEMS:
                break
    if problems:
        raise ProblemsError(
            "the worklist is not right",
            problems,
            next_step="docs/worklists.md says how entries are written",
        )


def observe_worklist(entries: Iterable[Entry], database: Database) -> None:
    """Fill ``asked``; an entry that was there before is a duplicate."""
    rows = enumerate(entries)
    while batch := list(islice(rows, _BATCH)):
        database.append(
            ASKED,
            {
                "n": [n for n, _ in batch],
                "bucket": [entry.bucket for _, entry in batch],
                "key": [entry.key for _, entry in batch],
                "fields": [entry.fields or None for _, entry in batch],
            },
        )
    database.execute(
        "UPDATE asked SET reason = 'duplicate' FROM"
        " (SELECT bucket, key, min(n) AS first FROM asked GROUP BY bucket, key) AS f"
        " WHERE asked.bucket = f.bucket AND asked.key = f.key AND asked.n > f.first"
    )


@contextmanager
def _opened(path: Path, name: str) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise WorklistError(
            "the worklist cannot be read",
            address=name,
            found=error.strerror,
            next_step="name a file with --items, or - for standard input",
        ) from error


def _entries(file: BinaryIO, name: str) -> Iterator[tuple[int, Entry | str]]:
    """Each entry with its number, that of its line or its place in the array; or what is wrong."""
    file.seek(0)
    start = file.read(_BATCH).lstrip()
    if start[:3] == b"\xef\xbb\xbf":
        start = start[3:].lstrip()
    file.seek(0)
    if start[:1] == b"[":
        yield from enumerate(map(_element, _array(file, name)), 1)
        return
    for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), b""), 1):
        if len(line) > LONGEST_LINE:
            raise WorklistError(
                "a line of the worklist is too long",
                address=f"{name}:{number}",
                expected=f"at most {LONGEST_LINE:,} bytes",
                next_step="docs/worklists.md says how entries are written",
            )
        try:
            text = line.rstrip(b"\r\n").decode("utf-8-sig" if number == 1 else "utf-8")
            entry = parse_line(text)
        except UnicodeDecodeError:
            yield number, "not UTF-8"
        except ValueError as error:
            yield number, str(error)
        else:
            if entry is not None:
                yield number, entry


def _array(file: BinaryIO, name: str) -> list[msgspec.Raw]:
    text = file.read(LARGEST_ARRAY + 1).removeprefix(b"\xef\xbb\xbf")
    if len(text) > LARGEST_ARRAY:
        raise WorklistError(
            "the JSON array is too long to be read whole",
            address=name,
            expected=f"at most {LARGEST_ARRAY:,} bytes",
            next_step="write one JSON object a line (`jq -c '.[]'`): lines are read one by one",
        )
    try:
        return _ARRAY.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise WorklistError("the JSON array cannot be read", address=name, found=str(error)) from (
            error
        )


def _element(raw: msgspec.Raw) -> Entry | str:
    try:
        return parse_json(bytes(raw))
    except ValueError as error:
        return str(error)
