"""A bucket's listing into the ``listing`` table, page by page; shadow keys into ``shadows``."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol, TypeVar

from s3plan.model.events import AnyEvent, Scanning
from s3plan.model.steps import Totals
from s3plan.rules.shadow import is_shadow
from s3plan.store import SeamError
from s3plan.tables import LISTING, REPEATED, SHADOWS, Database, TableDef
from s3plan.tables.database import Value

_BATCH = 5_000

Observer = Callable[[AnyEvent], None]


class Page(Protocol):
    """Columns of equal length, one entry per object."""

    @property
    def keys(self) -> Sequence[str]: ...
    @property
    def sizes(self) -> Sequence[int]: ...
    @property
    def etags(self) -> Sequence[str]: ...
    @property
    def modified(self) -> Sequence[str]: ...
    @property
    def storage_classes(self) -> Sequence[str]: ...
    @property
    def checksums(self) -> Sequence[str | None]: ...


class ObjectsPage(Page, Protocol):
    """As ``store.listing.ListPage``, with the keys that came more than once."""

    @property
    def repeated(self) -> Sequence[str]: ...


class VersionsPage(Page, Protocol):
    """The same of versions and delete markers, as ``store.versions.VersionPage``."""

    @property
    def version_ids(self) -> Sequence[str]: ...
    @property
    def newer(self) -> Sequence[int]: ...
    @property
    def markers(self) -> Sequence[bool]: ...


SomePage = TypeVar("SomePage")


class Listable(Protocol):
    """As much of a bucket as a listing needs; iterating raises when any page fails."""

    @property
    def name(self) -> str: ...
    def pages(self, prefix: str = "", *, repeats: bool = False) -> AsyncIterator[ObjectsPage]: ...
    def divided_pages(
        self, prefix: str = "", *, repeats: bool = False, places: Sequence[str] = ()
    ) -> AsyncIterator[ObjectsPage]: ...
    def version_pages(self, prefix: str = "") -> AsyncIterator[VersionsPage]: ...
    def divided_version_pages(self, prefix: str = "") -> AsyncIterator[VersionsPage]: ...


async def observe_bucket(
    bucket: Listable,
    database: Database,
    *,
    prefix: str,
    observer: Observer,
    versions: bool = False,
    repeats: bool = False,
    places: Sequence[str] = (),
) -> Totals:
    """Add a row per object of ``bucket`` under ``prefix``; tell ``observer`` every 5,000.

    With ``versions`` it is a row per version and delete marker. With ``repeats`` keys that come
    twice stand in ``repeated``, instead of failing a listing of objects. ``places`` are keys,
    rising, at which a listing of objects is divided from the start. What a migration keeps beside
    objects (:mod:`s3plan.rules.shadow`) is not counted, and stands in ``shadows``. An error of the
    store passes through: a listing that failed anywhere is no listing, and the rows that are
    already there must not be used.
    """

    async def observe(pages: AsyncIterator[ObjectsPage]) -> Totals:
        return await _observe(bucket.name, pages, _Columns.add, database, observer)

    async def observe_versions(pages: AsyncIterator[VersionsPage]) -> Totals:
        return await _observe(bucket.name, pages, _Columns.add_entries, database, observer)

    try:
        if versions:
            return await observe_versions(bucket.divided_version_pages(prefix=prefix))
        return await observe(bucket.divided_pages(prefix=prefix, repeats=repeats, places=places))
    except SeamError:
        # Its order is not that of bytes, or it changes as we look.
        for table in (LISTING, REPEATED, SHADOWS):
            database.execute(_FORGET.format(table=table.name), [bucket.name, prefix])
        if versions:
            return await observe_versions(bucket.version_pages(prefix=prefix))
        return await observe(bucket.pages(prefix=prefix, repeats=repeats))


_FORGET = "DELETE FROM {table} WHERE bucket = ? AND starts_with(key, ?)"


async def _observe(
    bucket: str,
    pages: AsyncIterator[SomePage],
    add: Callable[[_Columns, SomePage], None],
    database: Database,
    observer: Observer,
) -> Totals:
    totals = Totals()
    batch = _Columns()
    async for page in pages:
        add(batch, page)
        if batch.rows >= _BATCH:
            totals += await _insert(database, bucket, batch)
            batch = _Columns()
            observer(Scanning(bucket, totals.items, totals.bytes))
    totals += await _insert(database, bucket, batch)
    observer(Scanning(bucket, totals.items, totals.bytes, finished=True))
    return totals


class _Columns:
    """Pages gathered until they are worth an insert."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.repeated: list[str] = []
        self.bytes = 0
        self.values: defaultdict[str, list[Value]] = defaultdict(list)

    @property
    def rows(self) -> int:
        return len(self.keys)

    def add(self, page: ObjectsPage) -> None:
        """A page of objects."""
        self._add(page)
        self.repeated += page.repeated

    def _add(self, page: Page) -> None:
        self.keys += page.keys
        self.bytes += sum(page.sizes)
        self.values["key"] += page.keys
        self.values["size"] += page.sizes
        self.values["etag"] += page.etags
        self.values["modified"] += page.modified
        self.values["storage_class"] += page.storage_classes
        self.values["checksum"] += page.checksums

    def add_entries(self, page: VersionsPage) -> None:
        """A page of versions and delete markers."""
        self._add(page)
        self.values["version_id"] += page.version_ids
        self.values["newer"] += page.newer
        self.values["marker"] += page.markers
        self.values["history"] += [
            version if newer or marker else None
            for version, newer, marker in zip(
                page.version_ids, page.newer, page.markers, strict=True
            )
        ]

    def take(self, rows: Sequence[int]) -> _Columns:
        """Some of the rows."""
        taken = _Columns()
        taken.keys = [self.keys[row] for row in rows]
        sizes = self.values["size"]
        taken.bytes = sum(size for row in rows if isinstance(size := sizes[row], int))
        for name, column in self.values.items():
            taken.values[name] = [column[row] for row in rows]
        return taken


async def _insert(database: Database, bucket: str, batch: _Columns) -> Totals:
    if batch.repeated:
        values: dict[str, list[Value]] = {"key": [*batch.repeated]}
        await asyncio.to_thread(database.append, REPEATED, values, {"bucket": bucket})
    hidden = [number for number, key in enumerate(batch.keys) if is_shadow(key)]
    if hidden:
        await _append(database, bucket, batch.take(hidden), SHADOWS)
        beside = frozenset(hidden)
        batch = batch.take([number for number in range(batch.rows) if number not in beside])
    return await _append(database, bucket, batch, LISTING)


async def _append(database: Database, bucket: str, batch: _Columns, table: TableDef) -> Totals:
    if batch.rows:
        # In a thread: DuckDB must not hold up the requests in flight.
        await asyncio.to_thread(database.append, table, batch.values, {"bucket": bucket})
    return Totals(batch.rows, batch.bytes)
