"""A worklist as it stands: every object of a plan with its status, written as one JSON array.

Objects are those that the plan was asked to be for, in the order given, with the members s3plan
does not know; of a plan for everything, all of its objects by bucket and key. The file is made for
people and programs that watch; nothing reads it back but a plan that is asked to be for it, and
that takes only its buckets and keys.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection
from datetime import UTC, datetime
from itertools import islice
from typing import Any, BinaryIO

import msgspec

from s3plan.engine.gate import load_rows
from s3plan.engine.itemtimes import ItemTimes
from s3plan.engine.state import GOOD, WAITING, ItemState, RunState
from s3plan.model.steps import AbortUploads, Step, Verifying
from s3plan.model.worklist import Standing
from s3plan.plan.asked import bucket_of_keys, key_column
from s3plan.plan.reading import PlanFile
from s3plan.tables import ASKED, Database

_BATCH = 5_000
_NOBODY = 0xFFFFFFFF

_SUCCEEDED, _PLANNED, _RUNNING, _FAILED = range(4)
"""What counts of several items of one object is the highest: it succeeded when all of them did."""

_WORDS: tuple[Standing, ...] = ("succeeded", "planned", "running", "failed")

_RANKS = dict.fromkeys(ItemState, _PLANNED)
_RANKS |= dict.fromkeys((*GOOD, ItemState.KEPT), _SUCCEEDED)
_RANKS |= dict.fromkeys(WAITING, _RUNNING)
_RANKS |= dict.fromkeys((ItemState.FAILED, ItemState.DRIFTED, ItemState.MISMATCHED), _FAILED)

_fields: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Snapshot:
    """Writes the worklist of a run as it stands at that moment. Blocks; used by one thread."""

    def __init__(
        self, plan: PlanFile, state: RunState, times: ItemTimes, database: Database
    ) -> None:
        """``state`` and ``times`` are folded by others; ``database`` is the snapshot's own."""
        self._state = state
        self._times = times
        self._database = database
        self._planned_at = plan.header.created
        self._steps = [
            step
            for step in plan.steps
            if step.worklist is not None and not isinstance(step.action, AbortUploads)
        ]
        self._load(plan)
        (self._count,) = database.row("SELECT count(*) FROM asked")
        self._entries = {str(step.worklist): self._entries_of(step) for step in self._steps}

    def write(self, file: BinaryIO, under_way: Collection[tuple[str, int]] = ()) -> None:
        """Write all of it. ``under_way`` are step and number of items that are worked on."""
        standing = self._standing(frozenset(under_way))
        first = True
        for batch in self._database.batches(
            "SELECT n, bucket, key, reason, fields FROM asked ORDER BY n"
        ):
            lines = [
                msgspec.json.encode(
                    {
                        "bucket": bucket,
                        "key": key,
                        **(_fields.decode(fields) if fields else {}),
                        **(
                            {"status": "skipped", "skip_reason": reason}
                            if reason
                            else standing.of(n)
                        ),
                    }
                )
                for n, bucket, key, reason, fields in batch
            ]
            file.write((b"[\n" if first else b",\n") + b",\n".join(lines))
            first = False
        file.write(b"[]\n" if first else b"\n]\n")

    def _load(self, plan: PlanFile) -> None:
        """Fill ``asked`` and ``items``."""
        entries = plan.asked()
        n = 0
        while batch := list(islice(entries, _BATCH)):
            self._database.append(
                ASKED,
                {
                    "n": list(range(n, n + len(batch))),
                    "bucket": [entry.bucket for entry in batch],
                    "key": [entry.key for entry in batch],
                    "reason": [entry.reason for entry in batch],
                    "fields": [
                        msgspec.json.encode(entry.fields).decode() if entry.fields else None
                        for entry in batch
                    ],
                },
            )
            n += len(batch)
        buckets: dict[str, str] = {}
        for step in self._steps:
            if step.worklist not in buckets:
                buckets[str(step.worklist)] = bucket_of_keys(step.action, step.subject)
                load_rows(plan.items(step.id), str(step.worklist), self._database)
                if key_column(step.action) == "path":
                    self._database.execute(
                        "UPDATE items SET key = path WHERE step = ?", [step.worklist]
                    )
        if not n:
            self._database.execute(
                "INSERT INTO asked (n, bucket, key) SELECT row_number() OVER () - 1, * FROM ("
                " SELECT DISTINCT w.bucket, i.key FROM items i"
                " JOIN (SELECT unnest(?::VARCHAR[]) AS step, unnest(?::VARCHAR[]) AS bucket) AS w"
                " ON i.step = w.step ORDER BY w.bucket, i.key)",
                [list(buckets), list(buckets.values())],
            )

    def _entries_of(self, step: Step) -> array[int]:
        """By the number of each item of a step, the number of the entry it is of."""
        found = array("I", [_NOBODY]) * step.totals.items
        rows = self._database.rows(
            "SELECT i.n, a.n FROM items i JOIN asked a ON i.key = a.key"
            " WHERE i.step = ? AND a.bucket = ? AND a.reason IS NULL",
            [step.worklist, bucket_of_keys(step.action, step.subject)],
        )
        for item, entry in rows:
            found[item] = entry
        return found

    def _standing(self, under_way: Collection[tuple[str, int]]) -> _Standings:
        found = _Standings(self._count, self._planned_at, self._state)
        for step in self._steps:
            state = self._state.step(step.id)
            for n, entry in enumerate(self._entries[str(step.worklist)]):
                if entry == _NOBODY:
                    continue
                code = state.of(n)
                if code is ItemState.PENDING and isinstance(step.action, Verifying):
                    rank = _SUCCEEDED  # it looks at the whole, and has no word on single objects
                else:
                    rank = _RUNNING if (step.id, n) in under_way else _RANKS[code]
                found.add(entry, rank, step.id, n, self._times)
        return found


class _Standings:
    """What the items of each entry come to."""

    def __init__(self, entries: int, planned_at: str, state: RunState) -> None:
        self._planned_at = planned_at
        self._state = state
        self._ranks = bytearray(entries)
        self._attempts = array("H", [0]) * entries
        self._started = array("I", [0]) * entries
        self._finished = array("I", [0]) * entries
        self._failed: dict[int, tuple[str, int]] = {}

    def add(self, entry: int, rank: int, step: str, n: int, times: ItemTimes) -> None:
        self._ranks[entry] = max(self._ranks[entry], rank)
        if rank == _FAILED:
            self._failed[entry] = step, n
        attempts, started, finished = times.of(step, n)
        self._attempts[entry] = max(self._attempts[entry], attempts)
        self._finished[entry] = max(self._finished[entry], finished)
        if started and not 0 < self._started[entry] <= started:
            self._started[entry] = started

    def of(self, entry: int) -> dict[str, Any]:
        status = _WORDS[self._ranks[entry]]
        told: dict[str, Any] = {
            "status": status,
            "attempts": self._attempts[entry],
            "planned_at": self._planned_at,
        }
        if self._started[entry]:
            told["started_at"] = _text(self._started[entry])
        if self._finished[entry] and status in ("succeeded", "failed"):
            told["finished_at"] = _text(self._finished[entry])
        problem = self._state.problems.get(self._failed.get(entry, ("", 0)))
        if problem is not None:
            told["last_error"] = f"{problem.reason}: {problem.message}"
        return told


def _text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
