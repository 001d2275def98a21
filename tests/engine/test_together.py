"""Several coroutines as one."""

from __future__ import annotations

import asyncio

import pytest

from s3plan.engine.together import together


def test_the_first_error_ends_the_others_and_is_raised_bare() -> None:
    """And only once they have ended: what they were at is no longer under way."""
    ended: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            ended.append("slow")

    async def failing() -> None:
        await asyncio.sleep(0)
        raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        asyncio.run(together([slow(), failing(), slow()]))
    assert ended == ["slow", "slow"]


def test_cancelled_it_ends_them_all() -> None:
    ended: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("slow")

    async def play() -> None:
        both = asyncio.create_task(together([slow(), slow()]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        both.cancel()
        await both

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(play())
    assert ended == ["slow", "slow"]
