"""A table of a grouping as it is to be verified: its rows, and what the keys of a row are like."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from s3plan.inventory.tablerows import RowRead
from s3plan.rules.grouping.rewriting import GroupedFile
from s3plan.rules.grouping.urls import UrlReader


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows; the objects that their URLs may name, by old and new key; and patterns of the keys of
    each row, of which one must match. A row without patterns has keys that do not tell.
    """

    rows: Sequence[RowRead]
    known: Mapping[str, GroupedFile]
    likeness: Mapping[str, Sequence[re.Pattern[str]]]


@dataclass(frozen=True, slots=True)
class GroupedTable:
    """A table whose URLs can be verified.

    ``source`` and ``target`` are buckets, ``sources`` and ``copies`` read URLs of their objects.
    With ``keeps_others`` URLs of other objects may be in it. ``sha256`` is of the file, in hex.
    """

    path: str
    sha256: str
    source: str
    target: str
    sources: UrlReader
    copies: UrlReader
    keeps_others: bool
    batches: Iterator[Batch]
