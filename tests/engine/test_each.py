"""An `each` edge hands over every item once, as it becomes ready, in whatever order that is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from s3plan.engine.each import LEAD, TRIES, Feed
from s3plan.engine.state import ItemState, StepState
from s3plan.model.steps import Item, Restore, Step, Totals
from tests.engine.test_lanes import step as made

COUNT = 8


class _Plan:
    """A worklist of eight items."""

    def __init__(self) -> None:
        self.passes = 0

    def items(self, _: str) -> Any:
        self.passes += 1
        return (Item("r", n, f"k{n}", f"k{n}", 1, "e", "m") for n in range(COUNT))


class _Edge:
    def __init__(self, now: float = 0) -> None:
        self.plan = _Plan()
        plan: Any = self.plan
        self.before, self.after = StepState(), StepState()
        self.news = asyncio.Event()
        steps = (_step("r", Restore(1, {}, 1)), _step("d", made("d", "b").action))
        self.feed = Feed(plan, steps, (self.before, self.after), lambda: now, self.news)

    def ready(self, *items: int) -> None:
        for n in items:
            self.before.set(n, ItemState.DONE)
        self.feed.offer()


def _step(name: str, action: Any) -> Step:
    return Step(name, action, "b", (), None, "free", "", "", Totals(COUNT, COUNT))


@settings(max_examples=50)
@given(st.permutations(range(COUNT)), st.integers(1, 4), st.integers(1, 5))
def test_every_item_comes_once_whenever_it_is_ready(
    order: list[int], batch: int, workers: int
) -> None:
    async def main() -> list[int]:
        edge = _Edge()
        taken: list[int] = []

        async def work() -> None:
            while item := await edge.feed.next():
                taken.append(item.n)
                await asyncio.sleep(0)
                edge.after.set(item.n, ItemState.VERIFIED)
                edge.feed.moved()

        tasks = [asyncio.create_task(work()) for _ in range(workers)]
        for start in range(0, COUNT, batch):
            edge.ready(*order[start : start + batch])
            while len(taken) < min(start + batch, COUNT):
                await edge.news.wait()
                edge.news.clear()
        while not edge.feed.is_over:
            await edge.news.wait()
            edge.news.clear()
        edge.feed.close()
        await asyncio.wait_for(asyncio.gather(*tasks), 5)
        return taken

    assert sorted(asyncio.run(main())) == list(range(COUNT))


def test_nobody_waits_for_what_never_comes() -> None:
    async def main() -> None:
        edge = _Edge()
        edge.ready(2)
        assert (await edge.feed.next()) is not None
        waiting = asyncio.create_task(edge.feed.next())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        assert edge.news.is_set(), "the step before is told that everything was taken"
        edge.feed.close()
        assert await asyncio.wait_for(waiting, 5) is None

    asyncio.run(main())


def test_what_was_given_back_comes_again_and_not_for_ever() -> None:
    async def main() -> None:
        edge = _Edge()
        for again in range(TRIES):
            edge.ready(3)
            item = await edge.feed.next()
            assert item is not None
            assert item.n == 3
            assert edge.feed.give_back(item) is (again + 1 < TRIES)
            assert edge.before.of(3) is (ItemState.EXPIRED if again + 1 < TRIES else ItemState.DONE)

    asyncio.run(main())


def test_a_copy_that_is_about_to_expire_is_not_taken() -> None:
    async def main() -> None:
        edge = _Edge(now=1_000_000_000)
        edge.before.restored([0], "ready", "2001-09-09T01:46:40Z")  # right now
        edge.before.restored([1], "ready", "2001-09-10T01:46:40Z")  # a day later
        assert edge.before.expires(0) - 1_000_000_000 < LEAD
        edge.feed.offer()
        item = await edge.feed.next()
        assert item is not None
        assert item.n == 1

    asyncio.run(main())


def test_what_failed_before_is_not_waited_for() -> None:
    edge = _Edge()
    for n in range(COUNT):
        edge.before.set(n, ItemState.FAILED if n % 2 else ItemState.DONE)
    assert not edge.feed.is_over
    for n in range(0, COUNT, 2):
        edge.after.set(n, ItemState.VERIFIED if n else ItemState.DRIFTED)
    assert edge.feed.is_over


def test_an_idle_edge_does_not_read_the_plan_again(tmp_path: Path) -> None:
    """With many workers waiting, one pass a piece of news is enough."""

    async def main() -> int:
        edge = _Edge()
        tasks = [asyncio.create_task(edge.feed.next()) for _ in range(32)]
        await asyncio.sleep(0.01)
        edge.ready(*range(COUNT))
        await asyncio.sleep(0.01)
        edge.feed.close()
        found = await asyncio.gather(*tasks)
        assert len([item for item in found if item is not None]) == COUNT
        return edge.plan.passes

    assert asyncio.run(main()) <= 3


@settings(max_examples=50)
@given(st.permutations(range(COUNT)), st.integers(1, 5), st.sets(st.integers(0, COUNT - 1)))
def test_in_order_every_item_comes_once_but_those_that_are_lost(
    order: list[int], workers: int, lost: set[int]
) -> None:
    """In one pass; an item that failed in an earlier session is waited for: it is tried again."""

    async def main() -> list[int]:
        edge = _Edge()
        for n in range(COUNT):
            edge.before.set(n, ItemState.FAILED)
        taken: list[int] = []

        async def work() -> None:
            while item := await edge.feed.next_in_order():
                taken.append(item.n)

        tasks = [asyncio.create_task(work()) for _ in range(workers)]
        for n in order:
            await asyncio.sleep(0)
            if n in lost:
                edge.feed.offer(lost=n)
            else:
                edge.ready(n)
        edge.feed.close()
        await asyncio.wait_for(asyncio.gather(*tasks), 5)
        assert edge.plan.passes == 1
        return taken

    assert sorted(asyncio.run(main())) == [n for n in range(COUNT) if n not in lost]


def test_in_order_nobody_waits_for_a_step_that_left() -> None:
    async def main() -> None:
        edge = _Edge()
        waiting = asyncio.create_task(edge.feed.next_in_order())
        await asyncio.sleep(0)
        edge.feed.leave()
        assert await asyncio.wait_for(waiting, 5) is None

    asyncio.run(main())
