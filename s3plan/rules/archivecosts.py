"""What archives cost month by month: uploaded, moved by their lifecycle policy, kept.

A month is 30 days, as storage is billed by the average over a month; requests and moves fall into
the month in which they happen. A restore is a price of its own: S3 charges for reading an archive,
for the copy that can be read meanwhile, and for bytes that leave AWS beyond 100 GB a month
("Amazon S3 pricing", data transfer).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from s3plan.model.cost import Dollars
from s3plan.rules.lifecycle.document import Transition
from s3plan.rules.prices import (
    GIGABYTE,
    MINIMUM_DAYS,
    Holding,
    RegionPrices,
    billed_size,
    early_deletion,
    egress,
    get_requests,
    put_requests,
    restore,
    restored_copies,
    storage_month,
    transitions,
)
from s3plan.rules.restores import SECONDS

DAYS = 30
FREE_EGRESS = 100 * GIGABYTE
"""Bytes a month that leave AWS for nothing."""

PART = 16 << 20
"""Bytes of a part of an upload, as long as there are not more than 10,000."""


class Archives(Struct, frozen=True):
    """So many archives of so many bytes, put into ``storage_class`` and moved by ``moves``."""

    count: int
    bytes: int
    storage_class: str
    moves: tuple[Transition, ...] = ()

    def stays(self) -> list[tuple[str, float, float]]:
        """The classes that they are in one after the other: from day, to day (infinity is last)."""
        found: list[tuple[str, float, float]] = []
        name, since = self.storage_class, 0.0
        for move in sorted(self.moves, key=lambda one: one.days or 0):
            day = float(move.days or 0)
            if day > since:
                found.append((name, since, day))
            name, since = move.storage_class, day
        return [*found, (name, since, float("inf"))]

    @property
    def last_class(self) -> str:
        """Where they are in the end."""
        return self.stays()[-1][0]


class Month(Struct, frozen=True):
    """What one month costs, in US dollars."""

    number: int
    storage: Dollars
    requests: Dollars
    moves: Dollars

    @property
    def total(self) -> Dollars:
        """All of it."""
        return (self.storage + self.requests + self.moves).rounded()


def months(archives: Archives, prices: RegionPrices, count: int) -> list[Month] | None:
    """The first ``count`` months after the upload; None where a class has no price."""
    found: list[Month] = []
    for number in range(1, count + 1):
        first, end = (number - 1) * DAYS, number * DAYS
        storage = Dollars()
        for name, since, until in archives.stays():
            share = (min(end, until) - max(first, since)) / DAYS
            if share > 0:
                month = storage_month(prices, _held(archives, name))
                if month is None:
                    return None
                storage += month.times(share)
        moved = Dollars()
        for move in archives.moves:
            if first <= (move.days or 0) < end:
                cost = transitions(prices, move.storage_class, archives.count)
                if cost is None:
                    return None
                moved += cost
        requests = _uploaded(archives, prices) if number == 1 else Dollars()
        if requests is None:
            return None
        found.append(Month(number, storage, requests, moved))
    return found


def compressed(archives: Archives, ratio: float) -> Archives:
    """The same archives, packed to ``ratio`` of their size."""
    return Archives(
        archives.count, round(archives.bytes * ratio), archives.storage_class, archives.moves
    )


class Retrieval(Struct, frozen=True):
    """Everything back once: by which tier, in how many hours at most, and what it costs."""

    tier: str
    hours: float
    dollars: Dollars


def retrievals(archives: Archives, prices: RegionPrices, days: int) -> list[Retrieval]:
    """What restoring all archives costs by each tier that their last class has; read once.

    Copies stay for ``days``. Of a class that is read at once there is none.
    """
    found: list[Retrieval] = []
    name = archives.last_class
    for (archive, tier), (_, slowest) in SECONDS.items():
        if archive != name:
            continue
        asked = restore(prices, name, tier, archives.count, archives.bytes)
        copies = restored_copies(prices, archives.bytes, days)
        read = get_requests(prices, "STANDARD", archives.count)
        out = egress(prices, max(0, archives.bytes - FREE_EGRESS))
        if asked is None or copies is None or read is None or out is None:
            continue
        found.append(Retrieval(tier, slowest / 3600, (asked + copies + read + out).rounded()))
    return found


def deleted_early(archives: Archives, prices: RegionPrices) -> Dollars | None:
    """What is still to be paid for archives deleted on the day they came to their last class."""
    days = MINIMUM_DAYS.get(archives.last_class, 0)
    held = _held(archives, archives.last_class)
    owed = held.billed * days
    return early_deletion(
        prices,
        Holding(held.storage_class, held.objects, held.bytes, held.billed, 0, (owed, owed)),
    )


def total(found: Sequence[Month]) -> Dollars:
    """The sum of months."""
    return sum((one.total for one in found), Dollars()).rounded()


def _uploaded(archives: Archives, prices: RegionPrices) -> Dollars | None:
    """Parts, their beginning and end, and an index for each archive, which stays in STANDARD."""
    parts = -(-archives.bytes // PART) + 2 * archives.count
    puts = put_requests(prices, archives.storage_class, parts)
    indexes = put_requests(prices, "STANDARD", archives.count)
    return None if puts is None or indexes is None else puts + indexes


def _held(archives: Archives, storage_class: str) -> Holding:
    average = archives.bytes // archives.count if archives.count else 0
    billed = billed_size(storage_class, average) * archives.count
    return Holding(storage_class, archives.count, archives.bytes, max(billed, archives.bytes))
