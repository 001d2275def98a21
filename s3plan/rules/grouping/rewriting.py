"""A table of people with the URLs of their files, row by row, as it is to be after a grouping.

Nothing but the mapped columns and those that are added changes: every other field, the order of the
rows, their quotes and line endings stay byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from s3plan.rules.grouping.csvrows import BOM, CsvError, Row, spelled, value
from s3plan.rules.grouping.urls import ObjectUrl, UrlReader, resolved

FILE_COUNT = "file_count"
UNRESOLVED = "is of no object that is regrouped"


class GroupedFile(Struct, frozen=True):
    """An object of a row: its old key, its new one and its type."""

    key: str
    new_key: str
    type: str


class Columns(Struct, frozen=True):
    """What is done to a table. ``row`` names the column that holds the pattern's ``row_id``.

    ``mapped`` are the columns of URLs by name: with a type they hold every file of the row of that
    type, with None each URL is replaced by that of the same object. ``added`` are those of
    ``file_count`` and ``migration_completed`` that are wanted. Columns that are not there are added
    last. ``separator`` stands between the URLs of one cell.
    """

    row: str
    mapped: dict[str, str | None]
    added: tuple[str, ...] = ()
    separator: str = "|"


class Rewritten(Struct, frozen=True):
    """A row as it is to be, how many URLs it holds, and what is wrong with it."""

    row: Row
    urls: int = 0
    problems: tuple[str, ...] = ()


class Rewriter:
    """Rewrites the rows of one table, after its header."""

    def __init__(
        self,
        header: Row,
        columns: Columns,
        delimiter: bytes,
        reader: UrlReader,
        buckets: tuple[str, str],
        style: ObjectUrl,
    ) -> None:
        """``buckets`` are that of the sources and that of the copies; ``style`` is a URL that is
        written as the others are, for files that have none yet.

        Raises CsvError for a header without the column of rows, or with a column twice.
        """
        self._header = header
        self._columns = columns
        self._delimiter = delimiter
        self._reader = reader
        self._buckets = buckets
        self._style = style
        names = [value(name.removeprefix(BOM)) for name in header.fields]
        wanted = [*columns.mapped, *columns.added]
        for name in [columns.row, *wanted]:
            if names.count(name) > 1:
                raise CsvError(1, f"the column {name} is there twice")
        if columns.row not in names:
            raise CsvError(1, f"there is no column {columns.row}; there are {', '.join(names)}")
        self.new = tuple(name for name in wanted if name not in names)
        every = self.names = [*names, *self.new]
        self.row_index = names.index(columns.row)
        self.mapped = {every.index(name): kind for name, kind in columns.mapped.items()}
        self.added = {every.index(name): name for name in columns.added}
        self._typed = {kind for kind in columns.mapped.values() if kind is not None}
        self._width = len(names)

    def header(self) -> Row:
        """The header with the columns that are new."""
        like = self._header.fields[-1]
        new = tuple(spelled(name, like, self._delimiter) for name in self.new)
        return Row(self._header.fields + new, self._header.end)

    def row_of(self, row: Row) -> str:
        """The ``row_id`` of a row; empty where it is too short to have one."""
        fields = row.fields
        return value(fields[self.row_index]).strip() if self.row_index < len(fields) else ""

    def texts(self, row: Row) -> list[str]:
        """Everything in the mapped columns that may be a URL."""
        return [text for _, text in self.cells(row)]

    def cells(self, row: Row) -> list[tuple[int, str]]:
        """The same, each with the index of its column."""
        return [
            (index, piece.strip())
            for index in self.mapped
            if index < len(row.fields)
            for piece in value(row.fields[index]).split(self._columns.separator)
            if piece.strip()
        ]

    def rewritten(
        self, row: Row, files: Sequence[GroupedFile], known: Mapping[str, GroupedFile]
    ) -> Rewritten:
        """The row after the grouping. ``files`` are those of its ``row_id`` in the order of their
        keys; ``known`` holds every object that its URLs name, by old and by new key.
        """
        if row.is_blank:
            return Rewritten(row)
        if len(row.fields) != self._width:
            why = f"{len(row.fields)} fields where the header has {self._width}"
            return Rewritten(row, 0, (why,))
        fields = [*row.fields, *([b""] * len(self.new))]
        problems: list[str] = []
        urls = 0
        for index, kind in self.mapped.items():
            fields[index], count = self._cell(fields[index], kind, files, known, problems)
            urls += count
        for index, name in self.added.items():
            text = str(len(files)) if name == FILE_COUNT else str(bool(files)).lower()
            fields[index] = self._spelled(text, fields[index])
        return Rewritten(Row(tuple(fields), row.end), urls, tuple(problems))

    def _cell(
        self,
        field: bytes,
        kind: str | None,
        files: Sequence[GroupedFile],
        known: Mapping[str, GroupedFile],
        problems: list[str],
    ) -> tuple[bytes, int]:
        """A cell of URLs as it is to be, and how many of them are of objects."""
        mine = {file.new_key for file in files}
        pieces: list[str] = []
        seen: set[str] = set()
        style = self._style
        for piece in value(field).split(self._columns.separator):
            text = piece.strip()
            url = resolved(self._reader, text, known.__contains__) if text else None
            if url is None:
                if text and self._reader.is_of_bucket(text):
                    problems.append(f"{text} {UNRESOLVED}")
                if text:
                    pieces.append(piece)
                continue
            style = url
            file = known[url.key]
            if kind is not None and file.type != kind:
                # It goes to the column of its type, which lists all of the row's files.
                if file.type in self._typed and file.new_key in mine:
                    continue
            elif kind is not None and file.new_key in seen:
                continue
            seen.add(file.new_key)
            pieces.append(self._url(url, file))
        for file in files if kind is not None else ():
            if file.type == kind and file.new_key not in seen:
                seen.add(file.new_key)
                pieces.append(self._url(style, file))
        return self._spelled(self._columns.separator.join(pieces), field), len(seen)

    def _url(self, like: ObjectUrl, file: GroupedFile) -> str:
        source, target = self._buckets
        bucket = source if source in like.head else target
        encoded = self._style.encoded is not False
        return like.of(file.new_key, bucket, target, encoded=encoded)

    def _spelled(self, text: str, field: bytes) -> bytes:
        """The field itself where it says that already: its quotes are not ours to change."""
        return field if value(field) == text else spelled(text, field, self._delimiter)
