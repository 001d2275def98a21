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
        count(*) FILTER (restore = 'unknown') AS requested,
        count(*) FILTER (restore IN ('failed', 'drifted')) AS failed
    FROM objects WHERE {_NEEDED} AND {_WAITING} GROUP BY ALL ORDER BY ALL"""  # noqa: S608 - constants

_TOTALS = f"""
    SELECT count(*), coalesce(sum(size), 0)::BIGINT FROM objects
    WHERE {_NEEDED} AND {_WAITING}"""  # noqa: S608 - constants

_STANDING = f"""
    SELECT bucket, storage_class, coalesce(restore, 'not planned') AS restore,
        coalesce(download, 'not planned') AS download,
        count(*) AS objects, sum(size)::BIGINT AS bytes
    FROM objects WHERE {_NEEDED} GROUP BY ALL ORDER BY ALL"""  # noqa: S608 - constants


def restores(history: History, options: Options) -> Report:
    """The backlog, then every archived object by how far it is."""
    objects, size = history.database.row(_TOTALS)
    return Report(
        "restores",
        "Restores",
        (("backlog_objects", objects), ("backlog_bytes", size)),
        (
            section(history, "backlog", "Not restored yet", _BACKLOG),
            section(history, "standing", "All archived objects", _STANDING),
        ),
    )
