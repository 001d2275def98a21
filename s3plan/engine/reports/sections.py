"""What reports share: their options, and sections that are queries."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from s3plan.engine.history import History
from s3plan.errors import UsageError
from s3plan.model.tabular import Column, Section

_BYTES = frozenset({"bytes", "size", "largest", "on_disk_bytes", "total_size"})
"""Names of columns whose numbers are bytes, in every report."""


class Options(Struct, frozen=True):
    """What some reports may be told. ``sample`` files are read again, chosen by ``seed``."""

    sample: int = 20
    seed: str = ""


def section(
    history: History,
    name: str,
    title: str,
    sql: str,
    *,
    note: str = "",
    lengthy: bool = False,
    sentences: bool = False,
) -> Section:
    """The answer to a query of ours as a section, asked when it is rendered: several answers that
    are begun and not read would share the memory.
    """
    columns, _ = history.database.answer(f"SELECT * FROM ({sql}) LIMIT 0")  # noqa: S608 - ours

    def rows() -> Iterator[tuple[object, ...]]:
        _, batches = history.database.answer(sql)
        for batch in batches:
            yield from batch

    return Section(
        name,
        title,
        tuple(Column(column, "bytes" if column in _BYTES else "") for column in columns),
        rows(),
        note,
        lengthy,
        sentences,
    )


def value(history: History, sql: str) -> object:
    """The one value of a query."""
    (only,) = history.database.row(sql)
    return only


def need_run(history: History) -> None:
    """Raise UsageError unless the history is that of a run."""
    if history.state is None:
        raise UsageError(
            "this report is about a run, and nothing has been run",
            address=history.source.described(),
            expected="a journal",
            next_step="name one with --from, or apply the plan first",
        )
