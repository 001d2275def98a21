"""What journals say of the copies that their runs made, as rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from s3plan.engine.gate import load_rows
from s3plan.engine.journal import read_journal
from s3plan.engine.runs import Run, is_run_id
from s3plan.errors import JournalError
from s3plan.model.journal import Copied, CopyFacts
from s3plan.model.soak import EarlierCopy
from s3plan.plan.reading import PlanFile
from s3plan.tables import COPIES, Database

_RECORDS = 200

_LATEST = """
    DELETE FROM copies WHERE rowid NOT IN (SELECT max(rowid) FROM copies GROUP BY n)"""


# Numbers of the other run's worklist become those of this one's, by the two keys of a copy.
_TAKE_OVER = """
    INSERT INTO taken_over
    SELECT i.n, c.etag, c.modified, c.algorithm, c.value FROM copies c
    JOIN items o ON o.step = $earlier AND o.n = c.n
    JOIN items i ON i.step = $step AND i.key = o.key AND i.path = o.path"""


def load_earlier(run: Run, earlier: Iterable[EarlierCopy], database: Database, step: str) -> None:
    """Fill ``copies`` with what the journals of earlier runs say of the items of ``step``.

    ``earlier`` is in the order of the runs: the last word on each copy counts. Raises JournalError
    where the folder of such a run is not beside that of ``run``.
    """
    _take_over([(earlier_run(run, one.run), one.step) for one in earlier], database, step)


def load_taken_back(run: Run, made: str, database: Database, step: str) -> None:
    """Fill ``copies`` with what the journal of ``run`` says of its step ``made``, for the items of
    ``step`` of its rollback.
    """
    _take_over([(run, made)], database, step)


def _take_over(made: Sequence[tuple[Run, str]], database: Database, step: str) -> None:
    database.execute("CREATE TABLE taken_over AS SELECT * FROM copies LIMIT 0")
    for run, name in made:
        theirs = f"earlier {name}"
        load_rows(PlanFile.open(run.plan).items(name), theirs, database)
        load_copies(run.journal, name, database)
        database.execute(_TAKE_OVER, {"earlier": theirs, "step": step})
        database.execute("DELETE FROM items WHERE step = ?", [theirs])
        database.execute("DELETE FROM copies")
    database.execute("INSERT INTO copies SELECT * FROM taken_over")
    database.execute("DROP TABLE taken_over")
    database.execute(_LATEST)


def earlier_run(run: Run, name: str) -> Run:
    """The run of that id beside ``run``. Raises JournalError where there is none."""
    other = Run(run.folder.parent / name)
    if not is_run_id(name) or not other.journal.is_file():
        raise JournalError(
            "the run that made the copies is not here",
            address=str(other.folder) if is_run_id(name) else name,
            expected="its folder beside this run's",
            next_step="apply where the copies were made, or bring its folder: s3plan runs recover",
        )
    return other


def load_copies(journal: Path, step: str, database: Database) -> None:
    """Fill ``copies`` with the last word on each item of ``step``."""
    records = (
        record
        for _, record in read_journal(journal)
        if isinstance(record, Copied) and record.step == step
    )
    while batch := list(islice(records, _RECORDS)):
        append_copies([copy for record in batch for copy in record.copies], database)
    database.execute(_LATEST)


def append_copies(facts: Sequence[CopyFacts], database: Database) -> None:
    """Rows of ``copies``."""
    sums = [copy.checksum for copy in facts]
    database.append(
        COPIES,
        {
            "n": [copy.n for copy in facts],
            "etag": [copy.etag for copy in facts],
            "modified": [copy.modified for copy in facts],
            "algorithm": [known.algorithm if known else None for known in sums],
            "value": [known.value if known else None for known in sums],
        },
    )
