"""The tables that planning one bucket works in, and the one bucket's place in all of them.

Every query sees one bucket: ``Workspace`` fills in which, so that none forgets to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from s3plan.rules.versioning import same_entry
from s3plan.tables import Column, Database, TableDef

DIRECTORIES = TableDef(
    "evacuation_directories", (Column("path"), Column("folded"), Column("source"))
)
"""Directories, with ``/`` at their end: on disk (``tree``) or wanted by a path (``name``)."""

PATHS = TableDef("evacuation_paths", (Column("key"), Column("path")))
"""Paths that Python worked out, on their way into the table of objects or names."""

VERSION_PATHS = TableDef(
    "evacuation_version_paths", (Column("key"), Column("history"), Column("path"))
)
"""Paths of noncurrent versions, on their way into the table of objects."""

FOLDS = TableDef("evacuation_folds", (Column("path"), Column("folded")))
"""Comparison forms that Python worked out, of paths that are not ASCII."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """One bucket's planning. ``root`` is its directory below ``destination``, without a slash.

    With ``versions`` its listing holds every version and delete marker.
    """

    database: Database
    destination: str
    root: str
    bucket: str
    prefix: str
    versions: bool = False

    def same(self, left: str, right: str) -> str:
        """SQL that joins rows of the same object or version."""
        return same_entry(left, right, versions=self.versions)

    def create(self, table: str, query: str, **values: object) -> None:
        """Make ``table`` of a query's rows; ``$destination``, ``$root`` ... are bound in it."""
        self.execute(f"CREATE OR REPLACE TABLE {table} AS {query}", **values)

    def execute(self, query: str, **values: object) -> None:
        """Run one statement, the workspace's names and ``values`` bound."""
        self.database.execute(query, self._bound(query, values))

    def rows(self, query: str, **values: object) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, the workspace's names and ``values`` bound."""
        return self.database.rows(query, self._bound(query, values))

    def row(self, query: str, **values: object) -> tuple[Any, ...]:
        """The one row of a query that always has one."""
        (row,) = self.rows(query, **values)
        return row

    def empty(self, table: TableDef) -> None:
        """Make ``table`` anew, without rows."""
        self.database.execute(f'DROP TABLE IF EXISTS "{table.name}"')
        self.database.execute(table.ddl())

    def _bound(self, query: str, values: dict[str, object]) -> dict[str, object]:
        own = {
            "destination": self.destination,
            "root": self.root + "/" if self.root else "",
            "bucket": self.bucket,
            "prefix": self.prefix,
        }
        # DuckDB refuses values that a statement does not name.
        return {name: value for name, value in (own | values).items() if f"${name}" in query}
