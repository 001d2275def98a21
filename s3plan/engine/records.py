"""What journal and evidence of a run say of items, for who does some of them and has neither.

Handlers go by these where the process that has the run told them, and read its journal and its
evidence themselves where they run in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from s3plan.engine.copied import append_copies
from s3plan.engine.evidence import EvidenceLine, read_evidence
from s3plan.inventory.local import recorded_stat, signed
from s3plan.model.journal import CopyFacts, GateRecord
from s3plan.model.objects import Checksum, ObjectAttributes
from s3plan.tables import Database
from s3plan.tables.database import Value

if TYPE_CHECKING:
    from s3plan.engine.context import Context

_MADE = """
    SELECT n, etag, modified, algorithm, value FROM {table} WHERE n BETWEEN ? AND ? ORDER BY n"""

_LINES = """
    SELECT n, i.key, verdict, algorithm, value, parts, device, inode, e.size, mtime_ns
    FROM evidence e JOIN items i USING (n) WHERE n BETWEEN ? AND ? ORDER BY n"""


class Job(Struct, frozen=True):
    """One file to put back.

    Where a bucket keeps versions it may be a delete marker; ``beneath`` counts the entries of its
    key that are to lie below it, and ``is_stacked`` tells whether its key gets, or has, others.
    """

    n: int
    key: str
    path: str
    size: int
    evidence: Checksum | None
    attributes: ObjectAttributes
    marker: bool = False
    beneath: int = 0
    is_stacked: bool = False


class Records(Struct, frozen=True):
    """Of the items of one partition, by their numbers there.

    ``made`` is how copies are recognised, by the step that made them or found them right;
    ``evidence`` are the lines of those items that may be deleted, ``jobs`` are files to be put
    back.
    """

    made: dict[str, tuple[CopyFacts, ...]] = {}
    evidence: tuple[EvidenceLine, ...] = ()
    jobs: tuple[Job, ...] = ()


def load_made(context: Context, database: Database, step: str, load: Callable[[], None]) -> None:
    """Fill ``copies`` with what is known of the copies of ``step``: as told, or by ``load``."""
    if context.records is None:
        load()
    else:
        append_copies(context.records.made.get(step, ()), database)


def evidence_lines(context: Context, gate: GateRecord) -> Iterator[EvidenceLine]:
    """The evidence of a gate: as told, or of the run's file, which is held against the record.

    Raises JournalError as :func:`s3plan.engine.evidence.read_evidence` does.
    """
    if context.records is not None:
        return iter(context.records.evidence)
    return read_evidence(context.run.evidence(gate.step), context.plan.digest, gate)


def made_between(database: Database, table: str, first: int, last: int) -> list[CopyFacts]:
    """Rows of ``copies``, or of a table like it, of items ``first`` to ``last``."""
    rows = database.rows(_MADE.format(table=table), [first, last])
    return [
        CopyFacts(n, etag, modified, Checksum(algorithm, value) if algorithm else None)
        for n, etag, modified, algorithm, value in rows
    ]


def lines_between(database: Database, first: int, last: int) -> list[EvidenceLine]:
    """Rows of ``evidence`` of items ``first`` to ``last``."""
    return [
        EvidenceLine(n, key, verdict, Checksum(algorithm, value, parts or ""), recorded_stat(*stat))
        for n, key, verdict, algorithm, value, parts, *stat in database.rows(_LINES, [first, last])
    ]


def evidence_columns(lines: Sequence[EvidenceLine]) -> dict[str, list[Value]]:
    """Lines as columns of the table ``evidence``."""
    return {
        "n": [line.n for line in lines],
        "verdict": [line.verdict for line in lines],
        "algorithm": [line.checksum.algorithm for line in lines],
        "value": [line.checksum.value for line in lines],
        "parts": [line.checksum.parts for line in lines],
        "device": [signed(line.file.device) for line in lines],
        "inode": [signed(line.file.inode) for line in lines],
        "size": [line.file.size for line in lines],
        "mtime_ns": [line.file.mtime_ns for line in lines],
    }
