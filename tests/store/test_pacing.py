"""The window of a bucket: what makes it smaller, what makes it larger, who waits and who goes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from s3plan.store.pacing import Pace
from s3plan.store.retry import asks_to_slow_down


class Clock:
    """A clock that only goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def answers(pace: Pace, count: int, *, refused: int = 0, seconds: float = 0.01) -> None:
    """So many answers, the last of them refusals, with nothing in flight."""
    for number in range(count):
        if number >= count - refused:
            pace.refused(None)
        else:
            pace.answered(seconds)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 5))


def test_a_server_that_answers_never_notices() -> None:
    pace = Pace(32)
    answers(pace, 1000)
    assert pace.window == 32


def test_what_was_refused_is_taken_away_and_given_back_slowly() -> None:
    pace = Pace(32)
    answers(pace, 32, refused=16)
    assert 24 <= pace.window <= 24.5
    answers(pace, 24, refused=6)
    assert 21 <= pace.window <= 22
    before = pace.window
    answers(pace, 21)
    assert before < pace.window <= before + 0.5
    answers(pace, 5000)
    assert pace.window == 32


def test_a_server_that_refuses_everything_is_left_alone_within_twenty_requests() -> None:
    pace = Pace(32)
    answers(pace, 20, refused=20)
    assert pace.window < 1


def test_one_refusal_among_many_costs_next_to_nothing() -> None:
    pace = Pace(32)
    answers(pace, 32, refused=1)
    assert pace.window > 31


def test_what_was_sent_before_a_cut_is_not_blamed_on_the_window_after_it() -> None:
    async def work() -> None:
        pace = Pace(32)
        for _ in range(32):
            await pace.enter()
        windows = []
        for _ in range(32):
            pace.leave()
            pace.refused(None)
            windows.append(pace.window)
        assert set(windows) == {32, windows[-1]}, "one cut"
        assert windows[-1] > 8

    run(work())


def test_below_one_the_window_is_a_share_of_time() -> None:
    async def work() -> None:
        clock = Clock()
        pace = Pace(4, clock)
        answers(pace, 200, refused=200, seconds=0.02)
        assert pace.window < 0.5
        await pace.enter()
        second = asyncio.ensure_future(pace.enter())
        await asyncio.sleep(0)
        assert not second.done(), "one in flight"
        pace.leave()
        await asyncio.sleep(0)
        assert not second.done(), "and a rest after it"
        clock.now += 1
        await asyncio.sleep(0.12)
        assert second.done()

    run(work())


def test_retry_after_is_for_everybody() -> None:
    async def work() -> None:
        clock = Clock()
        pace = Pace(8, clock)
        await pace.enter()
        pace.leave()
        pace.refused(0.05)
        waiting = [asyncio.ensure_future(pace.enter()) for _ in range(8)]
        await asyncio.sleep(0.01)
        assert not any(one.done() for one in waiting)
        clock.now += 0.06
        await asyncio.sleep(0.06)
        assert all(one.done() for one in waiting)

    run(work())


def test_a_full_window_whose_answers_become_slow_is_cut_and_a_half_empty_one_is_not() -> None:
    async def work() -> None:
        full, empty = Pace(16), Pace(16)
        answers(full, 16, seconds=0.02)
        answers(empty, 16, seconds=0.02)
        for _ in range(16):
            await full.enter()
        waiting = asyncio.ensure_future(full.enter())
        await asyncio.sleep(0)
        answers(full, 16, seconds=1.0)
        answers(empty, 16, seconds=1.0)
        assert full.window < 14
        assert empty.window == 16
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    run(work())


def test_who_gives_up_waiting_takes_nobodys_place() -> None:
    async def work() -> None:
        pace = Pace(1)
        await pace.enter()
        first = asyncio.ensure_future(pace.enter())
        second = asyncio.ensure_future(pace.enter())
        await asyncio.sleep(0)
        first.cancel()
        pace.leave()
        first_too_late = asyncio.ensure_future(pace.enter())
        await asyncio.sleep(0)
        assert second.done()
        pace.leave()
        first_too_late.cancel()
        await asyncio.gather(first, first_too_late, return_exceptions=True)
        await pace.enter()

    run(work())


@pytest.mark.parametrize(
    ("status", "code", "slow"),
    [(503, None, True), (429, None, True), (200, "SlowDown", True), (500, "InternalError", False),
     (400, "RequestTimeout", False), (409, "OperationAborted", False)],
)  # fmt: skip
def test_what_asks_to_slow_down(status: int, code: str | None, slow: bool) -> None:
    assert asks_to_slow_down(status, code) is slow
