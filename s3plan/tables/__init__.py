"""Tables: everything looked at is a DuckDB table, and every difference is a query over them."""

from s3plan.tables.database import Database, ScratchError, warm_up
from s3plan.tables.definitions import (
    ARCHIVE_TIERS,
    ASKED,
    CATALOGUE,
    CATALOGUE_NOTES,
    COPIES,
    EVIDENCE,
    FRAMES,
    ITEMS,
    LISTING,
    LOCKS,
    SHADOWS,
    TABLES,
    TREE,
    UPLOADS,
    Column,
    TableDef,
)

__all__ = [
    "ARCHIVE_TIERS",
    "ASKED",
    "CATALOGUE",
    "CATALOGUE_NOTES",
    "COPIES",
    "EVIDENCE",
    "FRAMES",
    "ITEMS",
    "LISTING",
    "LOCKS",
    "SHADOWS",
    "TABLES",
    "TREE",
    "UPLOADS",
    "Column",
    "Database",
    "ScratchError",
    "TableDef",
    "warm_up",
]
