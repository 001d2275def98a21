"""Rows of a CSV file as bytes, so that what nobody changes stays byte for byte.

A row keeps its fields with their quotes, and its line ending; joined again it is the row that was
read. Fields are separated by one byte; quotes are doubled inside quotes (RFC 4180, section 2). A
file in which a quote stands anywhere else is refused: nobody could tell where its rows end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

BOM = b"\xef\xbb\xbf"
LONGEST_ROW = 16 * 1024 * 1024
"""Bytes of a row: a quote that is never closed must not take in the whole file."""


class CsvError(Exception):
    """The file is not CSV that can be changed without guessing; ``row`` counts from 1."""

    def __init__(self, row: int, why: str) -> None:
        super().__init__(f"row {row:,}: {why}")
        self.row = row


class Row(Struct, frozen=True, gc=False):
    """One row: its fields as they stand in the file, and its line ending (empty at the end)."""

    fields: tuple[bytes, ...]
    end: bytes

    def joined(self, delimiter: bytes) -> bytes:
        """The row as it was read."""
        return delimiter.join(self.fields) + self.end

    @property
    def is_blank(self) -> bool:
        """Whether it is an empty line, which is no row of values."""
        return self.fields == (b"",)


def rows(lines: Iterable[bytes], delimiter: bytes) -> Iterator[Row]:
    """The rows of a file that comes line by line (split after LF). Raises CsvError."""
    separator = re.escape(delimiter)
    field = re.compile(rb'(?:"(?:[^"]|"")*"|[^"' + separator + rb"]*)(?=" + separator + rb"|\Z)")
    number = 0
    held = b""
    for line in lines:
        held = held + line if held else line
        if held.count(b'"') % 2:
            if len(held) > LONGEST_ROW:
                raise CsvError(number + 1, "a quote is opened and not closed")
            continue
        number += 1
        yield _row(held, delimiter, field, number)
        held = b""
    if held:
        raise CsvError(number + 1, "a quote is opened and not closed")


def _row(raw: bytes, delimiter: bytes, field: re.Pattern[bytes], number: int) -> Row:
    end = b"\r\n" if raw.endswith(b"\r\n") else b"\n" if raw.endswith(b"\n") else b""
    body = raw[: len(raw) - len(end)]
    if b'"' not in body:
        return Row(tuple(body.split(delimiter)), end)
    fields: list[bytes] = []
    place = 0
    while True:
        found = field.match(body, place)
        if found is None:
            raise CsvError(number, "a quote stands inside a value that is not quoted")
        fields.append(found[0])
        place = found.end() + len(delimiter)
        if found.end() == len(body):
            return Row(tuple(fields), end)


def value(field: bytes) -> str:
    """What a field says. Bytes that are no UTF-8 come back as they are (surrogateescape)."""
    if field.startswith(b'"'):
        field = field[1:-1].replace(b'""', b'"')
    return field.decode("utf-8", "surrogateescape")


def spelled(text: str, like: bytes, delimiter: bytes) -> bytes:
    """A field that says ``text``, in quotes where ``like`` is, or where it must be.

    >>> spelled("a|b", b"x", b","), spelled("a,b", b"x", b","), spelled("a", b'"x"', b",")
    (b'a|b', b'"a,b"', b'"a"')
    """
    raw = text.encode("utf-8", "surrogateescape")
    special = any(byte in raw for byte in (delimiter, b'"', b"\n", b"\r"))
    if special or like.startswith(b'"'):
        return b'"' + raw.replace(b'"', b'""') + b'"'
    return raw
