"""Results that are tables: what a query answers, and what a report says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

Unit = Literal["", "bytes"]


class Column(Struct, frozen=True):
    """A column by the name that programs know, and that queries use.

    ``unit`` says that its numbers are bytes, which people read in larger units.
    """

    name: str
    unit: Unit = ""


class Section(Struct, frozen=True):
    """A table under a title; programs know it by ``name``. ``rows`` are read once.

    ``note`` is a sentence for people. What is ``lengthy`` is cut where it is shown on a screen,
    and never in a file. ``sentences`` says that cells are too long for columns of text.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Iterable[Sequence[object]]
    note: str = ""
    lengthy: bool = False
    sentences: bool = False


class Report(Struct, frozen=True):
    """A report: facts by name, then tables. Its rows are read while it is rendered."""

    name: str
    title: str
    facts: tuple[tuple[str, object], ...]
    sections: tuple[Section, ...]
