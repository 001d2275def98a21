"""What a run's journal says of the copies that one of its steps made, as rows of a table."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from s3plan.engine.journal import read_journal
from s3plan.model.journal import Copied
from s3plan.tables import COPIES, Database

_RECORDS = 200

_LATEST = """
    DELETE FROM copies WHERE rowid NOT IN (SELECT max(rowid) FROM copies GROUP BY n)"""


def load_copies(journal: Path, step: str, database: Database) -> None:
    """Fill ``copies`` with the last word on each item of ``step``."""
    records = (
        record
        for _, record in read_journal(journal)
        if isinstance(record, Copied) and record.step == step
    )
    while batch := list(islice(records, _RECORDS)):
        facts = [copy for record in batch for copy in record.copies]
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
    database.execute(_LATEST)
