"""``s3plan query``: ask a run, a plan or a destination in SQL."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from s3plan.cli.command import Command
from s3plan.cli.tables import chosen_format, put_out, table_options, warn

_STANDARD_INPUT = "-"


@click.command(
    cls=Command,
    name="query",
    short_help="Ask a run, a plan or a destination in SQL.",
    exits=(0, 1, 130),
)
@click.argument("sql", metavar="SQL")
@table_options
def command(
    *, sql: str, source: Path | None, form: str | None, out: Path | None, redact: bool
) -> int:
    """Answer one SQL statement about a run: its plan, its journal and its catalogues.

    SQL is DuckDB's; - reads it from standard input. There are the views files, bucket_status,
    migration_metadata, objects and items, and the tables below them; `SHOW ALL TABLES` lists them.
    Only reads: sends no request, opens no other file, and changes nothing.
    """
    from s3plan import api
    from s3plan.views.tabular import TABLE_LINES

    text = sys.stdin.read() if sql == _STANDARD_INPUT else sql
    with api.query(text, source=source, redacted=redact, observer=warn) as answer:
        lines = TABLE_LINES[chosen_format(form, out)]
        put_out(lines(answer.columns, answer.rows), out)
    return 0
