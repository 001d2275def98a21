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
from msgspec import Struct, structs

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


def _default_of(name: str) -> object:
    return next(field.default for field in structs.fields(Item) if field.name == name)


_DEFAULTS: Mapping[str, tuple[str, Any]] = {
    "storage_class": ("'STANDARD'", _default_of("storage_class")),
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


def _says(name: str) -> str:
    return f"{_value(name, alone=True)} IS DISTINCT FROM {_DEFAULTS[name][0]}"


def _value(name: str, *, alone: bool = False) -> str:
    default = _DEFAULTS.get(name, ("NULL", None))[0]
    if default == "NULL":
        return name
    return f"coalesce({name}, {default})" + ("" if alone else f" AS {name}")


def _text(name: str) -> str:
    if name not in _DEFAULTS:
        return f"to_json(list({name}))"
    return f"CASE WHEN count(*) FILTER ({_says(name)}) = 0 THEN NULL ELSE to_json(list({name})) END"


# What is made here is made of the names and defaults above; values are bound.

_ALWAYS = tuple(name for name in _TYPES if name not in _DEFAULTS)

USED = f"""
    SELECT {", ".join(f"count(*) FILTER ({_says(name)}) > 0" for name in _DEFAULTS)}
    FROM items WHERE step = $step
"""  # noqa: S608
"""Which columns say anything about some item of a worklist: a truth for each that may be left out,
see :func:`used`."""


def used(row: Sequence[bool]) -> tuple[str, ...]:
    """The columns that a worklist needs, by what ``USED`` found."""
    return (*_ALWAYS, *(name for name, says in zip(_DEFAULTS, row, strict=True) if says))


def known(names: Iterable[str]) -> tuple[str, ...]:
    """The columns of a file in their order. Raises ValueError where they are not those of items."""
    found = set(names)
    if not set(_ALWAYS) <= found <= set(_TYPES):
        raise ValueError("columns " + ", ".join(sorted(found)))
    return tuple(name for name in _TYPES if name in found)


def stored(names: Sequence[str]) -> str:
    """SQL for the items ``$first`` up to ``$behind`` of ``$step``, as a file holds them."""
    return f"""
        SELECT {", ".join(map(_value, names))}
        FROM items WHERE step = $step AND n >= $first AND n < $behind ORDER BY n
    """  # noqa: S608


def texts_of_table(names: Sequence[str]) -> str:
    """SQL for the same as the text of each column, in one row; NULL for one that is left out."""
    return f"SELECT {', '.join(map(_text, names))} FROM ({stored(names)})"  # noqa: S608


def texts_of_file(names: Sequence[str]) -> str:
    """SQL for that of the file ``$path``, of which at most ``$most`` rows are read."""
    rows = "SELECT * FROM read_parquet($path) LIMIT $most"
    return f"SELECT {', '.join(map(_text, names))} FROM ({rows})"  # noqa: S608


def texts(names: Sequence[str], row: Sequence[str | None]) -> dict[str, bytes]:
    """What one of these queries found, by the name of the column."""
    return {
        name: as_msgspec(text).encode()
        for name, text in zip(names, row, strict=True)
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
        if "storage_class" in self._lists:
            # The very default, as in an item that does not name it: msgspec leaves out no other.
            usual = _DEFAULTS["storage_class"][1]
            classes = self._lists["storage_class"]
            self._lists["storage_class"] = [usual if one == usual else one for one in classes]
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
