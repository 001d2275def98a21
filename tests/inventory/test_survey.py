"""What HEAD of a sample tells that a listing cannot: a customer's own key, or no permission."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from s3plan.errors import AccessDeniedError
from s3plan.inventory.survey import SAMPLE, sealed_keys
from s3plan.tables import LISTING, Database
from tests.store.scripted import Reply, answer, found, scripted, store_at


def ask(tmp_path: Path, keys: list[str], replies: list[Reply]) -> tuple[tuple[str, ...], int]:
    """The keys that were found sealed, and how many requests that took."""

    async def go() -> tuple[tuple[str, ...], int]:
        with Database(tmp_path) as database:
            database.append(LISTING, {"key": keys}, {"bucket": "bucket"})
            async with scripted(replies) as server, store_at(server.endpoint) as store:
                return await sealed_keys(store.bucket("bucket"), database), len(server.asked)

    return asyncio.run(go())


def test_objects_that_need_a_customers_key_answer_400(tmp_path: Path) -> None:
    sealed, _ = ask(tmp_path, ["a", "b"], [answer(400)])
    assert sorted(sealed) == ["a", "b"]


def test_a_large_bucket_is_sampled(tmp_path: Path) -> None:
    sealed, asked = ask(tmp_path, [f"k{n}" for n in range(1000)], [found(b"")])
    assert sealed == ()
    assert asked == SAMPLE


def test_objects_that_may_not_be_read_stop_the_plan(tmp_path: Path) -> None:
    with pytest.raises(AccessDeniedError):
        ask(tmp_path, ["a"], [answer(403)])


def test_an_object_that_went_meanwhile_is_no_problem(tmp_path: Path) -> None:
    assert ask(tmp_path, ["a"], [answer(404)]) == ((), 1)
