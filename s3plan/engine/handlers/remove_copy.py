"""``remove-copy``: copies taken away again, each only if it is ours and not the last one.

A copy goes when it is still as the run left it (its size and the ETag in the run's journal) and the
object it was made from is there with the same fingerprint or, failing that, the same content.
Everything else is kept and said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from msgspec import Struct

from s3plan.engine.comparing import compare_objects
from s3plan.engine.context import Context
from s3plan.engine.copied import load_taken_back
from s3plan.engine.gate import load_items
from s3plan.engine.looking import Seen, look_at
from s3plan.engine.probe import deletion_requests
from s3plan.engine.records import load_made
from s3plan.engine.state import SETTLED
from s3plan.errors import (
    NoSuchBucketError,
    NoSuchKeyError,
    OutcomeUnknownError,
    PreconditionFailedError,
    StoreError,
)
from s3plan.model.steps import RemoveCopy, Step
from s3plan.plan.reading import PlanFile
from s3plan.store import DeleteResult, DeleteTarget
from s3plan.tables import Database

BATCH = 500
"""Copies that one look and one intent cover."""

LOOKS = 16
"""Objects compared one by one at once."""

_ROWS = """
    SELECT i.n, i.key, i.path, i.size, i.etag, i.modified, c.etag
    FROM items i LEFT JOIN copies c USING (n) ORDER BY i.n"""


class _Made(Struct, frozen=True):
    """A copy that the run may have made. ``recorded`` is its ETag, None without a record of it."""

    n: int
    key: str
    path: str
    size: int
    etag: str
    modified: str
    recorded: str | None


class _Remover:
    """One remove-copy step."""

    def __init__(self, context: Context, step: Step, action: RemoveCopy) -> None:
        self.context = context
        self.step = step
        self.action = action
        self.target = context.bucket(step)
        self.source = context.store.bucket(action.source)
        self.state = context.step_state(step)
        singly, self.conditional = deletion_requests(context.capabilities)
        self._delete = self.target.delete_singly if singly else self.target.delete_many

    async def run(self) -> None:
        with self.context.tables() as database:
            await self.context.in_thread(
                load_made_copies, self.context, self.step, self.action, database
            )
            rows = database.rows(_ROWS)
            while batch := await self.context.in_thread(self._take, rows):
                self.context.check_stop()
                await self._batch(batch)

    def _take(self, rows: Iterator[Sequence[Any]]) -> list[_Made]:
        fresh = (row for row in rows if self.state.of(row[0]) not in SETTLED)
        return [_Made(*row) for row in islice(fresh, BATCH)]

    async def _batch(self, batch: list[_Made]) -> None:
        sources, targets = await asyncio.gather(
            look_at(self.source, [made.key for made in batch]),
            look_at(self.target, [made.path for made in batch]),
        )
        gate = asyncio.Semaphore(LOOKS)

        async def judge(made: _Made) -> tuple[_Made, str] | None:
            async with gate:
                self.context.began(self.step, made.n, made.key)
                found = targets.get(made.path)
                return await self._judge(made, sources.get(made.key), found)

        judged = await asyncio.gather(*map(judge, batch))
        ready = [one for one in judged if one is not None]
        if ready:
            await self.context.intend(self.step, ready[0][0].n, ready[-1][0].n)
            await self._remove(ready)

    async def _judge(
        self, made: _Made, source: Seen | None, found: Seen | None
    ) -> tuple[_Made, str] | None:
        """The copy with the ETag to delete it by; None for one that is gone or kept."""
        if found is None:
            self._done([made])
            return None
        if made.recorded is not None and (found.size, found.etag) != (made.size, made.recorded):
            self._kept(made, "not-ours", f"{made.path} was changed since the run; it was kept")
            return None
        if source is None:
            self._last(made)
            return None
        same = source.is_like(made.size, made.etag, made.modified)
        if same and made.recorded is not None:
            return made, found.etag
        # Without a record: the process was killed between the copy and its record.
        try:
            compared = await compare_objects(
                self.source, made.key, source.etag, self.target, made.path
            )
        except NoSuchKeyError:
            self._last(made)
            return None
        except StoreError as error:
            self._failed(made, error)
            return None
        if compared.verdict == "verified" and compared.copy.etag == found.etag:
            return made, found.etag
        why = "not-ours" if made.recorded is None else "original-changed"
        self._kept(
            made, why, f"{made.path} and {made.key} do not have the same content; it was kept"
        )
        return None

    async def _remove(self, ready: list[tuple[_Made, str]]) -> None:
        try:
            results = await self._delete(
                [
                    DeleteTarget(made.path, etag if self.conditional else None)
                    for made, etag in ready
                ]
            )
        except StoreError as error:
            results = tuple(DeleteResult(made.path, error) for made, _ in ready)
        gone: list[_Made] = []
        lost: list[_Made] = []
        for (made, _), result in zip(ready, results, strict=True):
            if result.error is None:
                gone.append(made)
            elif isinstance(result.error, PreconditionFailedError):
                self._kept(made, "not-ours", f"{made.path} was changed meanwhile; it was kept")
            elif isinstance(result.error, OutcomeUnknownError):
                lost.append(made)
            else:
                self._failed(made, result.error)
        self._done(gone)
        if lost:
            await self._settle(lost)

    async def _settle(self, lost: list[_Made]) -> None:
        """The answer was lost: what is gone was deleted, what is there was not."""
        try:
            there = await look_at(self.target, [made.path for made in lost])
        except NoSuchBucketError:
            there = {}
        self._done([made for made in lost if made.path not in there])
        for made in lost:
            if made.path in there:
                self._failed(made, OutcomeUnknownError("it is still there"))

    def _done(self, gone: list[_Made]) -> None:
        self.context.receive(
            self.step,
            "done",
            [made.n for made in gone],
            sum(made.size for made in gone),
            [made.path for made in gone] if self.context.item_log else (),
        )

    def _last(self, made: _Made) -> None:
        self._kept(
            made, "last-copy", f"{made.key} is gone, so {made.path} may be the last copy; kept"
        )

    def _kept(self, made: _Made, reason: str, message: str) -> None:
        self.context.problem(
            self.step, made.n, made.key, made.path, "kept", reason, message,
            "look at it yourself; s3plan will not touch it",
        )  # fmt: skip

    def _failed(self, made: _Made, error: StoreError) -> None:
        self.context.problem(
            self.step, made.n, made.key, made.path, "failed", error.code, str(error)
        )


def load_made_copies(context: Context, step: Step, action: RemoveCopy, database: Database) -> None:
    """Fill ``items`` and ``copies`` with what the step goes by. Blocks."""
    load_items(context, step, database)

    def taken_back() -> None:
        load_taken_back(context.run, action.copied, database, step.id)

    load_made(context, database, step.id, taken_back)


async def abandon_uploads(context: Context, step: Step, action: RemoveCopy) -> None:
    """Abort the multipart uploads that the run began and did not complete."""
    run, target = context.run, context.bucket(step)
    left = {n: i for (name, n), i in run.state().uploads.items() if name == action.copied}
    for item in PlanFile.open(run.plan).items(action.copied) if left else ():
        if item.n in left:
            await target.upload(item.path, left[item.n]).abort()


async def remove_copy(context: Context, step: Step, action: RemoveCopy) -> None:
    """Run a remove-copy step."""
    await _Remover(context, step, action).run()
    context.check_stop()
