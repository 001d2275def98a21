"""A person's table read against the grouped objects: what it is to be, row by row.

Planning reads it to tell what is wrong and whether anything changes; the rewrite-file verb writes
what comes out here, and reads it again. Objects are looked up in ``grouped``, batch by batch, so
that neither the table nor the objects need to fit into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, zip_longest

from msgspec import Struct

from s3plan.rules.grouping.csvrows import CsvError, Row, rows, value
from s3plan.rules.grouping.rewriting import UNRESOLVED, Columns, GroupedFile, Rewriter
from s3plan.rules.grouping.urls import ObjectUrl, UrlReader, resolved
from s3plan.tables import Column, Database, TableDef

BATCH = 2_000
"""Rows whose objects are looked up together."""

SHOWN = 10
"""Problems that are kept as sentences; all are counted."""

STYLE_ROWS = 10_000
"""Rows in which a URL is looked for that shows how the others are written."""

GROUPED = TableDef("grouped", (Column("row_id"), Column("key"), Column("new_key"), Column("type")))
"""Every object that is regrouped, with its row, its new key and its type."""

_OF_ROWS = """
    SELECT row_id, key, new_key, type FROM grouped
    WHERE row_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY key"""

_OF_KEYS = """
    SELECT key, new_key, type FROM grouped
    WHERE key IN (SELECT unnest($keys::VARCHAR[])) OR new_key IN (SELECT unnest($keys::VARCHAR[]))
    ORDER BY key"""

Lines = Callable[[], Iterator[bytes]]
"""The lines of the file, from the first, each time it is called."""


class LocalTable(Struct, frozen=True):
    """A file that a manifest names: its SHA-256 in hex, None where there is no file.

    ``md5`` is hex too, ``modified`` RFC 3339 as a worklist has it.
    """

    sha256: str | None
    lines: Lines
    size: int = 0
    md5: str = ""
    modified: str = ""


class RowRead(Struct, frozen=True):
    """A row as it was found: its number in the file, the header being 1, and what is in its mapped
    columns.

    ``cells`` are column and text of everything there that may be a URL. ``files`` are the objects
    of the row that are regrouped. ``wanted`` are the new keys that belong into a column, by column.
    """

    number: int
    row_id: str
    cells: tuple[tuple[str, str], ...]
    files: tuple[GroupedFile, ...]
    wanted: dict[str, frozenset[str]]


_NOTHING = Row((b"",), b"")


class Buckets(Struct, frozen=True):
    """Whose objects the URLs name: the sources' bucket, the copies', and the endpoint of both."""

    source: str
    target: str
    endpoint: str


class TableRows:
    """One table. ``wrong`` counts what is wrong with it, ``problems`` holds the first of that."""

    def __init__(
        self,
        database: Database,
        lines: Lines,
        columns: Columns,
        buckets: Buckets,
        *,
        delimiter: str,
        keep_unresolved: bool,
    ) -> None:
        """``database`` has ``grouped`` filled. ``keep_unresolved`` lets URLs of objects that are
        not regrouped stay as they are.
        """
        self._database = database
        self._lines = lines
        self._columns = columns
        self._buckets = buckets
        self._delimiter = delimiter.encode()
        self._keep_unresolved = keep_unresolved
        self._sources = UrlReader(buckets.source, buckets.endpoint)
        self._copies = UrlReader(buckets.target, buckets.endpoint)
        self.rows = 0
        self.urls = 0
        self.changed = False
        self.wrong = 0
        self.problems: list[str] = []

    def rewritten(self) -> Iterator[bytes]:
        """The new file, row by row. Raises CsvError for one that cannot be read for sure."""
        source = rows(self._lines(), self._delimiter)
        rewriter = self._rewriter(next(source, _NOTHING))
        yield rewriter.header().joined(self._delimiter)
        self.changed = bool(rewriter.new)
        number = 1
        for batch, files, known in self._batches(source, rewriter):
            for row in batch:
                number += 1
                made = rewriter.rewritten(row, files.get(rewriter.row_of(row), ()), known)
                for problem in made.problems:
                    self._note(number, problem)
                self.urls += made.urls
                self.rows += not row.is_blank
                self.changed = self.changed or made.row != row
                yield made.row.joined(self._delimiter)

    def read(self) -> Iterator[tuple[list[RowRead], dict[str, GroupedFile]]]:
        """The rows as they are, batch by batch, with the objects that their URLs may name.

        These are by old and by new key. Raises CsvError for a table that cannot be read for sure.
        """
        source = rows(self._lines(), self._delimiter)
        header = next(source, _NOTHING)
        rewriter = self._rewriter(header)
        if rewriter.new:
            raise CsvError(1, f"there is no column {', '.join(rewriter.new)}")
        names = rewriter.names
        number = 1
        for batch, files, known in self._batches(source, rewriter):
            found: list[RowRead] = []
            for row in batch:
                number += 1
                if row.is_blank:
                    continue
                row_id = rewriter.row_of(row)
                own = tuple(files.get(row_id, ()))
                found.append(
                    RowRead(
                        number,
                        row_id,
                        tuple((names[index], text) for index, text in rewriter.cells(row)),
                        own,
                        {
                            names[index]: frozenset(f.new_key for f in own if f.type == kind)
                            for index, kind in rewriter.mapped.items()
                            if kind is not None
                        },
                    )
                )
            yield found, known

    def readers(self) -> tuple[UrlReader, UrlReader]:
        """What reads URLs of sources, and of copies."""
        return self._sources, self._copies

    def check(self, written: Lines) -> None:
        """Read the old and the new file together: the same rows, nothing else changed, and a URL
        for every file. What is wrong is counted.
        """
        old = rows(self._lines(), self._delimiter)
        new = rows(written(), self._delimiter)
        rewriter = self._rewriter(next(old, _NOTHING))
        if next(new, None) != rewriter.header():
            self._note(1, "the header is not as it should be")
        ours = {*rewriter.mapped, *rewriter.added}
        number = 1
        for batch, files, _ in self._batches(new, rewriter):
            for row in batch:
                number += 1
                was = next(old, None)
                if was is None or not _same_but(was, row, ours):
                    self._note(number, "a field changed that is not of a mapped column")
                elif not row.is_blank:
                    self._complete(number, rewriter, row, files.get(rewriter.row_of(row), ()))
        if next(old, None) is not None:
            self._note(number + 1, "rows are missing from the new file")

    def _complete(
        self, number: int, rewriter: Rewriter, row: Row, files: Sequence[GroupedFile]
    ) -> None:
        """Whether every file of the row stands in the column of its type."""
        for index, kind in rewriter.mapped.items():
            wanted = {file.new_key for file in files if file.type == kind}
            texts = value(row.fields[index]).split(self._columns.separator) if wanted else ()
            urls = (resolved(self._copies, text.strip(), wanted.__contains__) for text in texts)
            missing = wanted - {url.key for url in urls if url is not None}
            if missing:
                self._note(number, f"no URL of {min(missing)}")

    def _rewriter(self, header: Row) -> Rewriter:
        buckets = (self._buckets.source, self._buckets.target)
        plain = ObjectUrl(self._head(), "", "", encoded=True)
        made = Rewriter(header, self._columns, self._delimiter, self._sources, buckets, plain)
        style = self._style(made)
        if style is None:
            return made
        return Rewriter(header, self._columns, self._delimiter, self._sources, buckets, style)

    def _style(self, rewriter: Rewriter) -> ObjectUrl | None:
        """A URL of the table that shows how the others are written."""
        found: ObjectUrl | None = None
        for row in islice(rows(self._lines(), self._delimiter), 1, STYLE_ROWS):
            for text in rewriter.texts(row):
                if self._sources.is_of_bucket(text):
                    *_, last = self._sources.candidates(text)
                    if last.encoded is not None:
                        return last
                    found = found or last
        return found

    def _head(self) -> str:
        bucket, endpoint = self._buckets.source, self._buckets.endpoint
        if "amazonaws.com" in endpoint:
            return f"https://{bucket}.s3.amazonaws.com/"
        return f"{endpoint.rstrip('/')}/{bucket}/"

    def _batches(
        self, source: Iterable[Row], rewriter: Rewriter
    ) -> Iterator[tuple[list[Row], dict[str, list[GroupedFile]], dict[str, GroupedFile]]]:
        """Rows with the files of each row id, and the objects that their URLs name."""
        rest = iter(source)
        while batch := list(islice(rest, BATCH)):
            files: dict[str, list[GroupedFile]] = {}
            ids = sorted({rewriter.row_of(row) for row in batch})
            for row_id, key, new_key, kind in self._database.rows(_OF_ROWS, [ids]):
                files.setdefault(row_id, []).append(GroupedFile(key, new_key, kind))
            keys = sorted(
                {
                    _clean(reading.key)
                    for row in batch
                    for text in rewriter.texts(row)
                    for reader in (self._sources, self._copies)
                    for reading in reader.candidates(text)
                }
            )
            known: dict[str, GroupedFile] = {}
            for key, new_key, kind in self._database.rows(_OF_KEYS, {"keys": keys}):
                known[key] = known[new_key] = GroupedFile(key, new_key, kind)
            yield batch, files, known

    def _note(self, number: int, problem: str) -> None:
        if self._keep_unresolved and problem.endswith(UNRESOLVED):
            return
        self.wrong += 1
        if len(self.problems) < SHOWN:
            self.problems.append(f"row {number:,}: {problem}")


def _same_but(was: Row, row: Row, ours: set[int]) -> bool:
    """Whether two rows differ in these fields at most."""
    return was.end == row.end and all(
        index in ours or one == other
        for index, (one, other) in enumerate(zip_longest(was.fields, row.fields))
    )


def _clean(key: str) -> str:
    """A key as a table can hold it: what is no UTF-8 is the key of no object."""
    return key.encode("utf-8", "replace").decode()


__all__ = ["GROUPED", "Buckets", "CsvError", "Lines", "LocalTable", "RowRead", "TableRows"]
