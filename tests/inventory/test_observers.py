"""Observers: what is there ends up in the tables, the last word on each key, and nothing else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from s3plan.errors import ListingError
from s3plan.inventory.catalogue import observe_catalogue
from s3plan.inventory.local import observe_tree
from s3plan.inventory.s3 import observe_bucket
from s3plan.inventory.selection import narrow
from s3plan.localfs.catalogue import Catalogue
from s3plan.localfs.tree import Tree
from s3plan.model.events import AnyEvent, Scanning
from s3plan.model.local import (
    CATALOGUE_FORMAT,
    CatalogueBucket,
    CatalogueHeader,
    CatalogueRecord,
    CatalogueRemoved,
    CatalogueRow,
    CatalogueTags,
    FileStat,
)
from s3plan.model.objects import Checksum, ObjectAttributes
from s3plan.model.steps import Select, Totals
from s3plan.store import SeamError
from s3plan.tables import LISTING, Database

TIME = "2026-11-01T00:00:00.000Z"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "scratch") as made:
        yield made


@dataclass(frozen=True)
class FakePage:
    keys: list[str]

    @property
    def sizes(self) -> list[int]:
        return [2] * len(self.keys)

    @property
    def etags(self) -> list[str]:
        return ["e"] * len(self.keys)

    @property
    def modified(self) -> list[str]:
        return [TIME] * len(self.keys)

    @property
    def storage_classes(self) -> list[str]:
        return ["STANDARD"] * len(self.keys)

    @property
    def checksums(self) -> list[str | None]:
        return [None] * len(self.keys)

    @property
    def repeated(self) -> list[str]:
        return []


class FakeVersions(FakePage):
    """Two entries a key: what it holds now, and a version before."""

    @property
    def version_ids(self) -> list[str]:
        return [f"v{number}" for number in range(len(self.keys))]

    @property
    def newer(self) -> list[int]:
        return [number % 2 for number in range(len(self.keys))]

    @property
    def markers(self) -> list[bool]:
        return [number == 2 for number in range(len(self.keys))]


class FakeBucket:
    name = "b"

    def __init__(self, pages: int, *, fails: bool = False) -> None:
        self.count = pages
        self.fails = fails

    async def pages(self, prefix: str = "", *, repeats: bool = False) -> AsyncIterator[FakePage]:
        for page in range(self.count):
            yield FakePage([f"{prefix}{page:04}/{n:04}" for n in range(1000)])
        if self.fails:
            raise ListingError("a page failed")

    def divided_pages(
        self, prefix: str = "", *, repeats: bool = False, places: Sequence[str] = ()
    ) -> AsyncIterator[FakePage]:
        return self.pages(prefix)

    async def version_pages(self, prefix: str = "") -> AsyncIterator[FakeVersions]:
        for _ in range(self.count):
            yield FakeVersions([f"{prefix}a", f"{prefix}a", f"{prefix}b", f"{prefix}b"])

    def divided_version_pages(self, prefix: str = "") -> AsyncIterator[FakeVersions]:
        return self.version_pages(prefix)


def test_a_listing_becomes_rows_and_events(database: Database) -> None:
    events: list[AnyEvent] = []
    totals = asyncio.run(
        observe_bucket(FakeBucket(25), database, prefix="p/", observer=events.append)
    )
    assert totals == Totals(25_000, 50_000)
    assert database.row("SELECT count(*), min(key), max(key) FROM listing") == (
        25_000,
        "p/0000/0000",
        "p/0024/0999",
    )
    assert events == [
        *(Scanning("b", keys, 2 * keys) for keys in range(5_000, 30_000, 5_000)),
        Scanning("b", 25_000, 50_000, finished=True),
    ]


class ShadowedBucket(FakeBucket):
    """Objects between shadows of some, and names that only look a little like them."""

    SHADOWS: Final = (
        ".s3plan/layout/new/a/b~0123456789abcdef",
        ".s3plan/layout/old/a/b~0123456789abcdef",
        "p/.s3plan/layout/new/x~~0123456789abcdef",
    )
    OBJECTS: Final = (".s3plan/layout/new/a", ".s3plan/other", "a/b", "b~0123456789abcdef")

    async def pages(self, prefix: str = "", *, repeats: bool = False) -> AsyncIterator[FakePage]:
        yield FakePage(sorted([*self.SHADOWS, *self.OBJECTS]))


def test_what_a_migration_keeps_beside_objects_is_in_no_listing(database: Database) -> None:
    """C3: staging is hidden from every listing, and still known."""
    seen = asyncio.run(
        observe_bucket(ShadowedBucket(1), database, prefix="", observer=lambda _: None)
    )
    assert seen == Totals(4, 8)
    assert [key for (key,) in database.rows("SELECT key FROM listing ORDER BY key")] == list(
        ShadowedBucket.OBJECTS
    )
    assert list(database.rows("SELECT bucket, key, size, etag FROM shadows ORDER BY key")) == [
        ("b", key, 2, "e") for key in ShadowedBucket.SHADOWS
    ]


class TornBucket(ShadowedBucket):
    """By several hands more comes than there is, and then the seams do not close."""

    async def divided_pages(
        self, prefix: str = "", *, repeats: bool = False, places: Sequence[str] = ()
    ) -> AsyncIterator[FakePage]:
        del prefix
        yield FakePage(["a/b", "nowhere", *self.SHADOWS, *(f"{n:05}" for n in range(5_000))])
        raise SeamError

    async def divided_version_pages(self, prefix: str = "") -> AsyncIterator[FakeVersions]:
        del prefix
        yield FakeVersions(["a", "a", "nowhere", "nowhere"])
        raise SeamError


def test_a_bucket_that_cannot_be_divided_is_listed_by_one_hand(database: Database) -> None:
    """Nothing of the first attempt stays."""
    database.append(LISTING, {"key": ["a/b"]}, {"bucket": "other"})
    seen = asyncio.run(observe_bucket(TornBucket(1), database, prefix="", observer=lambda _: None))
    assert seen == Totals(4, 8)
    rows = "SELECT key FROM {} WHERE bucket = 'b' ORDER BY key"
    assert [key for (key,) in database.rows(rows.format("listing"))] == list(TornBucket.OBJECTS)
    assert [key for (key,) in database.rows(rows.format("shadows"))] == list(TornBucket.SHADOWS)
    assert database.row("SELECT count(*) FROM listing WHERE bucket = 'other'") == (1,)


@pytest.mark.parametrize("bucket", [FakeBucket(1), TornBucket(1)])
def test_a_listing_of_versions_tells_what_a_key_holds_from_what_it_held(
    database: Database, bucket: FakeBucket
) -> None:
    """By several hands, and by one where they do not fit together."""
    asyncio.run(observe_bucket(bucket, database, prefix="", observer=lambda _: None, versions=True))
    found = list(
        database.rows("SELECT key, version_id, newer, marker, history FROM listing ORDER BY ALL")
    )
    assert found == [
        ("a", "v0", 0, False, None),
        ("a", "v1", 1, False, "v1"),
        ("b", "v2", 0, True, "v2"),
        ("b", "v3", 1, False, "v3"),
    ]


def test_a_listing_that_fails_is_no_listing(database: Database) -> None:
    with pytest.raises(ListingError):
        asyncio.run(
            observe_bucket(FakeBucket(3, fails=True), database, prefix="", observer=lambda _: None)
        )


def test_a_tree_becomes_rows(tmp_path: Path, database: Database) -> None:
    destination = tmp_path / "data"
    (destination / "b" / "d" / "empty").mkdir(parents=True)
    (destination / "b" / "d" / "x").write_bytes(b"123")
    (destination / "b" / "link").symlink_to("/etc/passwd")
    (destination / "other").mkdir()
    (destination / "other" / "y").write_bytes(b"1")
    with Tree.open(destination, create=False) as tree:
        assert observe_tree(tree, "b", database) == Totals(3, 3)
        assert observe_tree(tree, "not-there", database) == Totals()
    rows = list(database.rows("SELECT path, size, mtime_ns, inode FROM tree ORDER BY path"))
    status = (destination / "b" / "d" / "x").stat()
    assert [row[:2] for row in rows] == [("b/d/empty/", 0), ("b/d/x", 3), ("b/link", -1)]
    assert rows[1][2:] == (status.st_mtime_ns, status.st_ino)
    assert database.row("SELECT DISTINCT destination FROM tree") == (str(destination),)


def row(key: str, run: str, *, tags_known: bool = False) -> CatalogueRow:
    return CatalogueRow(
        key=key,
        path=f"b/{key}",
        size=1,
        etag="e",
        modified=TIME,
        evidence=Checksum("CRC64NVME", "AAAA"),
        verdict="verified",
        file=FileStat(2**64 - 1, 2**63, 1, 5),
        run=run,
        attributes=ObjectAttributes(),
        tags_known=tags_known,
    )


def test_the_last_word_on_each_key_counts(tmp_path: Path, database: Database) -> None:
    header = CatalogueHeader(CATALOGUE_FORMAT, "http://s3", "x", None, "b", TIME)
    noise = [row(f"n{n}", "1") for n in range(6_000)]
    records: list[CatalogueRecord] = [
        row("twice", "1"),
        row("removed", "1"),
        row("again", "1"),
        row("tagged", "1"),
        row("retagged", "1"),
        CatalogueRemoved("removed", "2"),
        CatalogueRemoved("again", "2"),
        CatalogueTags("tagged", {"a": "b"}, "2"),
        CatalogueTags("retagged", {"a": "b"}, "2"),
        *noise,
        CatalogueBucket("deleted", "2", TIME),
        row("twice", "3"),
        row("again", "3"),
        row("retagged", "3"),
        CatalogueRemoved("never there", "3"),
    ]
    with Tree.open(tmp_path / "data", create=True) as tree:
        catalogue = Catalogue.open_for_append(tree, header)
        catalogue.append(records)
        catalogue.close()
        state = observe_catalogue(tree, "b", database)
        assert observe_catalogue(tree, "other", database) is None
    assert state is not None
    assert (state.header, state.bucket) == (header, "deleted")
    assert list(
        database.rows(
            "SELECT key, run, tags_known FROM catalogue"
            " WHERE NOT starts_with(key, 'n') ORDER BY key"
        )
    ) == [
        ("again", "3", False),
        ("retagged", "3", False),
        ("tagged", "1", True),
        ("twice", "3", False),
    ]
    assert database.row(
        "SELECT destination, bucket, path, algorithm, value, verdict, device, mtime_ns"
        " FROM catalogue WHERE key = 'twice'"
    ) == (str(tmp_path / "data"), "b", "b/twice", "CRC64NVME", "AAAA", "verified", -1, 5)
    assert database.row("SELECT count(*) FROM catalogue") == (6_004,)
    assert database.row("SELECT count(*) FROM catalogue_notes") == (0,)


def test_globs_mean_what_they_mean_in_s3_policies(database: Database) -> None:
    keys = [
        "a.jpg",
        "a.jpg/b",
        "x/y.jpg",
        "a[b]",
        "ab",
        "new\nline.jpg",
        "nul\x00.jpg",
        "(x|y)",
        "x",
    ]
    database.append(LISTING, {"key": keys}, {"bucket": "b"})
    database.append(LISTING, {"key": keys}, {"bucket": "other"})
    narrow(database, "b", Select(keys=("*.jpg", "a[b]", "(x|?)")))
    assert {key for (key,) in database.rows("SELECT key FROM listing WHERE bucket = 'b'")} == {
        "a.jpg",
        "x/y.jpg",
        "a[b]",
        "new\nline.jpg",
        "nul\x00.jpg",
        "(x|y)",
    }
    assert database.row("SELECT count(*) FROM listing WHERE bucket = 'other'") == (len(keys),)


def test_bounds_of_age_and_size(database: Database) -> None:
    days = [f"2026-01-0{day}T00:00:00.000Z" for day in range(1, 6)]
    database.append(
        LISTING,
        {"key": [f"p/{n}" for n in range(5)], "modified": days, "size": [9, 10, 15, 20, 21]},
        {"bucket": "b"},
    )
    database.append(LISTING, {"key": ["q"], "modified": [days[2]], "size": [15]}, {"bucket": "b"})
    narrow(database, "b", Select("p/", (), days[4], days[0], 10, 20))
    assert [key for (key,) in database.rows("SELECT key FROM listing ORDER BY key")] == [
        "p/1",
        "p/2",
        "p/3",
    ]
    narrow(database, "b", None)
    assert database.row("SELECT count(*) FROM listing") == (3,)


def test_the_order_of_appends_does_not_matter(database: Database) -> None:
    keys = [f"{n:05}" for n in range(20_000)]
    shuffled = random.Random(1).sample(keys, len(keys))
    database.append(LISTING, {"key": shuffled})
    assert [key for (key,) in database.rows("SELECT key FROM listing ORDER BY key")] == keys
