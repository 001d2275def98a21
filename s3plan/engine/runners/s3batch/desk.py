"""The jobs of one step: planned, created, confirmed, waited for, and their reports read.

Nothing runs that the journal does not say may run: a job is created so that it waits for
confirmation, under a token that is in the journal before; it is confirmed only after the record
that says so is durable. Killed anywhere, the next session goes on with the same job; a job whose id
was lost waits in vain, and S3 drops it after 30 days.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct, structs

from s3plan.engine.context import Context, Interrupted
from s3plan.engine.handover.lines import Lines
from s3plan.engine.handover.manifests import terms_of
from s3plan.engine.lease import split as place_of
from s3plan.engine.runners.s3batch.failures import Failures, read_report
from s3plan.engine.together import together
from s3plan.errors import EndpointError, StoreError, ThrottledError
from s3plan.model.events import HandedOver, Waiting, Warned
from s3plan.model.journal import BatchJob, Intent
from s3plan.model.objects import ObjectAttributes
from s3plan.model.steps import Copy, Item, Restore, Step
from s3plan.rules.handover import batch
from s3plan.rules.handover.batch import JobKind
from s3plan.rules.handover.splitting import MOST_ROWS, Split
from s3plan.rules.handover.told import Failure
from s3plan.store import ChunkedSource
from s3plan.store.jobs import Job

Answer = TypeVar("Answer")

LOOKS = 12
"""Questions in a row that may fail: a wait of days outlives a network that is away for an hour."""

_BLOCK = 1 << 20

_ATTRIBUTES = ObjectAttributes(headers={"content-type": "text/csv"})


class Range(Struct, frozen=True):
    """Items ``first`` to ``last`` of a worklist, of which ``items`` are for the service.

    ``taken`` are those whose new key was in use before the run came to them.
    """

    first: int
    last: int
    items: list[Item]
    taken: tuple[int, ...] = ()


class _Manifest(Struct):
    """A manifest that is being written."""

    lines: Lines
    newest: str = ""


class Desk:
    """The jobs of one step in one session."""

    def __init__(self, context: Context, step: Step, action: Copy | Restore) -> None:
        self.context = context
        self.step = step
        self.action = action
        self.failures = Failures(action)
        self.ended: list[BatchJob] = []
        """Jobs that came to their end in this session, for who wants to know; cleared by them."""
        self._terms, self._batch = terms_of(context.plan)
        assert context.plan.header.connection.scratch is not None
        self._scratch, self._prefix = place_of(context.plan.header.connection.scratch)
        self._region = ""

    async def go_on(self) -> None:
        """Bring jobs of earlier sessions to their end."""
        known = self.context.state.jobs.values()
        mine = [job for job in known if job.step == self.step.id and job.stage != "ended"]
        await self._bring_to_end(mine)

    async def hand_over(self, split: Split, ranges: AsyncIterator[Range]) -> None:
        """Make jobs of what fits, and bring them to their end."""
        jobs = await self._plan(split, ranges)
        if jobs:
            price = batch.price(len(jobs), sum(job.items for job in jobs))
            given = sum(job.items for job in jobs)
            self.context.observer(
                HandedOver(self.step.id, self.step.subject, len(jobs), given, split.left, price)
            )
        await self._bring_to_end(jobs)

    # -- planning ------------------------------------------------------------------------------

    async def _plan(self, split: Split, ranges: AsyncIterator[Range]) -> list[BatchJob]:
        """Write the manifests; each is in S3, and its job in the journal, when this ends."""
        open_: dict[JobKind, _Manifest] = {}
        full: list[tuple[JobKind, _Manifest]] = []
        source = self.action.source if isinstance(self.action, Copy) else self.step.subject
        async for found in ranges:
            self.context.check_stop()
            fitting = 0
            for item in found.items:
                kind = batch.kind_of(self.action, item)
                if isinstance(kind, str) or kind not in split.kinds:
                    continue
                fitting += 1
                manifest = open_.get(kind)
                if manifest is None:
                    manifest = open_[kind] = _Manifest(Lines(self._file(len(open_) + len(full))))
                row = batch.row(source, item, versions=kind.versions)
                manifest.lines.add(row.removesuffix("\n"))
                manifest.newest = max(manifest.newest, item.modified)
                if manifest.lines.count >= MOST_ROWS:
                    full.append((kind, open_.pop(kind)))
            if fitting:
                self._intend(found)
        more = {kind for kind, _ in full}
        least = self._batch.least_objects
        worth = [
            (kind, manifest)
            for kind, manifest in open_.items()
            if manifest.lines.count >= least or kind in more
        ]
        return [await self._planned(kind, manifest) for kind, manifest in [*full, *worth]]

    def _file(self, number: int) -> Path:
        return self.context.scratch / f"{self.step.id}-{number}.csv"

    def _intend(self, found: Range) -> None:
        """Noted, and durable with the record that a job may run."""
        record = Intent(
            step=self.step.id,
            first=found.first,
            last=found.last,
            taken=found.taken,
            time=self.context.now(),
        )
        self.context.journal.note(record)
        self.context.state.apply(self.context.journal.seq, record)

    async def _planned(self, kind: JobKind, manifest: _Manifest) -> BatchJob:
        manifest.lines.close()
        number = 1 + max(
            (job.number for job in self.context.state.jobs.values() if job.step == self.step.id),
            default=0,
        )
        key = f"{self._prefix}manifests/{self.context.run.id}/{self.step.id}-{number}.csv"
        etag = await self._send(manifest.lines.path, key)
        token = hashlib.sha256(
            f"{self.context.run.id} {self.step.id} {number} {etag}".encode()
        ).hexdigest()
        return await self._note(
            BatchJob(
                step=self.step.id,
                number=number,
                stage="planned",
                token=token,
                items=manifest.lines.count,
                bucket=self._scratch,
                key=key,
                etag=etag,
                storage_class=kind.storage_class,
                prefix=kind.prefix,
                versions=kind.versions,
                newest=manifest.newest,
                time=self.context.now(),
            )
        )

    async def _send(self, path: Path, key: str) -> str:
        """The manifest to the scratch, where only this run has the key; its ETag."""
        size, md5 = await asyncio.to_thread(_digest, path)
        result = await self.context.store.bucket(self._scratch).put(
            key,
            ChunkedSource(lambda: _chunks(path)),
            size=size,
            attributes=_ATTRIBUTES,
            content_md5=md5,
            checksum=None,
            if_none_match=False,
        )
        return result.etag

    # -- one job -------------------------------------------------------------------------------

    async def _bring_to_end(self, jobs: list[BatchJob]) -> None:
        if not jobs:
            return
        control = self.context.store.control
        self._region = await asyncio.to_thread(control.region, self.step.subject)
        try:
            await together([self._one(job) for job in jobs])
        except Interrupted:
            self.context.observer(
                Warned(
                    f"{self.step.verb} {self.step.subject}: jobs that were confirmed go on in S3;"
                    " the same command waits for them again, `s3plan rollback` cancels them"
                )
            )
            raise

    async def _one(self, job: BatchJob) -> None:
        if job.stage == "planned":
            self.context.check_stop()
            made = await self._ask(self.context.store.jobs.create, self._request(job), self._region)
            job = await self._note(structs.replace(job, stage="created", id=made))
        if job.stage == "created":
            job = await self._confirmed(job)
        if job.stage == "confirmed":
            await self._ended(job, await self._wait(job))

    def _request(self, job: BatchJob) -> dict[str, Any]:
        """The same at every time: all of it is in the journal and in the plan."""
        kind = kind_of_job(job)
        operation = batch.operation(
            self.action, self.step.subject, kind, job.newest, self._terms.partition
        )
        manifest = batch.Manifest(job.bucket, job.key, job.etag, versions=job.versions)
        words = f"s3plan {self.context.run.id} {job.step} {job.number}"
        return batch.request(self._terms, manifest, operation, job.token, words)

    async def _confirmed(self, job: BatchJob) -> BatchJob:
        """Wait until S3 has read the manifest, see whether it is what was written, and let go."""
        seen = await self._until(job, batch.PREPARING)
        if seen.status in batch.TERMINAL:
            await self._ended(job, seen)
            return structs.replace(job, stage="ended")
        if seen.total is not None and seen.total != job.items:
            await self._ask(self.context.store.jobs.cancel, self._account, job.id, self._region)
            raise StoreError(
                "S3 read another manifest than was written, and the job was cancelled",
                address=f"job {job.id}",
                expected=f"{job.items:,} objects",
                found=f"{seen.total:,}",
                next_step="run the same command again; report this if it stays",
            )
        self.context.check_held()
        job = await self._note(structs.replace(job, stage="confirmed"))
        # With a mirror the record is there too before anything runs.
        await self.context.intend_whole(self.step)
        return job

    async def _wait(self, job: BatchJob) -> Job:
        """Wait until the job runs no more; it is confirmed until S3 has understood."""
        seen = await self._describe(job)
        while seen.status == batch.WAITING:
            self.context.check_stop()
            self.context.check_held()
            await self._ask(self.context.store.jobs.confirm, self._account, job.id, self._region)
            seen = await self._describe(job)
            if seen.status == batch.WAITING:
                await self._rest(job, seen)
        return await self._until(job, batch.UNDER_WAY)

    async def _until(self, job: BatchJob, statuses: frozenset[str]) -> Job:
        """Ask until the job is in none of ``statuses``."""
        while (seen := await self._describe(job)).status in statuses:
            await self._rest(job, seen)
        return seen

    async def _rest(self, job: BatchJob, seen: Job) -> None:
        left = job.items if seen.total is None else seen.total
        self.context.observer(Waiting(self.step.id, self.step.subject, left, self._batch.poll))
        await self.context.unless_stopped(asyncio.sleep(self._batch.poll))

    async def _describe(self, job: BatchJob) -> Job:
        return await self._ask(
            self.context.store.jobs.describe, self._account, job.id, self._region
        )

    @property
    def _account(self) -> str:
        return self._terms.account

    async def _ended(self, job: BatchJob, seen: Job) -> None:
        """Read what it failed with, then write down that it runs no more."""
        if seen.failed:
            folder = f"{self._prefix}reports/job-{job.id}/"
            bucket = self.context.store.bucket(self._scratch)
            try:
                self.failures.add(await read_report(bucket, folder))
            except StoreError as error:
                self.context.observer(Warned(f"job {job.id}: {error}"))
        if seen.status != batch.COMPLETE:
            why = f"the job {job.id} is {seen.status}" + (f": {seen.reason}" if seen.reason else "")
            failure = Failure("", f"job-{seen.status.lower()}", why)
            self.failures.add_job(kind_of_job(job), failure)
            self.context.observer(Warned(why))
        job = structs.replace(job, stage="ended", status=seen.status)
        self.ended.append(await self._note(job))

    async def _note(self, job: BatchJob) -> BatchJob:
        job = structs.replace(job, time=self.context.now())
        await self.context.journal.commit(job)
        self.context.state.apply(self.context.journal.seq, job)
        return job

    async def _ask(self, call: Callable[..., Answer], *arguments: object) -> Answer:
        """A call of S3 Control, tried for as long as a network may be away."""
        for times in range(1, LOOKS + 1):
            try:
                return await asyncio.to_thread(call, *arguments)
            except (EndpointError, ThrottledError) as error:
                if times == LOOKS:
                    raise
                self.context.observer(Warned(f"{error.what}; asking again later: {error.found}"))
                await self.context.unless_stopped(asyncio.sleep(self._batch.poll))
        raise AssertionError


def kind_of_job(job: BatchJob) -> JobKind:
    """What all items of a job have in common."""
    return JobKind(job.storage_class, job.prefix, versions=job.versions)


def _digest(path: Path) -> tuple[int, bytes]:
    digest = hashlib.md5(usedforsecurity=False)
    size = 0
    for block in _chunks(path):
        size += len(block)
        digest.update(block)
    return size, digest.digest()


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block
