"""The private DuckDB database of one process: opening, filling, asking, and letting it spill.

Nothing is shared through it: it lives in a scratch directory of its own and is removed when it
closes. It cannot load extensions, change its own settings, or touch files, but for those that it
writes into that directory, and those that a caller put into the one directory it named.
"""

# ruff: noqa: PLC0415
# DuckDB takes 70 ms to import; a download can run meanwhile (see warm_up).

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from s3plan.errors import ListingError, S3PlanError, UsageError
from s3plan.tables.definitions import TABLES, ColumnType, TableDef

if TYPE_CHECKING:
    import arro3.core as arrow
    from duckdb import DuckDBPyConnection

Result = TypeVar("Result")

Value = str | int | float | bool | None

Params = Sequence[object] | Mapping[str, object]
"""Values for ``?`` in order, or for ``$name`` by name."""

_MEBIBYTE = 1024 * 1024
_BATCH = 10_000
_HANDS = 2

_MEMORY_OF_A_THREAD = 128 * _MEBIBYTE

_COMPRESSION = "zstd"
"""Of files: a fifth of a second more for a million items than snappy takes, for half the size."""


def warm_up() -> None:
    """Import what a database needs, 70 ms of it, while the caller waits for something else."""
    import arro3.core  # noqa: F401
    import duckdb  # noqa: F401


@cache
def _arrow_types() -> Mapping[ColumnType, arrow.DataType]:
    from arro3.core import DataType

    return {"VARCHAR": DataType.utf8(), "BIGINT": DataType.int64(), "BOOLEAN": DataType.bool()}


class ScratchError(S3PlanError):
    """The scratch database cannot be used: no room in memory or on disk, or it was removed."""

    code: ClassVar[str] = "scratch"


class Database:
    """A temporary database with every table of ``definitions.TABLES``; a context manager.

    Several threads may fill it; what one asks while another fills may or may not be in the answer.
    SQL is always a constant; values travel as bound parameters
    (``?``, ``$name``), so that no key, path or pattern is ever read as SQL.
    """

    def __init__(
        self,
        directory: Path,
        *,
        memory_limit: int = 256 * _MEBIBYTE,
        threads: int | None = None,
        tables: Sequence[TableDef] = TABLES,
        readable: Path | None = None,
    ) -> None:
        """Create it inside ``directory`` (made if missing), with ``tables``.

        ``memory_limit`` is bytes; beyond it, sorts and joins spill to ``directory``. ``threads``
        None is two, and more where both the memory and the machine have room for them. Files in
        ``readable``, which need not exist yet, are open to :meth:`read_files`. Raises ScratchError.
        """
        self.readable = readable
        self._lock = threading.Lock()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._home = Path(tempfile.mkdtemp(prefix="tables-", dir=directory))
        except OSError as error:
            raise ScratchError(
                "the scratch directory cannot be written",
                address=str(directory),
                found=error.strerror,
                next_step="make room there, or set TMPDIR to another directory",
            ) from error
        import duckdb

        try:
            with _mapped(directory):
                # In memory, and beyond the limit in files: without a log of its own it is quicker
                # and smaller than a database file.
                self._connection = duckdb.connect(
                    ":memory:",
                    config={
                        "autoinstall_known_extensions": "false",
                        "autoload_known_extensions": "false",
                        "memory_limit": f"{memory_limit // _MEBIBYTE}MiB",
                        "threads": str(threads or _threads_in(memory_limit)),
                        # Give memory back after each query: many small ones follow each other.
                        "allocator_flush_threshold": "1MB",
                        "allocator_bulk_deallocation_flush_threshold": "1MB",
                        "temp_directory": str(self._home / "spill"),
                        # Keys compare by their bytes, as S3 sorts them, whatever the locale.
                        "default_collation": "binary",
                        # A query names tables of the database, never variables of ours.
                        "python_enable_replacements": "false",
                    },
                )
                self._connection.execute("ATTACH ':memory:' AS tables (COMPRESS)")
                self._connection.execute("USE tables")
                self._written = self._home / "written"
                self._written.mkdir()
                allowed = [_quoted(path) for path in (self._written, readable) if path is not None]
                self._connection.execute(f"SET allowed_directories = [{', '.join(allowed)}]")
                # Only now: opening the database itself is access to a file.
                self._connection.execute("SET enable_external_access = false")
                self._connection.execute("SET lock_configuration = true")
                for table in tables:
                    self._connection.execute(table.ddl())
        except BaseException:
            shutil.rmtree(self._home, ignore_errors=True)
            raise

    def append(
        self,
        table: TableDef,
        columns: Mapping[str, Sequence[Value]],
        constants: Mapping[str, Value] | None = None,
    ) -> None:
        """Add rows given by column; ``constants`` are columns with one value for every row.

        Columns of ``table`` in neither are NULL. Every name must be a column of ``table``.
        """
        constants = constants or {}
        types = {column.name: column.type for column in table.columns}
        from arro3.core import Array, Table

        arrow_types = _arrow_types()
        rows = Table.from_pydict(
            {
                name: Array(list(values), type=arrow_types[types[name]])
                for name, values in columns.items()
            }
        )
        names = [*columns, *constants]
        assert all(name in types for name in names)
        quoted = ", ".join(f'"{name}"' for name in names)
        sources = [f'"{name}"' for name in columns] + ["?" for _ in constants]
        # Names are constants of definitions.py, as just asserted; values are bound.
        statement = f'INSERT INTO "{table.name}" ({quoted}) SELECT {", ".join(sources)} FROM batch'  # noqa: S608
        with self._lock, _mapped(self._home):
            self._connection.register("batch", rows)
            try:
                self._connection.execute(statement, list(constants.values()))
            finally:
                self._connection.unregister("batch")

    def compact(self) -> None:
        """Compress what was appended; for tables that stay while others are filled or joined.

        Keys, paths, times and constants of a listing shrink to about a fifth.
        """
        with self._lock, _mapped(self._home):
            self._connection.execute("CHECKPOINT tables")

    def execute(self, sql: str, params: Params = ()) -> None:
        """Run one statement whose rows nobody wants."""
        with self._lock, _mapped(self._home):
            self._connection.execute(sql, _bound(params))

    def read_files(self, sql: str, params: Params = ()) -> None:
        """Run one statement that reads files in ``readable``, which others wrote; several may run
        at once.

        Raises ListingError where they are not what it takes them for.
        """
        import duckdb

        try:
            with _mapped(self._home), self._connection.cursor() as cursor:
                cursor.execute("USE tables")
                cursor.execute(sql, _bound(params))
        except duckdb.Error as error:
            raise ListingError(
                "a file of a report cannot be read",
                found=str(error).splitlines()[0],
                next_step="leave the report out: the bucket is listed then",
            ) from error

    def write_parquet(self, sql: str, params: Params = ()) -> Path:
        """The rows of a query as a Parquet file of the scratch directory; the caller removes it."""
        path = self._written / f"{secrets.token_hex(8)}.parquet"
        with _mapped(self._home):
            cursor = self._connection.cursor()
            try:
                cursor.execute("USE tables")
                target = f"{_quoted(path)} (FORMAT parquet, COMPRESSION {_COMPRESSION})"
                cursor.execute(f"COPY ({sql}) TO {target}", _bound(params))
            finally:
                cursor.close()
        return path

    def rows(self, sql: str, params: Params = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, fetched in batches; other statements may run between them."""
        for batch in self.batches(sql, params):
            yield from batch

    def row(self, sql: str, params: Params = ()) -> tuple[Any, ...]:
        """The one row of a query that always has one, such as an aggregate."""
        (row,) = self.rows(sql, params)
        return row

    def texts(
        self, sql: str, params: Mapping[str, object], *, count: int, stretch: int
    ) -> Iterator[str]:
        """The one column of a query as text, without anything in between, stretch by stretch.

        ``sql`` is of the rows whose ``n`` is ``n >= $first AND n < $behind``, in their order, of
        ``count`` from 0: sorting a stretch needs little memory, sorting millions would need it all.
        """

        def text_of(first: int) -> str:
            bounds = {"first": first, "behind": first + stretch}
            return "".join([text for (text,) in self.rows(sql, {**params, **bounds})])

        # One is made while the one before it is written.
        with ThreadPoolExecutor(_HANDS, thread_name_prefix="texts") as pool:
            waiting: deque[Future[str]] = deque()
            try:
                for first in range(0, count, stretch):
                    waiting.append(pool.submit(text_of, first))
                    if len(waiting) > _HANDS:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def batches(self, sql: str, params: Params = ()) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a query in lists of up to 10,000."""
        with _mapped(self._home):
            cursor = self._connection.cursor()
            cursor.execute("USE tables")  # a cursor starts in the database of the connection
            cursor.execute(sql, _bound(params))
        try:
            while True:
                with _mapped(self._home):
                    batch = cursor.fetchmany(_BATCH)
                if not batch:
                    return
                yield batch
        finally:
            cursor.close()

    def answer(self, sql: str) -> tuple[tuple[str, ...], Iterator[list[tuple[Any, ...]]]]:
        """Columns and rows, in lists, of a query that a person wrote: one statement that reads.

        Raises UsageError for any other, and where the statement is wrong. Ctrl-C ends it.
        """
        with _mapped(self._home), _asked():
            _check_reads(sql)
            cursor = self._connection.cursor()
            cursor.execute("USE tables")
            _interruptibly(cursor, lambda: cursor.execute(sql))
            columns = tuple(name for name, *_ in cursor.description or ())
        return columns, self._answers(cursor)

    def _answers(self, cursor: DuckDBPyConnection) -> Iterator[list[tuple[Any, ...]]]:
        try:
            while True:
                with _mapped(self._home), _asked():
                    batch = _interruptibly(cursor, lambda: cursor.fetchmany(_BATCH))
                if not batch:
                    return
                yield batch
        finally:
            cursor.close()

    def close(self) -> None:
        """Close and remove it; closing twice is fine."""
        self._connection.close()
        shutil.rmtree(self._home, ignore_errors=True)

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _interruptibly(cursor: DuckDBPyConnection, work: Callable[[], Result]) -> Result:
    """What ``work`` returns; Ctrl-C ends it, while DuckDB alone would come to its end first."""
    with ThreadPoolExecutor(1, thread_name_prefix="query") as pool:
        future = pool.submit(work)
        try:
            return future.result()
        except BaseException:
            cursor.interrupt()
            raise


def _check_reads(sql: str) -> None:
    import duckdb

    statements = duckdb.extract_statements(sql)
    reading = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
    if len(statements) != 1 or statements[0].type not in reading:
        raise UsageError(
            "a query is one statement that reads",
            expected="one SELECT, FROM, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN",
            found=", ".join(statement.type.name for statement in statements) or "nothing",
            next_step="the tables are copies: nothing that is changed in them would stay",
        )


@contextmanager
def _asked() -> Iterator[None]:
    """Turn what DuckDB says about a person's query into an error of theirs."""
    import duckdb

    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.IOException):
        raise
    except duckdb.Error as error:
        raise UsageError(
            "the query cannot be answered",
            # What follows is the query once more, with a mark below the place.
            found=" ".join(str(error).partition("\n\nLINE ")[0].split()),
            next_step="`s3plan query 'SHOW ALL TABLES'` lists tables and their columns",
        ) from error


def _threads_in(memory: int) -> int:
    """How many threads so much memory is enough for: each has rows of its own in hand."""
    return max(2, min(os.cpu_count() or 2, memory // _MEMORY_OF_A_THREAD))


def _quoted(path: Path) -> str:
    """A path of ours as a text of SQL's, where none can be bound."""
    return "'" + str(path).replace("'", "''") + "'"


def _bound(params: Params) -> list[object] | dict[str, object]:
    return dict(params) if isinstance(params, Mapping) else list(params)


@contextmanager
def _mapped(home: Path) -> Iterator[None]:
    """Turn DuckDB's lack of room into an error of ours; anything else of its is our own bug."""
    import duckdb

    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        raise ScratchError(
            "the scratch database has no room or cannot be written",
            address=str(home),
            found=str(error).splitlines()[0],
            next_step="make room there, set TMPDIR to another directory, or raise limits.memory",
        ) from error
