"""``restore``: archived objects asked for, waited for, and watched over until they are downloaded.

Each object has a state in the journal: requested, ongoing, ready until a time, expired. S3 is asked
how far it is by listings, a thousand objects at a time; by HEAD only where a listing does not tell.
A resumed run goes on waiting. What is downloaded is nobody's concern any more.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import assert_never

from s3plan.engine.context import Context
from s3plan.engine.each import must_last
from s3plan.engine.looking import Seen, head_all, look_at
from s3plan.engine.state import WAITING, ItemState
from s3plan.errors import EndpointError, NoSuchKeyError, StoreError, ThrottledError
from s3plan.model.events import Waiting, Warned
from s3plan.model.journal import RestoreStage
from s3plan.model.steps import Item, Restore, Step, Tier
from s3plan.rules.classes import ARCHIVED_CLASSES, TIERED_CLASS
from s3plan.rules.restores import ONGOING

CHUNK = 5_000
"""Items whose restores are looked at together."""

RANGE = 1_000
"""Items that one intent covers."""

REQUESTS = 32
"""RestoreObject requests in flight. S3 takes a thousand a second
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html)."""

GIVE_UP = 50
"""Refusals in a row, without one success, after which the step stops asking."""

LOOKS = 12
"""Looks in a row that may fail: a wait of days outlives a network that is away for an hour."""

BREATH = 0.2
"""Seconds between two checks whether everything was downloaded."""

_OPEN = frozenset({ItemState.PENDING, ItemState.UNKNOWN, ItemState.EXPIRED, ItemState.FAILED})
"""States of items that nobody knows to be restored, or on their way to it."""


class Restorer:
    """One restore step of one session."""

    def __init__(self, context: Context, step: Step, action: Restore) -> None:
        self.context = context
        self.step = step
        self.action = action
        self.bucket = context.bucket(step)
        self.state = context.step_state(step)
        self.feeds = context.feeds_from(step)
        self.tiers = dict(action.tiers)
        self.refused: set[int] = set()
        """Items that this session failed with, and does not try again."""
        self.refusals = 0
        self.failed_looks = 0
        self.first = True
        self.expired = 0
        """Items that were expired, and could not be asked for, at the last time of asking."""

    async def run(self) -> None:
        for feed in self.feeds:
            await self.context.unless_stopped(feed.surveyed.wait())
        self._mark_served()
        while True:
            await self._look_patiently()
            if await self._ask():
                # Some are there at once: a copy that was extended, an endpoint that has no archive.
                await self._look_patiently()
            self.first = False
            for feed in self.feeds:
                feed.offer()
            if self._is_over():
                break
            await self._rest()
        self._mark_served()

    async def ask(self) -> None:
        """Ask for everything that nobody asked for."""
        await self._ask()

    async def look_once(self) -> None:
        """Note how far everything is, and ask for nothing."""
        await self._look()

    # -- which items ---------------------------------------------------------------------------

    def _wanted(self) -> Iterator[Item]:
        """Items that somebody still needs."""
        for item in self.context.plan.items(self.step.id):
            if not self.feeds or any(feed.is_wanted(item.n) for feed in self.feeds):
                yield item

    def _mark_served(self) -> None:
        """What is downloaded need not be restored: it counts as done."""
        if not self.feeds:
            return
        items = (n for n in range(self.step.totals.items) if self._is_served(n))
        while batch := list(islice(items, RANGE)):
            self.context.restored(self.step, "ready", batch)

    def _is_served(self, n: int) -> bool:
        done = self.state.of(n) is ItemState.DONE
        return not done and not any(feed.is_wanted(n) for feed in self.feeds)

    def _is_over(self) -> bool:
        if self.feeds:
            return all(feed.is_over for feed in self.feeds)
        return not any(self.state.of(item.n) in _OPEN | WAITING for item in self._left())

    def _left(self) -> Iterator[Item]:
        return (item for item in self._wanted() if item.n not in self.refused)

    # -- looking -------------------------------------------------------------------------------

    async def _look_patiently(self) -> None:
        try:
            await self._look()
        except (EndpointError, ThrottledError) as error:
            self.failed_looks += 1
            if self.failed_looks >= LOOKS:
                raise
            self.context.observer(Warned(f"{error.what}; looking again later: {error.found}"))
        else:
            self.failed_looks = 0

    async def _look(self) -> None:
        """Ask S3 how far it is with everything that it may be at."""
        items = (item for item in self._left() if self._may_have_changed(item))
        while chunk := list(islice(items, CHUNK)):
            self.context.check_stop()
            found: dict[tuple[RestoreStage, str], list[int]] = defaultdict(list)
            for item, seen in await self._seen(chunk):
                stage = self._stage(item, seen)
                if stage is not None:
                    found[stage].append(item.n)
            for (name, until), numbers in found.items():
                self.context.restored(self.step, name, numbers, until)

    def _may_have_changed(self, item: Item) -> bool:
        state = self.state.of(item.n)
        # Somebody may have restored what this run did not come to yet.
        untouched = self.first and state in (ItemState.PENDING, ItemState.FAILED)
        return state in WAITING or state is ItemState.UNKNOWN or untouched

    async def _seen(self, chunk: list[Item]) -> list[tuple[Item, Seen | None]]:
        keys = [item.key for item in chunk if item.history is None]
        listed = await look_at(self.bucket, keys, restores=True)
        alone = [item for item in chunk if not self._is_told(item, listed.get(item.key))]
        asked = await head_all(self.bucket, [(item.key, item.history) for item in alone])
        found = dict(zip((item.n for item in alone), asked, strict=True))
        return [(item, found.get(item.n, listed.get(item.key))) for item in chunk]

    def _is_told(self, item: Item, seen: Seen | None) -> bool:
        """Whether a listing says enough of an item; only HEAD tells of older versions.

        A listing that tells nothing may not know of restores at all. Only what was asked for is
        worth a question of its own.
        """
        if item.history is not None:
            return False
        untouched = self.state.of(item.n) in (ItemState.PENDING, ItemState.FAILED)
        return untouched or seen is None or seen.by_head or seen.restore is not None

    def _stage(self, item: Item, seen: Seen | None) -> tuple[RestoreStage, str] | None:
        """What became of an item, and until when; None where nothing did."""
        if seen is None or (seen.size, seen.etag) != (item.size, item.etag):
            self._drifted(item, seen)
            return None
        state = self.state.of(item.n)
        if seen.restore == ONGOING:
            return None if state is ItemState.ONGOING else ("ongoing", "")
        if seen.restore is not None:
            lasts = datetime.fromisoformat(seen.restore).timestamp() > self._now()
            return ("ready", seen.restore) if lasts else ("expired", "")
        if seen.storage_class not in ARCHIVED_CLASSES | {TIERED_CLASS}:
            return "ready", ""
        if seen.storage_class == TIERED_CLASS and seen.by_head and seen.archive is None:
            return "ready", ""
        asked_for = state not in (ItemState.PENDING, ItemState.FAILED)
        return ("expired", "") if seen.by_head and asked_for else None

    def _drifted(self, item: Item, seen: Seen | None) -> None:
        what = "is gone from S3" if seen is None else "was changed in S3"
        self.context.problem(
            self.step,
            item.n,
            item.key,
            item.path,
            "drifted",
            "source-changed",
            f"{item.key} {what} since the plan was made",
            "s3plan plan again: the object changed after the plan was made",
        )
        self.refused.add(item.n)

    # -- asking --------------------------------------------------------------------------------

    async def _ask(self) -> bool:
        """Ask for what is not on its way, or about to expire; whether there was any."""
        asked = False
        items = (item for item in self._left() if self._must_be_asked_for(item))
        while batch := list(islice(items, RANGE)):
            self.context.check_stop()
            asked = True
            await self.context.intend(self.step, batch[0].n, batch[-1].n)
            gate = asyncio.Semaphore(REQUESTS)
            results = await asyncio.gather(*[self._one(item, gate) for item in batch])
            found: dict[RestoreStage, list[int]] = defaultdict(list)
            for item, stage in zip(batch, results, strict=True):
                if stage is not None:
                    found[stage].append(item.n)
            for stage, numbers in found.items():
                self.context.restored(self.step, stage, numbers)
        self.expired = self.state.count(ItemState.EXPIRED)
        return asked

    def _must_be_asked_for(self, item: Item) -> bool:
        state = self.state.of(item.n)
        if state is ItemState.DONE:
            left = self.state.expires(item.n) - self._now()
            return left < must_last(item) + 2 * self.action.poll
        return state in _OPEN

    async def _one(self, item: Item, gate: asyncio.Semaphore) -> RestoreStage | None:
        async with gate:
            if self.context.stopping:
                return None
            try:
                stage = await self._restore(item)
            except NoSuchKeyError:
                self._drifted(item, None)
                return None
            except StoreError as error:
                self.refused.add(item.n)
                self.context.problem(
                    self.step, item.n, item.key, item.path, "failed", error.code, str(error)
                )
                self.refusals += 1
                if self.refusals >= GIVE_UP:
                    raise
                return None
            self.refusals = 0
            return stage

    async def _restore(self, item: Item) -> RestoreStage:
        # Objects of INTELLIGENT_TIERING come back for good, and S3 refuses to be told any days.
        days = None if item.storage_class == TIERED_CLASS else self.action.days
        while True:
            tier = self.tiers[item.storage_class]
            answer = await self.bucket.restore(
                item.key, days=days, tier=tier, version=item.version_id
            )
            match answer:
                case "started":
                    return "requested"
                case "extended" | "ongoing":
                    return "ongoing"  # until when, the next look tells
                case "readable":
                    return "ready"
                case "no-capacity":
                    self._slow_down(item.storage_class, tier)
                case _:
                    assert_never(answer)

    def _slow_down(self, storage_class: str, tier: Tier) -> None:
        """Take the next slower option for all objects of a class; another one may have done so.

        Waiting would not help, and dearer it does not get.
        """
        if self.tiers[storage_class] == tier:
            self.tiers[storage_class] = "Standard"
            self.context.observer(
                Warned(
                    f"S3 has no capacity for {tier} restores now: objects of {storage_class} in"
                    f" {self.step.subject} are asked for as Standard, which takes hours"
                )
            )

    # -- waiting -------------------------------------------------------------------------------

    async def _rest(self) -> None:
        """Wait for the next look; shorter where something is to be asked for, or all is over."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.action.poll
        waiting = sum(self.state.count(code) for code in WAITING)
        if waiting:
            self.context.observer(
                Waiting(self.step.id, self.step.subject, waiting, self.action.poll)
            )
        news = self.feeds[0].news if self.feeds else asyncio.Event()
        while (left := until - loop.time()) > 0:
            news.clear()
            if self._is_over() or self.state.count(ItemState.EXPIRED) > self.expired:
                return
            await self.context.unless_stopped(_told(news, left))

    def _now(self) -> float:
        return self.context.clock().timestamp()


async def _told(news: asyncio.Event, seconds: float) -> None:
    """Wait for news, but not more often than it pays to look at it, and not over ``seconds``."""
    with suppress(TimeoutError):
        await asyncio.wait_for(news.wait(), seconds)
        await asyncio.sleep(min(BREATH, seconds))


async def ask_for(context: Context, step: Step, action: Restore) -> None:
    """Ask for the step's items, once, and note what S3 answers: for who is not to wait for them."""
    await Restorer(context, step, action).ask()


async def restore(context: Context, step: Step, action: Restore) -> None:
    """Run a restore step. Returns when everything was read that reads from it."""
    await Restorer(context, step, action).run()
    context.check_stop()
