"""``delete-source``: objects whose verified copies take their place, each looked at right before.

The worklist goes in ranges. Both sides of a range are looked at: an object goes only if it is still
as it was copied and its copy still as it was verified at the gate. The requests carry each one's
ETag; where the endpoint does not honour that, the window between look and request remains, which
the gate names. In a bucket that keeps versions a deletion adds a delete marker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from msgspec import Struct

from s3plan.engine.context import Context
from s3plan.engine.copied import load_earlier
from s3plan.engine.gate import load_items
from s3plan.engine.looking import Seen, look_at
from s3plan.engine.probe import deletion_requests, guard_of
from s3plan.engine.records import evidence_columns, evidence_lines, load_made
from s3plan.engine.soak.gate import check_soak
from s3plan.engine.state import SETTLED, ItemState
from s3plan.errors import (
    NoSuchBucketError,
    OutcomeUnknownError,
    PreconditionFailedError,
    StoreError,
)
from s3plan.model.events import Warned
from s3plan.model.journal import GateRecord
from s3plan.model.steps import DeleteSource, Step
from s3plan.store import DeleteResult, DeleteTarget
from s3plan.tables import EVIDENCE, Database

BATCH = 500
"""Objects that one look and one intent cover."""

_LOAD = 2_000

_ROWS = """
    SELECT i.n, i.key, i.path, i.size, i.etag, i.modified, c.etag
    FROM items i JOIN evidence e USING (n) JOIN copies c USING (n)
    WHERE e.verdict = 'verified' ORDER BY i.n"""


class _Source(Struct, frozen=True):
    """An object whose copy was verified; ``copy`` is the copy's ETag."""

    n: int
    key: str
    path: str
    size: int
    etag: str
    modified: str
    copy: str


class _Deleter:
    """One delete-source step."""

    def __init__(self, context: Context, step: Step, action: DeleteSource) -> None:
        self.context = context
        self.step = step
        self.action = action
        self.sources = context.bucket(step)
        self.copies = context.store.bucket(action.copies)
        self.state = context.step_state(step)
        singly, self.conditional = deletion_requests(context.capabilities)
        self._delete = self.sources.delete_singly if singly else self.sources.delete_many

    async def run(self, gate: GateRecord) -> None:
        with self.context.tables() as database:
            await self.context.in_thread(
                load_sources, self.context, self.step, self.action, gate, database
            )
            rows = database.rows(_ROWS)
            while batch := await self.context.in_thread(self._take, rows):
                self.context.check_stop()
                await self._batch(batch)
            await self._compare(database)

    def _take(self, rows: Iterator[Sequence[Any]]) -> list[_Source]:
        fresh = (row for row in rows if self.state.of(row[0]) not in SETTLED)
        return [_Source(*row) for row in islice(fresh, BATCH)]

    async def _batch(self, batch: list[_Source]) -> None:
        sources, copies = await asyncio.gather(
            look_at(self.sources, [one.key for one in batch]),
            look_at(self.copies, [one.path for one in batch]),
        )
        ready: list[_Source] = []
        gone: list[_Source] = []
        for one in batch:
            self.context.began(self.step, one.n, one.key)
            source = sources.get(one.key)
            if not self._is_safe(one, copies.get(one.path)):
                self._drifted(one, "copy-changed", f"its copy {one.path} is not as it was verified")
            elif source is None:
                # Ours if an earlier session began it, else somebody's; its verified copy is there.
                gone.append(one)
            elif not source.is_like(one.size, one.etag, one.modified):
                self._drifted(one, "source-changed", "the object was changed after it was copied")
            else:
                ready.append(one)
        self._done(gone)
        if ready and not self.context.stopping:
            await self.context.intend(self.step, ready[0].n, ready[-1].n)
            await self._send(ready)

    def _is_safe(self, one: _Source, copy: Seen | None) -> bool:
        return copy is not None and (copy.size, copy.etag) == (one.size, one.copy)

    async def _send(self, ready: list[_Source]) -> None:
        try:
            results = await self._delete(
                [DeleteTarget(one.key, one.etag if self.conditional else None) for one in ready]
            )
        except StoreError as error:
            results = tuple(DeleteResult(one.key, error) for one in ready)
        errors = {result.key: result.error for result in results}
        self._done([one for one in ready if errors[one.key] is None])
        lost: list[_Source] = []
        for one in ready:
            refused = errors[one.key]
            if isinstance(refused, PreconditionFailedError):
                self._drifted(one, "source-changed", "the object was changed meanwhile")
            elif isinstance(refused, OutcomeUnknownError):
                lost.append(one)
            elif refused is not None:
                self._failed(one, refused.code, str(refused))
        if lost:
            await self._settle(lost)

    async def _settle(self, lost: list[_Source]) -> None:
        """The answer was lost: what is gone was deleted, what is there was not."""
        there = await self._there([one.key for one in lost])
        self._done([one for one in lost if one.key not in there])
        for one in lost:
            if one.key in there:
                self._failed(one, OutcomeUnknownError.code, f"{one.key} is still there")

    async def _compare(self, database: Database) -> None:
        """Look again: an object that is said to be deleted and is still there was not deleted."""
        rows = database.rows(_ROWS)
        while chunk := [_Source(*row) for row in islice(rows, _LOAD)]:
            done = [one for one in chunk if self.state.of(one.n) is ItemState.DONE]
            there = await self._there([one.key for one in done])
            for one in done:
                seen = there.get(one.key)
                if seen is not None and seen.is_like(one.size, one.etag, one.modified):
                    self._failed(
                        one, "still-there", f"{one.key} was answered to be deleted, and is there"
                    )

    async def _there(self, keys: list[str]) -> dict[str, Seen]:
        try:
            return await look_at(self.sources, keys)
        except NoSuchBucketError:
            return {}

    def _done(self, gone: list[_Source]) -> None:
        self.context.receive(
            self.step,
            "done",
            [one.n for one in gone],
            sum(one.size for one in gone),
            [one.key for one in gone] if self.context.item_log else (),
        )

    def _drifted(self, one: _Source, reason: str, message: str) -> None:
        self.context.problem(
            self.step,
            one.n,
            one.key,
            one.path,
            "drifted",
            reason,
            f"{one.key}: {message}; it was not deleted",
            "s3plan plan again, and review what changed",
        )

    def _failed(self, one: _Source, code: str, message: str) -> None:
        self.context.problem(self.step, one.n, one.key, one.path, "failed", code, message)


def load_sources(
    context: Context, step: Step, action: DeleteSource, gate: GateRecord, database: Database
) -> None:
    """Fill ``items``, ``copies`` and ``evidence`` with what the step goes by. Blocks."""
    load_items(context, step, database)

    def earlier() -> None:
        load_earlier(context.run, action.earlier, database, step.id)

    load_made(context, database, step.id, earlier)
    lines = evidence_lines(context, gate)
    while batch := list(islice(lines, _LOAD)):
        database.append(EVIDENCE, evidence_columns(batch))


async def soak_is_over(context: Context, step: Step, action: DeleteSource) -> None:
    """Raise HeldError where the soak closed the gate since it was opened."""
    await context.in_thread(check_soak, context, action, step.subject)


async def delete_source(context: Context, step: Step, action: DeleteSource) -> None:
    """Run a delete-source step whose gate is open, and whose soak is over."""
    assert step.gate is not None, "a delete-source step without a gate is never run"
    gate = context.state.gates[step.gate.evidence]
    guard = guard_of(context.capabilities, versions=False)
    if gate.guard and guard != gate.guard:
        # The endpoint was probed again, or cannot be any more, since the gate was shown.
        context.observer(Warned(f"deletions from {step.subject}: {guard}"))
    await _Deleter(context, step, action).run(gate)
    context.check_stop()
