"""How many requests a wait takes, whatever S3 is asked through: a bucket of numbers, no network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from s3plan.engine.context import Context
from s3plan.engine.handlers.restore import restore
from s3plan.engine.journal import JournalWriter, read_journal
from s3plan.engine.looking import look_at
from s3plan.engine.runs import create_journal
from s3plan.engine.state import ItemState, RunState, fold
from s3plan.errors import NoSuchKeyError
from s3plan.model.events import AnyEvent, Waiting
from s3plan.model.journal import RunStarted
from s3plan.model.objects import ObjectAttributes, ObjectHead
from s3plan.model.steps import Restore, Step
from s3plan.plan import PlanFile
from s3plan.rules.restores import ONGOING
from s3plan.store import ListPage
from s3plan.store.restoring import RestoreAnswer
from tests.kinds.planned import ETAG, TIME
from tests.kinds.test_evacuation import COPY, planned

COUNT = 10_000
LATER = "2099-01-01T00:00:00.000Z"
_HEADERS = {
    ONGOING: 'ongoing-request="true"',
    LATER: 'ongoing-request="false", expiry-date="Thu, 01 Jan 2099 00:00:00 GMT"',
}


@dataclass
class Numbers:
    """A bucket of archived objects that counts what it is asked. ``ready`` tells which are."""

    keys: list[str]
    ready: Callable[[str], bool] = lambda _: False
    name: str = "b"
    asked: set[str] = field(default_factory=set)
    requests: dict[str, int] = field(default_factory=dict)

    def _count(self, what: str) -> None:
        self.requests[what] = self.requests.get(what, 0) + 1

    def _restore(self, key: str) -> str | None:
        if key not in self.asked:
            return None
        return LATER if self.ready(key) else ONGOING

    async def pages(
        self, prefix: str = "", start_after: str = "", max_keys: int = 1000, **_: Any
    ) -> AsyncIterator[ListPage]:
        self._count("list")
        left = [key for key in self.keys if key > start_after and key.startswith(prefix)]
        page = left[:max_keys]
        size = len(page)
        yield ListPage(
            page, [1] * size, [ETAG] * size, [TIME] * size, ["GLACIER"] * size, [None] * size,
            [self._restore(key) for key in page], more=size < len(left),
        )  # fmt: skip

    async def head(self, key: str, **_: Any) -> ObjectHead:
        self._count("head")
        if key not in self.keys:
            raise NoSuchKeyError("no such object")
        return ObjectHead(
            key, 1, ETAG, TIME, ObjectAttributes(storage_class="GLACIER"),
            restore=_HEADERS.get(self._restore(key) or ""),
        )  # fmt: skip

    async def restore(self, key: str, **_: Any) -> RestoreAnswer:
        self._count("restore")
        self.asked.add(key)
        return "started"


@dataclass
class _Place:
    """As much of a store, of a guard and of a clock as a restore needs."""

    bucket_: Numbers

    def bucket(self, _: str) -> Numbers:
        return self.bucket_

    def check(self) -> None:
        """Every lock is held."""


@contextmanager
def _context(
    tmp_path: Path, bucket: Numbers, plan: PlanFile, observer: Callable[[AnyEvent], None]
) -> Iterator[Context]:
    place: Any = _Place(bucket)
    nobody: Any = None
    with JournalWriter(create_journal(tmp_path / "journal.json")) as journal:
        context = Context(
            run=nobody,
            plan=plan,
            state=RunState(),
            journal=journal,
            store=place,
            observer=observer,
            clock=lambda: datetime.now(UTC),
            scratch=tmp_path,
            guard=place,
        )
        journal.note(
            RunStarted("s3plan.journal/1", "r", plan.digest, "apply", plan.header.target, "a", "h",
                       1, TIME, "0")
        )  # fmt: skip
        yield context
        context.close()


def _planned(tmp_path: Path, keys: list[str], poll: int = 1) -> tuple[PlanFile, Step, Restore]:
    objects = [{"key": key, "storage_class": "GLACIER"} for key in keys]
    spec = f"{COPY}\nrestore: {{poll: {poll}}}"
    plan = planned(tmp_path, spec, buckets={"b": {"objects": objects}}).file
    step = plan.steps[0]
    assert isinstance(step.action, Restore)
    return plan, step, step.action


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "count"),
    [("frame{}", COUNT), ("k{:05}", 2_000), ("a/b{}/c", 2_000)],
    ids=["unpadded", "padded", "directories"],
)
def test_ten_thousand_objects_are_polled_by_listings_alone(
    tmp_path: Path, name: str, count: int
) -> None:
    """A20 (E30): one request for a thousand objects, however their keys are spelt."""
    keys = sorted(name.format(number) for number in range(count))
    bucket = Numbers(keys)
    plan, step, action = _planned(tmp_path, keys)
    waits: list[Waiting] = []

    def observer(event: AnyEvent) -> None:
        if isinstance(event, Waiting):
            waits.append(event)
            if len(waits) == 2:
                bucket.ready = lambda key: key < keys[count // 2]
            if len(waits) == 3:
                bucket.ready = lambda _: True

    with _context(tmp_path, bucket, plan, observer) as context:
        asyncio.run(restore(context, step, action))
        assert context.step_state(step).count(ItemState.DONE) == count
    assert [event.objects for event in waits] == [count, count, count // 2]
    assert bucket.requests["restore"] == count
    assert "head" not in bucket.requests
    # Before and after asking, and at each of three looks, the last at half of them.
    assert bucket.requests["list"] <= 4 * (count // 1000 + 4) + count // 2000 + 4
    state = fold(read_journal(tmp_path / "journal.json")).step(step.id)
    assert state.count(ItemState.DONE) == count
    assert state.expires(count - 1) == datetime.fromisoformat(LATER).timestamp()
    assert len(state.expiries) * state.expiries.itemsize <= 4 * 2 * count, "four bytes an item"


def test_a_few_among_many_are_asked_for_one_by_one(tmp_path: Path) -> None:
    """Three objects of ten thousand: listing everything would take ten requests, not three."""
    keys = [f"k{number:05}" for number in range(COUNT)]
    bucket = Numbers(keys)
    found = asyncio.run(_looked_at(bucket, [keys[10], keys[5_000], keys[9_000]]))
    assert len(found) == 3
    assert bucket.requests == {"head": 3}


def test_a_look_begins_right_before_the_first_key_it_wants(tmp_path: Path) -> None:
    """Between "frame" and "frame5" lie five thousand keys that nobody asked for."""
    keys = sorted(f"frame{number}" for number in range(COUNT))
    wanted = [key for key in keys if key >= "frame5"]
    bucket = Numbers(keys)
    assert set(asyncio.run(_looked_at(bucket, wanted))) == set(wanted)
    assert bucket.requests == {"list": len(wanted) // 1000 + 1}


async def _looked_at(bucket: Any, keys: list[str]) -> dict[str, Any]:
    return dict(await look_at(bucket, keys, restores=True))


def test_a_journal_that_ends_in_the_middle_of_asking_asks_for_the_rest(tmp_path: Path) -> None:
    """A52: killed after the intent, before a receipt: what was asked for is seen, not asked for."""
    keys = [f"k{number:03}" for number in range(100)]
    bucket = Numbers(keys, ready=lambda _: True, asked=set(keys[:40]))
    plan, step, action = _planned(tmp_path, keys)
    with _context(tmp_path, bucket, plan, lambda _: None) as context:
        context.step_state(step).intend(0, 99)
        asyncio.run(restore(context, step, action))
        assert context.step_state(step).count(ItemState.DONE) == 100
    assert bucket.requests["restore"] == 60


class _Versions(Numbers):
    """Of every key the older version is archived, and what it holds now is not."""

    async def head(self, key: str, *, version: str | None = None, **_: Any) -> ObjectHead:
        assert version == "old", "what the key holds now is another object"
        return await super().head(key)

    async def restore(self, key: str, *, version: str | None = None, **_: Any) -> RestoreAnswer:
        assert version == "old"
        return await super().restore(key)


def test_older_versions_are_asked_for_and_looked_at_by_their_ids(tmp_path: Path) -> None:
    keys = ["a", "b"]
    now = [{"key": key, "version_id": "new"} for key in keys]
    old = [
        {"key": key, "version_id": "old", "newer": 1, "marker": False, "history": "old"}
        | {"storage_class": "GLACIER"}
        for key in keys
    ]
    spec = f"{COPY}\nversions: all\nrestore: {{poll: 1}}"
    buckets = {"b": {"objects": now + old, "versioning": "enabled"}}
    plan = planned(tmp_path, spec, buckets=buckets).file
    step = plan.steps[0]
    assert isinstance(step.action, Restore)
    bucket = _Versions(keys)
    waits: list[AnyEvent] = []

    def observer(event: AnyEvent) -> None:
        if isinstance(event, Waiting):
            waits.append(event)
            bucket.ready = lambda _: True

    with _context(tmp_path, bucket, plan, observer) as context:
        asyncio.run(restore(context, step, step.action))
        assert context.step_state(step).count(ItemState.DONE) == 2
    assert bucket.asked == {"a", "b"}
    assert len(waits) == 1


def test_what_expired_while_nobody_looked_is_asked_for_again(tmp_path: Path) -> None:
    """E25."""
    keys = [f"k{number:03}" for number in range(100)]
    bucket = Numbers(keys, ready=lambda _: True)
    plan, step, action = _planned(tmp_path, keys)
    now = datetime.now(UTC)
    gone, lasting = (now + timedelta(hours=hours) for hours in (-1, 100))
    with _context(tmp_path, bucket, plan, lambda _: None) as context:
        state = context.step_state(step)
        state.restored(range(50), "ready", gone.isoformat())
        state.restored(range(50, 100), "ready", lasting.isoformat())
        asyncio.run(restore(context, step, action))
    assert bucket.asked == set(keys[:50])
