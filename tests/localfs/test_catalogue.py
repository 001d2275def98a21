"""A catalogue keeps what was evacuated, for one bucket of one account at one endpoint."""

from __future__ import annotations

import pytest
from msgspec import structs

from s3plan.errors import CatalogueError, DestinationError
from s3plan.localfs.catalogue import Catalogue, list_catalogues, path_of, read_catalogue
from s3plan.localfs.tree import Tree
from s3plan.model.local import (
    CATALOGUE_FORMAT,
    CatalogueBucket,
    CatalogueHeader,
    CatalogueRecord,
    CatalogueRemoved,
    CatalogueRow,
    FileStat,
)
from s3plan.model.objects import Checksum, ObjectAttributes

HEADER = CatalogueHeader(
    format=CATALOGUE_FORMAT,
    endpoint="https://s3.eu-central-1.amazonaws.com",
    region="eu-central-1",
    account="123456789012",
    bucket="photos",
    created="2026-11-20T04:00:00.000Z",
)
ROW = CatalogueRow(
    key="a\u202e/../b\n",
    path="photos/a\u202e/%2E%2E/b%0A",
    size=3,
    etag="e",
    modified="2026-11-20T04:00:00.000Z",
    evidence=Checksum("CRC64NVME", "rosUhgp5mIg="),
    verdict="verified",
    file=FileStat(1, 2, 3, 4),
    run="run-1",
    attributes=ObjectAttributes(metadata={"owner": "Zoë"}, headers={"content-type": "text/plain"}),
)
RECORDS: tuple[CatalogueRecord, ...] = (
    ROW,
    CatalogueRemoved(key="k", run="run-2"),
    CatalogueBucket(state="deleted", run="run-1", time="2026-11-20T05:00:00.000Z"),
)


def append(tree: Tree, header: CatalogueHeader, *records: CatalogueRecord) -> None:
    catalogue = Catalogue.open_for_append(tree, header)
    catalogue.append(records)
    catalogue.sync()
    catalogue.close()


def test_records_come_back_in_order_over_several_sessions(tree: Tree) -> None:
    assert read_catalogue(tree, "photos") is None
    append(tree, HEADER, *RECORDS[:1])
    append(tree, structs.replace(HEADER, created="later"), *RECORDS[1:])
    answer = read_catalogue(tree, "photos")
    assert answer is not None
    header, records = answer
    assert header == HEADER
    assert tuple(records) == RECORDS


def test_catalogues_are_listed_by_their_buckets(tree: Tree) -> None:
    assert list_catalogues(tree) == ()
    for bucket in ("photos", "b.ucket", "con"):
        append(tree, structs.replace(HEADER, bucket=bucket))
    assert list_catalogues(tree) == ("b.ucket", "con", "photos")


@pytest.mark.parametrize(
    "change",
    [{"account": "210987654321"}, {"account": None}, {"endpoint": "http://127.0.0.1:8333"}],
)
def test_another_account_or_endpoint_is_refused(tree: Tree, change: dict[str, str | None]) -> None:
    append(tree, HEADER, ROW)
    with pytest.raises(CatalogueError, match="another bucket of this name") as caught:
        append(tree, structs.replace(HEADER, **change))
    assert "123456789012" in (caught.value.found or "")


def test_an_account_that_could_not_be_told_agrees_with_itself(tree: Tree) -> None:
    append(tree, structs.replace(HEADER, account=None))
    append(tree, structs.replace(HEADER, account=None), ROW)
    with pytest.raises(CatalogueError):
        append(tree, HEADER)


def test_a_crash_before_the_header_was_whole_is_made_good(tree: Tree) -> None:
    append(tree, HEADER)
    file = tree.root / path_of("photos")
    file.write_bytes(file.read_bytes()[:20])
    assert read_catalogue(tree, "photos") is None
    append(tree, HEADER, ROW)
    answer = read_catalogue(tree, "photos")
    assert answer is not None
    assert list(answer[1]) == [ROW]


def test_damage_is_refused_with_its_line(tree: Tree) -> None:
    append(tree, HEADER, *RECORDS)
    file = tree.root / path_of("photos")
    file.write_bytes(file.read_bytes().replace(b'"size":3', b'"size":4'))
    answer = read_catalogue(tree, "photos")
    assert answer is not None
    with pytest.raises(CatalogueError) as caught:
        list(answer[1])
    assert caught.value.address == f"{path_of('photos')}:2"


def test_a_format_of_the_future_is_refused(tree: Tree) -> None:
    header = structs.replace(HEADER, format="s3plan.catalogue/9")
    append(tree, header)
    with pytest.raises(CatalogueError, match="this version") as caught:
        read_catalogue(tree, "photos")
    assert caught.value.found == "s3plan.catalogue/9"
    with pytest.raises(CatalogueError):
        append(tree, HEADER)


def test_a_link_in_its_place_is_not_followed(tree: Tree) -> None:
    append(tree, HEADER, ROW)
    file = tree.root / path_of("photos")
    file.rename(tree.root / "moved")
    file.symlink_to(tree.root / "moved")
    with pytest.raises(DestinationError):
        append(tree, HEADER, ROW)
    with pytest.raises(DestinationError):
        read_catalogue(tree, "photos")
