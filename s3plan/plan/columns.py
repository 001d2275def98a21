"""A stretch of a worklist by column: in SQL, as the text that its digest is of, and as items again.

The text has a line for each column of ``Item`` but ``step``: its name, a colon, and the values as a
JSON list, as msgspec writes it. Columns in which every item has the default are left out. So the
digest is of the items, whatever file they stand in and whichever program wrote that; and what is
decoded is the very text that was hashed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from s3plan.model.objects import Count
from s3plan.model.steps import Item
from s3plan.plan.digest import DIGEST_PREFIX
from s3plan.plan.itemtext import as_msgspec

T = TypeVar("T", bound=Struct)

_TYPES: Mapping[str, Any] = {
    "n": list[Count],
    "key": list[str],
    "path": list[str],
    "size": list[Count],
    "etag": list[str],
    "modified": list[str],
    "storage_class": list[str],
    "checksum": list[str | None],
    "version_id": list[str | None],
    "newer": list[Count],
    "marker": list[bool],
    "beneath": list[Count],
    "upload_id": list[str | None],
    "label": list[str | None],
    # JSON objects as text, as the table has them.
    "keywords": list[str | None],
    "ambiguous": list[bool],
}
"""The columns in the order of ``Item``'s fields."""

_DEFAULTS: Mapping[str, tuple[str, Any]] = {
    "storage_class": ("'STANDARD'", "STANDARD"),
    "checksum": ("NULL", None),
    "version_id": ("NULL", None),
    "newer": ("0", 0),
    "marker": ("false", False),
    "beneath": ("0", 0),
    "upload_id": ("NULL", None),
    "label": ("NULL", None),
    "keywords": ("NULL", {}),
    "ambiguous": ("false", False),
}
"""Columns that are left out where they say nothing: their default in SQL, and in an ``Item``."""

_DECODERS: Mapping[str, msgspec.json.Decoder[list[Any]]] = {
    name: msgspec.json.Decoder(kind) for name, kind in _TYPES.items()
}
_KEYWORDS = msgspec.json.Decoder(dict[str, str])


def _stored(name: str) -> str:
    default = _DEFAULTS.get(name, ("NULL", None))[0]
    return name if default == "NULL" else f"coalesce({name}, {default}) AS {name}"


def _text(name: str) -> str:
    if name not in _DEFAULTS:
        return f"to_json(list({name}))"
    default = _DEFAULTS[name][0]
    says = f"count(*) FILTER ({name} IS DISTINCT FROM {default})"
    return f"CASE WHEN {says} = 0 THEN NULL ELSE to_json(list({name})) END"


# All of it is made of the names and defaults above; values are bound.
STORED = f"""
    SELECT {", ".join(map(_stored, _TYPES))}
    FROM items WHERE step = $step AND n >= $first AND n < $behind ORDER BY n
"""  # noqa: S608
"""The items ``$first`` up to ``$behind`` of ``$step``, as a file holds them."""

TEXTS_OF_TABLE = f"SELECT {', '.join(map(_text, _TYPES))} FROM ({STORED})"  # noqa: S608
"""The same as the text of each column, in one row; NULL for a column that is left out."""

TEXTS_OF_FILE = f"""
    SELECT {", ".join(map(_text, _TYPES))} FROM (SELECT * FROM read_parquet($path) LIMIT $most)
"""  # noqa: S608
"""The columns of the file ``$path``, at most ``$most`` of its rows, in the same way."""


def texts(row: Sequence[str | None]) -> dict[str, bytes]:
    """What one of these queries found, by the name of the column."""
    return {
        name: as_msgspec(text).encode()
        for name, text in zip(_TYPES, row, strict=True)
        if text is not None
    }


def digest_of(columns: Mapping[str, bytes]) -> str:
    """``sha256:`` and the digest of a stretch."""
    found = hashlib.sha256()
    for name, text in columns.items():
        found.update(b'"%b":%b\n' % (name.encode(), text))
    return DIGEST_PREFIX + found.hexdigest()


class Stretch:
    """Items in a row, by column; ten thousands of them take a few megabytes."""

    def __init__(self, columns: Mapping[str, bytes]) -> None:
        """Raises msgspec.MsgspecError, or ValueError, where they are no columns of items."""
        self._lists: dict[str, list[Any]] = {
            name: _DECODERS[name].decode(text) for name, text in columns.items()
        }
        self.numbers: Sequence[int] = self._lists["n"]
        if any(len(values) != len(self) for values in self._lists.values()):
            raise ValueError("columns of different lengths")
        if "keywords" in self._lists:
            self._lists["keywords"] = [
                {} if text is None else _KEYWORDS.decode(text) for text in self._lists["keywords"]
            ]

    def __len__(self) -> int:
        return len(self.numbers)

    def items(self, step: str, start: int, end: int) -> Iterator[Item]:
        """Those from place ``start`` up to ``end``, as items of ``step``."""
        columns = [self._values(name, start, end) for name in _TYPES]
        return map(Item, repeat(step), *columns)

    def chosen(self, kind: type[T], start: int, end: int) -> list[T]:
        """The same as ``kind``, whose fields are columns."""
        columns = [self._values(name, start, end) for name in kind.__struct_fields__]
        return list(map(kind, *columns))

    def _values(self, name: str, start: int, end: int) -> Iterable[Any]:
        known = self._lists.get(name)
        return repeat(_DEFAULTS[name][1]) if known is None else known[start:end]
