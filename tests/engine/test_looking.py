"""A look at many keys of a bucket: what it tells is true, and it asks for little beyond them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3plan.engine.looking import look_at
from s3plan.errors import NoSuchKeyError
from s3plan.model.objects import ObjectAttributes, ObjectHead
from s3plan.store import Bucket, ListPage

ETAG, TIME = "0" * 32, "2026-01-01T00:00:00.000Z"


class Served:
    """A bucket that lists in byte order or in path order, and notes every key it told or lacked."""

    def __init__(self, keys: Sequence[str], *, by_path: bool = False) -> None:
        self.name = "b"
        self.by_path = by_path
        self.keys = sorted(keys, key=self.order)
        self.listed: list[list[str]] = []
        self.heads: list[str] = []

    def order(self, key: str) -> str:
        """What this server sorts by."""
        return key.replace("/", "\0") if self.by_path else key

    async def pages(
        self, prefix: str = "", start_after: str = "", max_keys: int = 1000, **_: Any
    ) -> AsyncIterator[ListPage]:
        """Pages of a listing."""
        left = [
            key
            for key in self.keys
            if key.startswith(prefix) and self.order(key) > self.order(start_after)
        ]
        while True:
            page, left = left[:max_keys], left[max_keys:]
            self.listed.append(page)
            if page:
                n = len(page)
                yield ListPage(
                    page, [1] * n, [ETAG] * n, [TIME] * n, ["STANDARD"] * n, [None] * n,
                    more=bool(left),
                )  # fmt: skip
            if not left:
                return

    async def head(self, key: str, **_: Any) -> ObjectHead:
        """What HeadObject tells."""
        self.heads.append(key)
        if key not in self.keys:
            raise NoSuchKeyError("it is not there", address=key)
        return ObjectHead(key, 1, ETAG, TIME, ObjectAttributes())


def seen(bucket: Served, wanted: Sequence[str]) -> set[str]:
    """Those of ``wanted`` that a look finds."""
    return set(asyncio.run(look_at(cast("Bucket", bucket), wanted))) & set(wanted)


_KEYS = st.builds("".join, st.lists(st.sampled_from(["a", "b", "/", " ", "0", "é"]), min_size=1))


@given(st.sets(_KEYS, max_size=40), st.sets(_KEYS, max_size=40), st.booleans())
def test_a_look_finds_what_is_there_and_nothing_else(
    there: set[str], others: set[str], by_path: bool
) -> None:
    """Whatever the keys and the order of the server."""
    wanted = sorted(there | others)
    many = [f"{key}{n}" for key in wanted for n in range(3)]
    held = [f"{key}{n}" for key in there for n in range(3)]
    assert seen(Served([*held, *others], by_path=by_path), many) == set(held) | others & set(many)


@pytest.mark.parametrize("by_path", [False, True])
def test_nothing_beyond_the_folders_of_the_keys_is_listed(by_path: bool) -> None:
    """A range of a worklist lies in two folders of many: the others are not looked through."""
    every = [f"{folder:04}/{n:04}.bin" for folder in range(8) for n in range(1_000)]
    bucket = Served(every, by_path=by_path)
    wanted = every[2_100:3_100]
    assert seen(bucket, wanted) == set(wanted)
    assert len(bucket.listed) == 2
    assert {key for page in bucket.listed for key in page} <= {*every[2_000:4_000]}
    assert not bucket.heads


def test_an_empty_bucket_is_looked_through_where_the_keys_would_be() -> None:
    """Nothing is there: one request for each folder, and none for a key by itself."""
    bucket = Served([])
    assert not seen(bucket, [f"{n // 1_000:04}/{n:06}" for n in range(600, 1_600)])
    assert bucket.listed == [[], []]
    assert not bucket.heads


def test_many_small_folders_are_one_request() -> None:
    """A thousand keys in two hundred folders are not asked for folder by folder."""
    every = [f"people/{n // 5:04}/file{n % 5}" for n in range(1_000)]
    bucket = Served(every)
    assert seen(bucket, every) == set(every)
    assert len(bucket.listed) == 1
