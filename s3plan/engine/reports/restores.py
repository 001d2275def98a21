"""``report restores``: what must be restored from an archive before it can be read, and how far.

GLACIER_IR is read at once and no part of it; archive tiers of INTELLIGENT_TIERING are, where the
plan found them. Source: "Working with archived objects" (AWS).
"""

from __future__ import annotations

from s3plan.engine.history import History
from s3plan.engine.reports.sections import Options, section
from s3plan.model.tabular import Report
from s3plan.rules.classes import ARCHIVED_CLASSES

_ARCHIVED = ", ".join(f"'{name}'" for name in sorted(ARCHIVED_CLASSES))

_NEEDED = f"(restore IS NOT NULL OR storage_class IN ({_ARCHIVED}))"

_WAITING = "coalesce(restore, 'pending') NOT IN ('done', 'verified') AND NOT catalogued"

_BACKLOG = f"""
    SELECT bucket, storage_class, count(*) AS objects, sum(size)::BIGINT AS bytes,
        count(*) FILTER (restore IN ('requested', 'ongoing')) AS restoring,
        count(*) FILTER (restore = 'expired') AS expired,
        count(*) FILTER (restore IN ('failed', 'drifted')) AS failed
    FROM objects WHERE {_NEEDED} AND {_WAITING} GROUP BY ALL ORDER BY ALL"""  # noqa: S608 - constants

_TOTALS = f"""
    SELECT count(*), coalesce(sum(size), 0)::BIGINT FROM objects
    WHERE {_NEEDED} AND {_WAITING}"""  # noqa: S608 - constants

_STANDING = f"""
    SELECT o.bucket, o.storage_class, coalesce(o.restore, 'not planned') AS restore,
        coalesce(o.download, 'not planned') AS download,
        count(*) AS objects, sum(o.size)::BIGINT AS bytes,
        min(s.requested_at) AS requested, min(s.until) FILTER (s.stage = 'ready') AS expires
    FROM (SELECT * FROM objects WHERE {_NEEDED}) o
    LEFT JOIN restore_status s ON s.bucket = o.bucket AND s.key = o.key
        AND s.noncurrent IS NOT DISTINCT FROM o.noncurrent
    GROUP BY ALL ORDER BY ALL"""  # noqa: S608 - constants

# What can be read now and is not on disk yet: in the order in which the copies expire.
_EXPIRING = """
    SELECT s.bucket, s.key, s.size, s.until FROM restore_status s
    JOIN objects o ON o.bucket = s.bucket AND o.key = s.key
        AND o.noncurrent IS NOT DISTINCT FROM s.noncurrent
    WHERE s.stage = 'ready' AND s.until IS NOT NULL AND NOT o.catalogued
    ORDER BY s.until, s.bucket, s.key"""


def restores(history: History, options: Options) -> Report:
    """The backlog, every archived object by how far it is, and copies that wait to be read."""
    objects, size = history.database.row(_TOTALS)
    return Report(
        "restores",
        "Restores",
        (("backlog_objects", objects), ("backlog_bytes", size)),
        (
            section(history, "backlog", "Not restored yet", _BACKLOG),
            section(
                history,
                "standing",
                "All archived objects",
                _STANDING,
                note="GLACIER_IR is read at once and not part of it.",
            ),
            section(
                history,
                "expiring",
                "Restored and not on disk yet, the first to expire first",
                _EXPIRING,
                lengthy=True,
            ),
        ),
    )
