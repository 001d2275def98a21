"""The reports by name, and how one is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from msgspec import Struct

from s3plan.engine.history import History, Source, open_history
from s3plan.engine.reports import migration
from s3plan.engine.reports.archivelog import archive_log
from s3plan.engine.reports.closeout import closeout, look_at_copies
from s3plan.engine.reports.errors import errors
from s3plan.engine.reports.final import final
from s3plan.engine.reports.inventory import inventory
from s3plan.engine.reports.restores import restores
from s3plan.engine.reports.sections import Options
from s3plan.errors import UsageError
from s3plan.model.tabular import Report
from s3plan.tables import Database


class ReportKind(Struct, frozen=True):
    """A report: ``make`` renders the tables, ``look`` adds to them what only the disk can tell.

    ``look`` sees names as they are; ``make`` may see tokens.
    """

    make: Callable[[History, Options], Report]
    look: Callable[[Source, Database, Options], None] | None = None


REPORTS = {
    "inventory": ReportKind(inventory),
    "restores": ReportKind(restores),
    "errors": ReportKind(errors),
    "log": ReportKind(archive_log),
    "closeout": ReportKind(closeout, look_at_copies),
    "migration-log": ReportKind(migration.migration_log, migration.look_at_migration),
    "migration-summary": ReportKind(migration.migration_summary, migration.look_at_migration),
    "inventory-checksums": ReportKind(migration.inventory_checksums, migration.look_at_migration),
    "inventory-report": ReportKind(migration.inventory_report, migration.look_at_migration),
    "mapping": ReportKind(migration.mapping, migration.look_at_migration),
    "verification": ReportKind(migration.verification, migration.look_at_migration),
    "rollback-plan": ReportKind(migration.reversal, migration.look_at_migration),
    "comparison": ReportKind(migration.comparison, migration.look_at_comparison),
    "certificate": ReportKind(migration.certificate, migration.look_at_migration),
    "final": ReportKind(final, migration.look_at_migration),
}
"""Every report by its name on the command line."""


@contextmanager
def open_report(
    name: str,
    source: Source,
    options: Options,
    warn: Callable[[str], None],
    *,
    redaction_key: bytes | None = None,
) -> Iterator[Report]:
    """The report ``name`` about ``source``; its rows are read while the block runs.

    Raises UsageError for a name that no report has, and what opening a history raises.
    """
    kind = REPORTS.get(name)
    if kind is None:
        raise UsageError("there is no such report", expected=", ".join(REPORTS), found=name)
    look = kind.look
    with open_history(
        source,
        warn,
        redaction_key=redaction_key,
        look=None if look is None else lambda database: look(source, database, options),
    ) as history:
        yield kind.make(history, options)
