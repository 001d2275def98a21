"""What a worklist of any length holds, on one page: groups, the first and last, the largest, a
sample, and what is odd about it. One pass; memory does not grow with the worklist.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Iterator
from typing import Protocol

from msgspec import Struct

from s3plan.model.steps import Totals
from s3plan.plan.reading import ItemRow
from s3plan.rules.characters import is_unsafe

LARGEST = 5
SAMPLE = 5
LARGE = 5 * 1024**3
"""Objects above it cannot be copied by one request (CopyObject, PutObject)."""

_MOST_FOLDERS = 20_000
"""Folders that are told apart while counting; beyond, their nearest common parents are."""


class Rows(Protocol):
    """What a summary reads of a plan (``plan.reading.PlanFile`` has it)."""

    def rows(self, step: str, /) -> Iterator[list[ItemRow]]:
        """The worklist of a step in lists."""


class Group(Struct, frozen=True):
    """Items of one storage class below one prefix, which is empty or ends in ``/``."""

    prefix: str
    storage_class: str
    totals: Totals


class Oddity(Struct, frozen=True):
    """Items that a reviewer should know of: how many, and the first one's key."""

    what: str
    count: int
    first: str


class WorklistSummary(Struct, frozen=True):
    """One worklist. ``common`` is the prefix of all keys; ``sample`` is in the worklist's order."""

    totals: Totals
    common: str
    groups: tuple[Group, ...]
    first: ItemRow | None
    last: ItemRow | None
    largest: tuple[ItemRow, ...]
    sample: tuple[ItemRow, ...]
    oddities: tuple[Oddity, ...]

    def by_class(self) -> dict[str, Totals]:
        """Totals by storage class, in the order of their names."""
        found: dict[str, Totals] = {}
        for group in self.groups:
            known = found.get(group.storage_class, Totals())
            found[group.storage_class] = known + group.totals
        return dict(sorted(found.items()))

    def by_prefix(self, most: int) -> tuple[tuple[Group, ...], int]:
        """At most ``most`` groups one level below ``common``, largest first; and how many more."""
        merged: dict[tuple[str, str], Totals] = {}
        for group in self.groups:
            name, slash, _ = group.prefix[len(self.common) :].partition("/")
            key = (self.common + name + slash, group.storage_class)
            merged[key] = merged.get(key, Totals()) + group.totals
        ordered = sorted(
            (Group(prefix, name, totals) for (prefix, name), totals in merged.items()),
            key=lambda group: (-group.totals.bytes, -group.totals.items, group.prefix),
        )
        return tuple(ordered[:most]), max(0, len(ordered) - most)


def summarize(plan: Rows, step: str, items: int, seed: str) -> WorklistSummary:
    """Read the worklist of ``step`` once. ``items`` is its length, ``seed`` chooses the sample."""
    wanted = set(_chosen(items, f"{seed}:{step}"))
    folders = _Folders()
    odd = _Oddities()
    largest: list[tuple[int, int, ItemRow]] = []
    sample: list[ItemRow] = []
    first = last = None
    floor = -1
    for rows in plan.rows(step):
        folders.add(rows)
        odd.add(rows)
        for row in rows:
            if row.size > floor:
                # Of equals the first one stays: a later number is a smaller entry.
                heapq.heappush(largest, (row.size, -row.n, row))
                if len(largest) > LARGEST:
                    heapq.heappop(largest)
                    floor = largest[0][0]
        if wanted and rows:
            begin = rows[0].n
            here = [n for n in wanted if n < begin + len(rows)]
            sample += [rows[n - begin] for n in sorted(here)]
            wanted.difference_update(here)
        first = first or rows[0]
        last = rows[-1]
    return WorklistSummary(
        folders.totals(),
        _common(first.key, last.key) if first and last else "",
        folders.groups(),
        first,
        last,
        tuple(row for _, _, row in sorted(largest, reverse=True)),
        tuple(sample),
        odd.found(),
    )


def _chosen(items: int, seed: str) -> list[int]:
    """The same few numbers for the same plan, and none that a person could have steered."""
    return random.Random(seed).sample(range(items), min(SAMPLE, items))


def _common(first: str, last: str) -> str:
    """The folder that all keys between ``first`` and ``last`` are in: keys are in order."""
    end = 0
    for one, other in zip(first, last, strict=False):
        if one != other:
            break
        end += 1
    return first[: first.rfind("/", 0, end) + 1]


class _Folders:
    """Adds up by folder and class; where there are too many folders, by folders further up."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], list[int]] = {}
        self._depth: int | None = None

    def add(self, rows: Iterable[ItemRow]) -> None:
        folder, storage_class = "", ""
        sums: list[int] | None = None
        for row in rows:
            key = row.key
            here = key[: key.rfind("/") + 1]
            if self._depth is not None:
                here = _cut(here, self._depth)
            if sums is None or here != folder or row.storage_class != storage_class:
                folder, storage_class = here, row.storage_class
                sums = self._sums.get((folder, storage_class))
                if sums is None:
                    sums = self._sums[folder, storage_class] = [0, 0]
            sums[0] += 1
            sums[1] += row.size
        while len(self._sums) > _MOST_FOLDERS and self._depth != 0:
            self._collapse()

    def totals(self) -> Totals:
        items = sum(count for count, _ in self._sums.values())
        return Totals(items, sum(size for _, size in self._sums.values()))

    def groups(self) -> tuple[Group, ...]:
        return tuple(
            Group(folder, storage_class, Totals(*sums))
            for (folder, storage_class), sums in self._sums.items()
        )

    def _collapse(self) -> None:
        deepest = max(folder.count("/") for folder, _ in self._sums)
        self._depth = deepest - 1 if self._depth is None else min(self._depth, deepest) - 1
        merged: dict[tuple[str, str], list[int]] = {}
        for (folder, storage_class), (count, size) in self._sums.items():
            sums = merged.setdefault((_cut(folder, self._depth), storage_class), [0, 0])
            sums[0] += count
            sums[1] += size
        self._sums = merged


def _cut(folder: str, depth: int) -> str:
    """The folder at most ``depth`` levels deep."""
    parts = folder.split("/", depth)
    return folder if len(parts) <= depth else "".join(part + "/" for part in parts[:depth])


class _Oddities:
    """Counts what stands out."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, rows: list[ItemRow]) -> None:
        for row in rows:
            if not row.size and not row.key.endswith("/"):
                self._count("empty", row.key)
            elif row.size > LARGE:
                self._count("larger than 5 GiB", row.key)
            if row.key.endswith("/"):
                self._count("folder markers", row.key)
            elif row.path and not row.path.endswith(row.key):
                self._count("under another name", row.key)
        # Nearly all keys are plain: looking at all of them together costs next to nothing.
        together = "".join([row.key for row in rows])
        if not together.isascii() or not together.isprintable():
            for row in rows:
                if any(map(is_unsafe, row.key)):
                    self._count("with characters that cannot be seen", row.key)

    def found(self) -> tuple[Oddity, ...]:
        return tuple(Oddity(what, count, first) for what, (count, first) in self._found.items())

    def _count(self, what: str, key: str) -> None:
        count, first = self._found.get(what, (0, key))
        self._found[what] = (count + 1, first)
