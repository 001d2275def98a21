"""Columns of a Parquet file as JSON text, from a database that may read one folder and no more."""

# ruff: noqa: PLC0415
# DuckDB takes 70 ms to import, and most plans have no such file.

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3plan.errors import PlanFileError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MEMORY = "512MiB"
"""Far more than a file of ours takes; one that was made to take all memory is refused instead."""


class ParquetFolder:
    """Parquet files of one folder, which others may have written; any thread may ask."""

    def __init__(self, folder: Path) -> None:
        """Nothing is opened yet."""
        self._folder = folder
        self._lock = threading.Lock()
        self._connection: DuckDBPyConnection | None = None

    def columns(self, path: Path) -> list[str]:
        """The names of a file's columns. Raises PlanFileError where it is no such file."""
        query = "DESCRIBE SELECT * FROM read_parquet($path)"
        return [str(name) for name, *_ in self._rows(query, {"path": str(path)})]

    def row(self, sql: str, params: Mapping[str, object]) -> tuple[Any, ...]:
        """The one row of a query over a file of the folder: an aggregate.

        Raises PlanFileError where the file is not what the query takes it for.
        """
        (row,) = self._rows(sql, params)
        return row

    def _rows(self, sql: str, params: Mapping[str, object]) -> list[tuple[Any, ...]]:
        import duckdb

        with self._lock:
            try:
                self._connection = self._connection or _connected(self._folder)
                return self._connection.execute(sql, dict(params)).fetchall()
            except duckdb.Error as error:
                raise PlanFileError(
                    "a file of the plan's worklists cannot be read",
                    address=str(self._folder),
                    found=str(error).splitlines()[0],
                    next_step="copy it again, or make a new plan with s3plan plan",
                ) from error


def _connected(folder: Path) -> DuckDBPyConnection:
    import duckdb

    connection = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": _MEMORY,
            # One thread keeps the rows of a file in their order.
            "threads": "1",
            "temp_directory": "",
            "allocator_flush_threshold": "1MB",
            "allocator_bulk_deallocation_flush_threshold": "1MB",
            "python_enable_replacements": "false",
        },
    )
    allowed = str(folder).replace("'", "''")
    connection.execute(f"SET allowed_directories = ['{allowed}']")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection
