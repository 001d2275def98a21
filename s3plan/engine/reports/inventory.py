"""``report inventory``: how many objects there are and how large, by bucket and storage class."""

from __future__ import annotations

from s3plan.engine.history import History
from s3plan.engine.reports.sections import Options, section, value
from s3plan.model.tabular import Report

_CLASSES = """
    SELECT bucket, storage_class, count(*) AS objects, sum(size)::BIGINT AS bytes
    FROM objects GROUP BY ALL ORDER BY ALL"""

_BUCKETS = """
    SELECT bucket, count(*) AS objects, sum(size)::BIGINT AS bytes,
        count(*) FILTER (catalogued) AS on_disk,
        coalesce(sum(size) FILTER (catalogued), 0)::BIGINT AS on_disk_bytes,
        max(size) AS largest, min(modified) AS oldest, max(modified) AS newest
    FROM objects GROUP BY bucket ORDER BY bucket"""

_LARGEST = """
    SELECT bucket, key, size, storage_class, modified FROM objects
    ORDER BY size DESC, bucket, key LIMIT 20"""


def inventory(history: History, options: Options) -> Report:
    """Objects that the plan and the catalogues know, whether they are in S3, on disk, or both."""
    objects, size, buckets = history.database.row(
        "SELECT count(*), coalesce(sum(size), 0)::BIGINT, count(DISTINCT bucket) FROM objects"
    )
    return Report(
        "inventory",
        "Inventory",
        (
            ("as_of", value(history, "SELECT max(updated) FROM runs")),
            ("buckets", buckets),
            ("objects", objects),
            ("bytes", size),
        ),
        (
            section(history, "classes", "By bucket and storage class", _CLASSES),
            section(history, "buckets", "By bucket", _BUCKETS),
            section(history, "largest", "The largest objects", _LARGEST),
        ),
    )
