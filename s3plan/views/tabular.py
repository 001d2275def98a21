"""Tables as text, CSV, JSON and Markdown, streamed: the answers of queries, and reports.

JSON has every value as it is. In the other three a character that would act on a terminal is an
escape, as everywhere; CSV cells are no formulas, and Markdown cells no markup.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import chain, islice
from typing import Literal

from rich.cells import cell_len

from s3plan.model.tabular import Column, Report
from s3plan.rules.characters import harmless_json
from s3plan.views.marktext import prose
from s3plan.views.quantities import number, size
from s3plan.views.text import visible

Format = Literal["text", "csv", "json", "markdown"]

Row = Sequence[object]

# What a spreadsheet takes for the start of a formula, full-width forms among it
# (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = re.compile("[=+\\-@\t\r\uff1d\uff0b\uff0d\uff20]")

_LONGEST = 10_000
"""Characters of a Markdown cell; longer than any key."""

_MEASURED = 1000
"""Rows whose cells say how wide a column of text is; later ones may stick out."""


def text_lines(
    columns: Sequence[Column], rows: Iterable[Row], *, most_rows: int | None = None
) -> Iterator[str]:
    """A table as text, its columns aligned; at most ``most_rows``, then how many more."""
    cells = ([_text(value, column) for value, column in zip(row, columns, strict=True)]
             for row in rows)  # fmt: skip
    right = [True] * len(columns)
    names = [visible(column.name) for column in columns]
    widths = [cell_len(name) for name in names]
    first: list[list[str]] = []
    for row in islice(cells, _MEASURED if most_rows is None else most_rows):
        first.append(row)
        for index, cell in enumerate(row):
            widths[index] = max(widths[index], cell_len(cell))
            right[index] = right[index] and (not cell or cell[0].isdigit() or cell[0] == "-")

    def line(row: Sequence[str]) -> str:
        padded = []
        for cell, width, is_right in zip(row, widths, right, strict=True):
            blank = " " * (width - cell_len(cell))
            padded.append(blank + cell if is_right else cell + blank)
        return "  ".join(padded).rstrip() + "\n"

    yield line(names)
    if most_rows is None:
        yield from map(line, chain(first, cells))
        return
    yield from map(line, first)
    more = sum(1 for _ in cells)
    if more:
        yield f"... and {number(more)} more\n"


def record_lines(
    columns: Sequence[Column], rows: Iterable[Row], *, most_rows: int | None = None
) -> Iterator[str]:
    """A table as text whose cells are sentences: a line a cell, empty ones left out."""
    width = max(len(column.name) for column in columns) + 1
    more = 0
    for index, row in enumerate(rows):
        if most_rows is not None and index >= most_rows:
            more += 1
            continue
        if index:
            yield "\n"
        for column, value in zip(columns, row, strict=True):
            text = _text(value, column)
            if text:
                yield f"{column.name + ':':<{width}} {text}\n"
    if more:
        yield f"... and {number(more)} more\n"


def csv_lines(columns: Sequence[Column], rows: Iterable[Row]) -> Iterator[str]:
    """A table as CSV (RFC 4180, but lines end in LF) with a heading; NULL is an empty cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    heading: Row = [column.name for column in columns]
    for row in chain([heading], rows):
        writer.writerow([_cell(value) for value in row])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def json_lines(columns: Sequence[Column], rows: Iterable[Row]) -> Iterator[str]:
    """A table as JSON Lines: an object a row, by the columns' names."""
    names = [column.name for column in columns]
    for row in rows:
        yield _json(dict(zip(names, row, strict=True))) + "\n"


def markdown_lines(columns: Sequence[Column], rows: Iterable[Row]) -> Iterator[str]:
    """A table as GitHub's Markdown."""
    names = [column.name.replace("_", " ") for column in columns]
    yield f"| {' | '.join(map(prose, names))} |\n"
    yield f"|{'|'.join(' --- ' for _ in names)}|\n"
    for row in rows:
        cells = (_marked(value, column) for value, column in zip(row, columns, strict=True))
        yield f"| {' | '.join(cells)} |\n"


TABLE_LINES: dict[Format, Callable[[Sequence[Column], Iterable[Row]], Iterator[str]]] = {
    "text": text_lines,
    "csv": csv_lines,
    "json": json_lines,
    "markdown": markdown_lines,
}
"""How each format writes one table."""


def report_lines(report: Report, form: Format, *, most_rows: int | None = None) -> Iterator[str]:
    """A whole report. ``most_rows`` cuts what is lengthy, for a screen; None never does."""
    match form:
        case "text":
            yield from _report_text(report, most_rows)
        case "csv":
            yield from _report_csv(report)
        case "json":
            yield from _report_json(report)
        case "markdown":
            yield from _report_markdown(report)


def _report_text(report: Report, most_rows: int | None) -> Iterator[str]:
    yield f"{visible(report.title)}\n"
    width = max((len(name) for name, _ in report.facts), default=0) + 1
    for name, value in report.facts:
        yield f"  {name.replace('_', ' ') + ':':<{width}} {_text(value, _fact(name))}\n"
    for section in report.sections:
        yield f"\n{section.title}\n"
        if section.note:
            yield f"  {visible(section.note)}\n"
        rows = iter(section.rows)
        first = next(rows, None)
        if first is None:
            yield "  none\n"
            continue
        most = most_rows if section.lengthy else None
        lines = record_lines if section.sentences else text_lines
        for line in lines(section.columns, chain([first], rows), most_rows=most):
            yield f"  {line}" if line != "\n" else line


def _report_csv(report: Report) -> Iterator[str]:
    if not report.facts and len(report.sections) == 1:
        (only,) = report.sections  # a table that programs of others read has nothing around it
        yield from csv_lines(only.columns, only.rows)
        return
    yield from csv_lines((Column(report.name), Column("value")), report.facts)
    for section in report.sections:
        yield f"\n{section.name}\n"
        yield from csv_lines(section.columns, section.rows)


def _report_json(report: Report) -> Iterator[str]:
    if not report.sections:
        yield f"{_json(dict(report.facts))}\n"
        return
    head = {"type": "report", "report": report.name, "facts": dict(report.facts)}
    yield f'{_json(head)[:-1]}, "sections": {{'
    for index, section in enumerate(report.sections):
        yield f"{',' if index else ''}\n{_json(section.name)}: ["
        separator = "\n"
        for line in json_lines(section.columns, section.rows):
            yield separator + line.rstrip("\n")
            separator = ",\n"
        yield "]"
    yield "}}\n"


def _report_markdown(report: Report) -> Iterator[str]:
    yield f"# {prose(report.title)}\n\n"
    for name, value in report.facts:
        text = _marked(value, _fact(name))
        yield f"- {prose(name.replace('_', ' '))}: {text}\n"
    for section in report.sections:
        yield f"\n## {prose(section.title)}\n\n"
        if section.note:
            yield f"{prose(section.note)}\n\n"
        yield from markdown_lines(section.columns, section.rows)


def _fact(name: str) -> Column:
    return Column(name, "bytes" if name.endswith(("bytes", "size")) else "")


def _marked(value: object, column: Column) -> str:
    text = _text(value, column)
    # A number is ours, and nothing in it can act.
    return text if isinstance(value, bool | int | float) else prose(text, _LONGEST)


def _text(value: object, column: Column) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int() if column.unit == "bytes":
            return size(value)
        case int():
            return str(value)
        case float():
            return f"{value:.10g}"
        case _:
            return visible(_plain(value))


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float() | Decimal():
            return str(value)
        case _:
            text = visible(_plain(value))
            return f"'{text}" if _FORMULA.match(text) else text


def _plain(value: object) -> str:
    match value:
        case str():
            return value
        case bytes():
            return value.hex()
        case datetime() | date():
            return value.isoformat()
        case list() | tuple() | dict():
            return _json(value)
        case _:
            return str(value)


def _json(value: object) -> str:
    text = json.dumps(_finite(value), ensure_ascii=False, default=_plain)
    return harmless_json(text.encode("utf-8", "backslashreplace")).decode()


def _finite(value: object) -> object:
    """JSON (RFC 8259) has no NaN and no infinity: they are null."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {str(key): _finite(one) for key, one in value.items()}
        case list() | tuple():
            return [_finite(one) for one in value]
        case _:
            return value
