"""``delete``: exactly the verified objects, each looked at again right before, in S3 and on disk.

A fresh listing drives it: every page is a look at up to 1,000 keys, and those of them that are in
the worklist, unchanged and verified go in one DeleteObjects that carries each one's ETag, after an
intent that is durable. What is not in the worklist is passed by. Between a page and its request is
the window that the plan names; where the endpoint honours the ETag there is none.

Objects that could not be verified go with them only where a person approved that loss on this
very evidence; what was found to differ never goes.

In a bucket that keeps versions the listing is of versions and delete markers, and each is deleted
by its id: it cannot name another, so there is no window. What a key held when it was planned stays
if something newer was put above it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from os.path import commonprefix
from typing import Any

from msgspec import Struct

from s3plan.engine.context import Context, Destination
from s3plan.engine.gate import load_items
from s3plan.engine.probe import deletion_requests, guard_of
from s3plan.engine.records import evidence_columns, evidence_lines
from s3plan.engine.state import SETTLED, ItemState
from s3plan.errors import (
    HeldError,
    NoSuchBucketError,
    NoSuchKeyError,
    OutcomeUnknownError,
    PreconditionFailedError,
    StoreError,
)
from s3plan.inventory.local import recorded_stat
from s3plan.localfs.digests import digest_of_file
from s3plan.model.events import Warned
from s3plan.model.journal import GateRecord
from s3plan.model.local import NO_FILE, FileStat
from s3plan.model.objects import EMPTY, Checksum, Verdict
from s3plan.model.steps import Delete, Step
from s3plan.rules.approvals import is_approved
from s3plan.store import Bucket, DeleteResult, DeleteTarget, ListPage, VersionPage
from s3plan.tables import EVIDENCE, Database

IN_FLIGHT = 4
"""Pages whose deletion is under way at once."""

LOOKS = 16
"""Objects looked at one by one at once, where an answer was lost."""

_LOAD = 2_000

_BOUNDS = "SELECT min(key), max(key) FROM items"

# What has no copy has no evidence of its own either, as its loss is approved as a whole.
_MEANT = """
    SELECT i.n, i.key, i.path, i.size, i.etag, i.modified, i.version_id, coalesce(i.newer, 0),
           e.algorithm, e.value, e.parts, e.device, e.inode, e.size, e.mtime_ns
    FROM items i {join} evidence e USING (n)
    WHERE {passes} AND {among}
    ORDER BY i.n"""

_DELETED = """
    SELECT n, key, path, version_id, size, etag, modified FROM items i
    WHERE {among} ORDER BY n"""

_REST = """
    SELECT i.n, i.key, i.path, i.size FROM items i {join} evidence e USING (n)
    WHERE {passes} ORDER BY i.n"""

_VERIFIED = {"join": "JOIN", "passes": "e.verdict IN ('verified', $besides)"}
_LOST = {"join": "LEFT JOIN", "passes": "e.verdict IS NULL"}

_OF_NUMBERS = "i.n BETWEEN $first AND $last"

_OF_KEYS = "i.key IN (SELECT unnest($keys::VARCHAR[]))"

_OF_VERSIONS = """(i.key, i.version_id) IN (
        SELECT unnest($keys::VARCHAR[]), unnest($versions::VARCHAR[]))"""

Name = tuple[str, str | None]
"""A key, and the version of it where there are any."""


class Doomed(Struct, frozen=True):
    """An item with the evidence that lets it be deleted."""

    n: int
    key: str
    path: str
    size: int
    etag: str
    modified: str
    version: str | None
    newer: int
    checksum: Checksum
    file: FileStat

    @property
    def name(self) -> Name:
        """What is to be deleted."""
        return self.key, self.version


class Live(Struct, frozen=True):
    """What a look says of an item now; ``newer`` counts what was put above it."""

    fingerprint: tuple[int, str, str]
    newer: int

    def is_like(self, item: Doomed) -> bool:
        """Whether it is what was planned."""
        return self.fingerprint == (item.size, item.etag, item.modified)


class Deleter:
    """One delete step. ``destination`` has the copies; None where somebody else looks at them."""

    def __init__(
        self,
        context: Context,
        step: Step,
        action: Delete,
        gate: GateRecord,
        destination: Destination | None,
    ) -> None:
        self.context = context
        self.gate = gate
        self.versions = bool(action.versions)
        self.lost = bool(action.lost)
        self.step = step
        self.destination = destination
        self.bucket: Bucket = context.bucket(step)
        self.state = context.step_state(step)
        self.seen = bytearray(step.totals.items)
        approved = is_approved(context.state.approvals, gate, "loss")
        self.besides: Verdict = "unverifiable" if approved else "verified"
        """The verdict that lets an item go besides ``verified``: there is one only by approval."""
        singly, self.conditional = deletion_requests(context.capabilities)
        self._delete = self.bucket.delete_singly if singly else self.bucket.delete_many

    def _pages(self, prefix: str) -> AsyncIterator[ListPage | VersionPage]:
        if self.versions:
            return self.bucket.version_pages(prefix=prefix)
        return self.bucket.pages(prefix=prefix)

    def _rows(
        self,
        query: str,
        database: Database,
        page: ListPage | VersionPage | None = None,
        numbers: tuple[int, int] | None = None,
    ) -> Iterator[Sequence[Any]]:
        """Rows of items, of all or of those among a page's entries or a range of numbers."""
        among = _OF_VERSIONS if self.versions else _OF_KEYS
        if numbers is not None:
            among = _OF_NUMBERS
        query = query.format(among=among, **(_LOST if self.lost else _VERIFIED))
        values: dict[str, object] = {"besides": self.besides}
        if page is not None:
            values["keys"] = list(page.keys)
        if isinstance(page, VersionPage):
            values["versions"] = list(page.version_ids)
        if numbers is not None:
            values["first"], values["last"] = numbers
        # DuckDB refuses values that a statement does not name.
        return database.rows(query, {n: v for n, v in values.items() if f"${n}" in query})

    async def run(self) -> None:
        """Delete what a fresh listing, page by page, shows to be there as it was verified."""
        with self.context.tables() as database:
            await self.context.in_thread(self.load, database)
            first, last = database.row(_BOUNDS)
            # Keys are compared by character, not by path component: that is what is wanted.
            prefix = commonprefix([first or "", last or ""])  # noqa: RUF071
            under_way: set[asyncio.Task[None]] = set()
            pages = aiter(self._pages(prefix))
            try:
                while not self.context.stopping:
                    # Wait before the look, not after it: what is acted upon was just seen.
                    while len(under_way) >= IN_FLIGHT:
                        under_way = await _some(under_way)
                    page = await anext(pages, None)
                    if page is None:
                        await self._gone(database)
                        break
                    doomed = await self.context.in_thread(self._meant, database, page)
                    for item in doomed:
                        self.seen[item.n] = True
                    under_way.add(asyncio.create_task(self.page(_live(page), doomed)))
            except NoSuchBucketError:
                await self._gone(database)
            finally:
                # A request that was sent is awaited, so that its answer is known.
                while under_way:
                    under_way = await _some(under_way)
            if not self.context.stopping:
                with suppress(NoSuchBucketError):
                    await self._compare(database, prefix)

    async def _compare(self, database: Database, prefix: str) -> None:
        """List again: an object that is said to be deleted and is still there was not deleted."""
        async for page in self._pages(prefix):
            live = _live(page)
            rows = await self.context.in_thread(self._among, database, page)
            for n, key, path, version, *planned in rows:
                there = live[key, version].fingerprint == tuple(planned)
                if self.state.of(n) is ItemState.DONE and there:
                    self.still_there(n, key, path)

    def still_there(self, n: int, key: str, path: str) -> None:
        self.context.problem(
            self.step, n, key, path, "failed", "still-there",
            f"{key} was answered to be deleted, and is still there",
        )  # fmt: skip

    def _among(self, database: Database, page: ListPage | VersionPage) -> list[Sequence[Any]]:
        return list(self._rows(_DELETED, database, page))

    def load(self, database: Database) -> None:
        """Fill ``items`` and ``evidence``. Blocks."""
        load_items(self.context, self.step, database)
        if self.lost:
            return
        lines = evidence_lines(self.context, self.gate)
        while batch := list(islice(lines, _LOAD)):
            database.append(EVIDENCE, evidence_columns(batch))

    def _meant(self, database: Database, page: ListPage | VersionPage) -> list[Doomed]:
        """The items among a page's entries that are still to be deleted."""
        rows = self._rows(_MEANT, database, page)
        return [doomed for doomed in map(_doomed, rows) if self.state.of(doomed.n) not in SETTLED]

    def judge(self, database: Database, first: int, last: int) -> list[tuple[Doomed, bool]]:
        """Of items ``first`` to ``last`` those that are still to be deleted, and whether their
        local copies are what was verified. Runs on a disk thread.
        """
        rows = self._rows(_MEANT, database, numbers=(first, last))
        meant = [one for one in map(_doomed, rows) if self.state.of(one.n) not in SETTLED]
        changed = set(self._changed_files(meant))
        return [(one, one.n not in changed) for one in meant]

    async def _gone(self, database: Database) -> None:
        """A whole listing has ended: what was in no page of it is not there any more.

        Ours if an earlier session began it; if not, somebody else's doing. Either way the object
        is gone and its verified copy is here.
        """
        rows = self._rows(_REST, database)
        while batch := list(islice(rows, _LOAD)):
            absent = [
                row
                for row in batch
                if not self.seen[row[0]] and self.state.of(row[0]) not in SETTLED
            ]
            self.done([(n, key, size) for n, key, _, size in absent])

    async def page(self, live: dict[Name, Live], meant: list[Doomed]) -> None:
        """Delete those of the items that are as planned, which all are among what is there."""
        changed_files = set(await self.context.in_thread(self._changed_files, meant))
        ready: list[Doomed] = []
        for item in meant:
            self.context.began(self.step, item.n, item.key)
            found = live[item.name]
            if not found.is_like(item):
                self._drifted(item, "source-changed", "the object was changed after the plan")
            elif found.newer and not item.newer:
                self._drifted(item, "newer-version", "something newer was written after the plan")
            elif item.n in changed_files:
                self.copy_changed(item)
            else:
                ready.append(item)
        if not ready or self.context.stopping:
            return
        await self.context.intend(self.step, ready[0].n, ready[-1].n)
        await self._send(ready)

    async def _send(self, ready: list[Doomed]) -> None:
        try:
            results = await self._delete(
                [
                    DeleteTarget(item.key, item.etag if self.conditional else None, item.version)
                    for item in ready
                ]
            )
        except StoreError as error:
            results = tuple(DeleteResult(item.key, error, item.version) for item in ready)
        errors = {(result.key, result.version): result.error for result in results}
        self.done([(i.n, i.key, i.size) for i in ready if errors[i.name] is None])
        lost = []
        for item in ready:
            refused = errors[item.name]
            if isinstance(refused, PreconditionFailedError):
                self._drifted(item, "source-changed", "the object was changed meanwhile")
            elif isinstance(refused, OutcomeUnknownError):
                lost.append(item)
            elif refused is not None:
                self._failed(item, refused)
        if lost:
            await self._settle(lost)

    async def _settle(self, lost: list[Doomed]) -> None:
        """The answer was lost: what is gone was deleted, what is there was not."""
        gate = asyncio.Semaphore(LOOKS)

        async def look(item: Doomed) -> None:
            async with gate:
                if item.version is not None:
                    await self._again(item)
                    return
                try:
                    await self.bucket.head(item.key)
                except (NoSuchKeyError, NoSuchBucketError):
                    self.done([(item.n, item.key, item.size)])
                except StoreError as error:
                    self._failed(item, error)
                else:
                    self._failed(item, OutcomeUnknownError("it is still there"))

        await asyncio.gather(*map(look, lost))

    async def _again(self, item: Doomed) -> None:
        """A version that is deleted twice is deleted once, so that there is nothing to look at."""
        (result,) = await self.bucket.delete_singly([DeleteTarget(item.key, None, item.version)])
        if result.error is None:
            self.done([(item.n, item.key, item.size)])
        else:
            self._failed(item, result.error)

    def _changed_files(self, batch: list[Doomed]) -> list[int]:
        """Items whose local copy is not the verified one any more; runs on a disk thread.

        A file whose stat differs is read again: equal bytes are as good as before.
        """
        changed: list[int] = []
        if self.destination is None:
            return changed  # who told of the items has looked, see `judge`
        tree = self.destination.tree
        tree.check_place()
        for item in batch:
            if not item.path:
                continue  # nothing of it is to be on disk
            if item.path.endswith("/"):
                if not tree.is_marker(item.path):
                    changed.append(item.n)
            elif tree.stat(item.path) != item.file:
                found = digest_of_file(tree, item.path, item.checksum.kind)
                if found is None or found[0] != item.checksum:
                    changed.append(item.n)
        return changed

    def done(self, items: list[tuple[int, str, int]]) -> None:
        """Items by number, key and size."""
        self.context.receive(
            self.step,
            "done",
            [n for n, _, _ in items],
            sum(size for _, _, size in items),
            [key for _, key, _ in items] if self.context.item_log else (),
        )

    def copy_changed(self, item: Doomed) -> None:
        """Say that an item stays, since nothing proves any more that there is a copy of it."""
        self._drifted(item, "copy-changed", "its local copy is no longer what was verified")

    def _drifted(self, item: Doomed, reason: str, message: str) -> None:
        self.context.problem(
            self.step,
            item.n,
            item.key,
            item.path,
            "drifted",
            reason,
            f"{item.key}: {message}; it was not deleted",
            "s3plan plan again, and review what changed",
        )

    def _failed(self, item: Doomed, error: StoreError) -> None:
        self.context.problem(
            self.step, item.n, item.key, item.path, "failed", error.code, str(error)
        )


def _live(page: ListPage | VersionPage) -> dict[Name, Live]:
    columns = zip(page.sizes, page.etags, page.modified, strict=True)
    if isinstance(page, VersionPage):
        names = zip(page.keys, page.version_ids, page.newer, strict=True)
        return {
            (key, version): Live(found, newer)
            for (key, version, newer), found in zip(names, columns, strict=True)
        }
    return {(key, None): Live(found, 0) for key, found in zip(page.keys, columns, strict=True)}


async def _some(tasks: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """Wait for any of the tasks; those left. Raises what one raised."""
    done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    return left


def _doomed(row: Sequence[Any]) -> Doomed:
    n, key, path, size, etag, modified, version, newer, algorithm, value, parts, *stat = row
    has_copy = algorithm is not None
    return Doomed(
        n=n,
        key=key,
        path=path,
        size=size,
        etag=etag,
        modified=modified,
        version=version,
        newer=newer,
        checksum=Checksum(algorithm, value, parts) if has_copy else EMPTY,
        file=recorded_stat(*stat) if has_copy else NO_FILE,
    )


def open_gate(context: Context, step: Step, action: Delete) -> GateRecord:
    """The gate of a delete step, which is open. Raises HeldError where a loss was not approved;
    warns where its guard is not what was shown.
    """
    assert step.gate is not None, "a delete step without a gate is never run"
    gate = context.state.gates[step.gate.evidence]
    if action.lost and not is_approved(context.state.approvals, gate, "loss"):
        raise HeldError(
            f"the loss that step {step.id} brings was not approved on this evidence",
            address=f"s3://{step.subject}",
            next_step=context.retry_command(),
        )
    guard = guard_of(context.capabilities, versions=bool(action.versions))
    if gate.guard and guard != gate.guard:
        # The endpoint was probed again, or cannot be any more, since the gate was shown.
        context.observer(Warned(f"deletions from {step.subject}: {guard}"))
    return gate


async def delete(context: Context, step: Step, action: Delete) -> None:
    """Run a delete step whose gate is open."""
    gate = open_gate(context, step, action)
    destination = context.destination(action.destination)
    await Deleter(context, step, action, gate, destination).run()
    context.check_stop()
