"""A listing by several hands: nothing left out, nothing twice, whatever order a server lists in."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3plan.errors import EndpointError, ListingError, StoreError
from s3plan.rules.keyspace import between
from s3plan.store import SeamError
from s3plan.store.dividing import nowhere, pages
from s3plan.store.listing import ListPage
from s3plan.store.versions import VersionPage

Order = Callable[[str], object]


def by_bytes(key: str) -> object:
    return key.encode()


def by_path(key: str) -> object:
    """As servers list that keep directories."""
    return key.replace("/", "\0").encode()


class Shelf:
    """Keys as a server lists them, ``most`` to a page, and what was asked of it."""

    def __init__(self, keys: list[str], order: Order = by_bytes, most: int = 3) -> None:
        self.keys = sorted(keys, key=order)  # type: ignore[arg-type]
        self.order = order
        self.most = most
        self.asked: list[str] = []
        self.random = random.Random(0)

    async def list_from(self, start: str) -> AsyncIterator[ListPage]:
        while True:
            self.asked.append(start)
            for _ in range(self.random.randrange(4)):
                await asyncio.sleep(0)
            rest = [k for k in self.keys if not start or self.order(k) > self.order(start)]  # type: ignore[operator]
            page, more = rest[: self.most], len(rest) > self.most
            if not page:
                return
            count = len(page)
            yield ListPage(
                page, [1] * count, ["e"] * count, ["t"] * count, ["S"] * count, [None] * count,
                more=more,
            )  # fmt: skip
            if not more:
                return
            start = page[-1]

    async def folders(self, after: str) -> list[str]:
        return sorted({k.partition("/")[0] + "/" for k in self.keys if "/" in k and k > after})

    def listed(self, prefix: str = "", hands: int = 4, places: Sequence[str] = ()) -> list[str]:
        """All keys that came, by several hands."""

        async def go() -> list[str]:
            found: list[str] = []
            listing = pages(
                self.list_from, self.folders, prefix, hands=hands, alone=0, places=places
            )
            async for page in listing:
                assert len(page.keys) == len(page.sizes) == len(page.checksums)
                found += page.keys
            return found

        return asyncio.run(go())


KEYS = st.lists(
    st.text(st.sampled_from("ab/ -.0~\x7fé\U0001f600"), min_size=1, max_size=6), unique=True
)


@given(KEYS, st.integers(1, 5), st.integers(1, 6))
def test_each_key_comes_once(keys: list[str], most: int, hands: int) -> None:
    shelf = Shelf(keys, most=most)
    assert sorted(shelf.listed(hands=hands)) == sorted(keys)


@given(KEYS, st.integers(1, 5), st.integers(1, 6))
def test_another_order_is_listed_whole_or_refused(keys: list[str], most: int, hands: int) -> None:
    """Never with something missing: a seam does not close there."""
    shelf = Shelf(keys, by_path, most)
    try:
        found = shelf.listed(hands=hands)
    except SeamError:
        return
    assert sorted(found) == sorted(keys)


@given(KEYS, KEYS, st.integers(1, 5), st.integers(1, 6))
def test_a_listing_divided_beforehand_is_whole(
    keys: list[str], places: list[str], most: int, hands: int
) -> None:
    """Wherever it was divided: at keys, between them, or behind the last."""
    assert sorted(Shelf(keys, most=most).listed(hands=hands, places=sorted(places))) == sorted(keys)
    try:
        found = Shelf(keys, by_path, most).listed(hands=hands, places=sorted(places))
    except SeamError:
        return
    assert sorted(found) == sorted(keys)


def test_known_keys_are_listed_in_as_many_pages_as_by_one_hand() -> None:
    """Each page shows where the next begins, so that no seam is asked for."""
    keys = [f"{n:04}" for n in range(40)]
    shelf = Shelf(keys, most=10)
    assert sorted(shelf.listed(hands=8, places=keys[8:40:9])) == keys
    assert len(shelf.asked) == 5


class Folders(Shelf):
    """As SeaweedFS: behind the name of a folder there is nothing of what is in it."""

    async def list_from(self, start: str) -> AsyncIterator[ListPage]:
        beyond = (
            f"{start}/\U0010ffff" if any(k.startswith(f"{start}/") for k in self.keys) else start
        )
        async for page in super().list_from(beyond):
            yield page


@pytest.mark.parametrize("width", [1, 3, 4])
def test_a_listing_is_not_divided_at_the_name_of_a_folder(width: int) -> None:
    """Folders of numbers lie where halves are sought: such a seam would never close."""
    keys = [f"{n // 3:0{width}}/{n:06}.bin" for n in range(3 * 10 ** min(width, 3))]
    shelf = Folders(keys, most=10)
    assert sorted(shelf.listed(hands=8)) == sorted(keys)


class VersionShelf(Shelf):
    """Versions of keys, of which some have several; a page ends anywhere among them."""

    def __init__(self, stacks: dict[str, int], order: Order = by_bytes, most: int = 3) -> None:
        super().__init__([*stacks], order, most)
        self.stacks = stacks

    async def versions_from(self, start: str) -> AsyncIterator[VersionPage]:
        self.asked.append(start)
        keys = [k for k in self.keys if not start or self.order(k) > self.order(start)]  # type: ignore[operator]
        entries = [(key, newer) for key in keys for newer in range(self.stacks[key])]
        for first in range(0, len(entries), self.most):
            for _ in range(self.random.randrange(4)):
                await asyncio.sleep(0)
            some = entries[first : first + self.most]
            count = len(some)
            yield VersionPage(
                [key for key, _ in some], [f"{key}@{newer}" for key, newer in some],
                [newer for _, newer in some], [False] * count, [1] * count, ["e"] * count,
                ["t"] * count, ["S"] * count, [None] * count,
                more=first + self.most < len(entries),
            )  # fmt: skip

    def listed_versions(self, hands: int) -> list[tuple[str, int, str]]:
        """All entries that came, by several hands."""

        async def go() -> list[tuple[str, int, str]]:
            found: list[tuple[str, int, str]] = []
            async for page in pages(self.versions_from, nowhere, "", hands=hands, alone=0):
                assert len(page.keys) == len(page.markers) == len(page.checksums)
                found += zip(page.keys, page.newer, page.version_ids, strict=True)
            return found

        return asyncio.run(go())


STACKS = st.dictionaries(st.text("ab/ -.0~é", min_size=1, max_size=5), st.integers(1, 9))


@given(STACKS, st.sampled_from([by_bytes, by_path]), st.integers(1, 5), st.integers(1, 6))
def test_each_version_comes_once_and_those_of_a_key_in_their_order(
    stacks: dict[str, int], order: Order, most: int, hands: int
) -> None:
    """Or it is refused, where keys are not in byte order: never with something missing."""
    try:
        found = VersionShelf(stacks, order, most).listed_versions(hands)
    except SeamError:
        assert order is by_path
        return
    assert sorted(found) == [
        (key, newer, f"{key}@{newer}") for key in sorted(stacks) for newer in range(stacks[key])
    ]
    for key, count in stacks.items():
        assert [newer for other, newer, _ in found if other == key] == [*range(count)]


def test_the_hands_share_the_versions_of_a_bucket() -> None:
    shelf = VersionShelf({f"IMG_{n:05}.jpg": 1 + n % 3 for n in range(3000)}, most=20)
    assert len(shelf.listed_versions(hands=8)) == 6000
    assert len(shelf.asked) > 8, "listings that began in the middle of it"


def test_an_order_that_divides_badly_is_refused() -> None:
    """``a/y`` and ``a/z`` would be nobody's: bytes put them behind ``a b/``, the server before."""
    keys = ["0", "1", "a/x", "a/y", "a/z", "a b/q", "c/q"]
    with pytest.raises(SeamError):
        Shelf(keys, by_path, 1).listed()


def test_a_server_that_begins_where_it_likes_is_refused() -> None:
    shelf = Shelf([f"{n:03}" for n in range(50)])
    whole = shelf.list_from
    shelf.list_from = lambda start: whole("")  # type: ignore[method-assign]
    with pytest.raises(SeamError):
        shelf.listed()


@pytest.mark.parametrize("late", range(0, 90, 4))
def test_a_key_written_meanwhile_is_no_gap(late: int) -> None:
    """At a seam one neighbour may see it and the other not: nobody knows which is right."""
    keys = [f"{n:03}/x" for n in range(0, 90, 3)]
    shelf = Shelf(keys)
    whole = shelf.list_from

    async def changing(start: str) -> AsyncIterator[ListPage]:
        async for page in whole(start):
            yield page
            if len(shelf.asked) == 6:
                shelf.keys = sorted({*keys, f"{late:03}/y"})

    shelf.list_from = changing  # type: ignore[method-assign]
    try:
        found = shelf.listed()
    except SeamError:
        return
    assert set(found) >= set(keys)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("keys", [[], ["a"], ["a", "b", "c"]])
def test_a_bucket_of_one_page_takes_one_request(keys: list[str]) -> None:
    shelf = Shelf(keys)
    assert shelf.listed() == keys
    assert shelf.asked == [""]


def test_the_hands_share_a_bucket_without_folders() -> None:
    """No more than twice the pages are asked for, and no hand alone does most of it."""
    shelf = Shelf([f"IMG_{n:05}.jpg" for n in range(3000)], most=20)
    assert len(shelf.listed(hands=8)) == 3000
    assert len(shelf.asked) < 2 * 3000 / 20


@pytest.mark.parametrize(
    ("error", "raised"), [(EndpointError, EndpointError), (ListingError, SeamError)]
)
def test_a_failing_page_ends_it_all(error: type[StoreError], raised: type[Exception]) -> None:
    """An order that only a stretch broke says that this server cannot be listed so."""
    shelf = Shelf([f"{n:03}/x" for n in range(100)])
    whole = shelf.list_from

    async def failing(start: str) -> AsyncIterator[ListPage]:
        if start > "050":
            raise error("a page failed")
        async for page in whole(start):
            yield page

    shelf.list_from = failing  # type: ignore[method-assign]
    with pytest.raises(raised):
        shelf.listed()


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@given(TEXTS, st.none() | TEXTS)
def test_what_lies_between_lies_between(low: str, high: str | None) -> None:
    found = between(low, high)
    if found is not None:
        assert low.encode() < found.encode()
        assert high is None or found.encode() < high.encode()


def test_a_listing_that_is_soon_over_is_not_divided() -> None:
    """Of a server near by, a few pages come before others could help."""

    async def go(shelf: Shelf, alone: float) -> int:
        found = 0
        async for page in pages(shelf.list_from, shelf.folders, "", hands=8, alone=alone):
            found += len(page.keys)
        assert found == len(shelf.keys)
        return len(shelf.asked)

    keys = [f"{n:04}" for n in range(60)]
    assert asyncio.run(go(Shelf(keys), 60)) == 20
    assert asyncio.run(go(Shelf(keys), 0)) > 20
