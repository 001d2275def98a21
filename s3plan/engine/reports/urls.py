"""What the columns of a rewritten table hold, before and after: counted in its backup and in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from s3plan.engine.history import Source
from s3plan.engine.reports.sections import Options
from s3plan.localfs import tablefile
from s3plan.model.steps import RewriteFile
from s3plan.rules.grouping.csvrows import BOM, CsvError, Row, rows, value
from s3plan.tables import Database
from s3plan.tables.history import TABLE_URLS

_NOTHING = Row((b"",), b"")


def look_at_urls(source: Source, database: Database, options: Options) -> None:
    """Fill ``table_urls``: a row for each mapped column; NULL where a file is not there, or is
    another one by now.
    """
    if source.plan is None or source.run is None:
        return
    rewritten = source.run.state().rewritten
    for step in source.plan.steps:
        record = rewritten.get(step.id)
        if isinstance(step.action, RewriteFile) and record is not None:
            before = _counts(Path(record.backup), record.before, step.action)
            after = _counts(Path(record.file), record.after, step.action)
            names = list(step.action.columns)
            database.append(
                TABLE_URLS,
                {
                    "column_name": names,
                    "file_type": [step.action.columns[name] for name in names],
                    "urls_before": [None if before is None else before[name] for name in names],
                    "urls_after": [None if after is None else after[name] for name in names],
                },
            )


def _counts(path: Path, sha256: str, action: RewriteFile) -> Counter[str] | None:
    """How many texts the cells of each mapped column hold."""
    found = tablefile.digests(path)
    if found is None or found.sha256 != sha256:
        return None
    delimiter = action.delimiter.encode()
    try:
        source = rows(tablefile.lines(path), delimiter)
        header = [value(name.removeprefix(BOM)) for name in next(source, _NOTHING).fields]
        places = {header.index(name): name for name in action.columns if name in header}
        counts: Counter[str] = Counter()
        for row in source:
            for index, name in places.items():
                if index < len(row.fields):
                    pieces = value(row.fields[index]).split(action.separator)
                    counts[name] += sum(1 for piece in pieces if piece.strip())
    except CsvError:
        return None  # its digest says that it is the file which was read then
    return counts
