"""``report log``: what runs of this directory uploaded, verified, asked for and removed."""

from __future__ import annotations

from s3plan.engine.history import History
from s3plan.engine.reports.sections import Options, need_run, section, value
from s3plan.model.tabular import Report


def archive_log(history: History, options: Options) -> Report:
    """Events of archives in the order of time. Raises UsageError where nothing was run."""
    need_run(history)
    return Report(
        "log",
        "Archives: what was done",
        (
            ("events", value(history, "SELECT count(*) FROM s3_backup_log")),
            ("archives", value(history, "SELECT count(*) FROM s3_backup_archives")),
        ),
        (
            section(history, "log", "Log", "SELECT * FROM s3_backup_log", lengthy=True),
            section(history, "stats", "By day, week and month", "SELECT * FROM s3_backup_stats"),
        ),
    )
