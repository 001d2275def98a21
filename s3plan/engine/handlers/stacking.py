"""``upload`` into a bucket that keeps versions: each key's entries on top of each other, in order.

What S3 holds of a key is a stack: the newest entry is what the key holds now. What a run deleted is
put back oldest first, one after the other, and each only on what is expected below it: a stack in
which somebody else put something is left alone. Delete markers are made by deleting the key.

Before a key's first entry its stack is looked at. What lies above what was there when the rollback
was planned must be what earlier sessions put back; what is there already is not put back twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import groupby

from msgspec import Struct

from s3plan.engine.context import Interrupted
from s3plan.engine.handlers import sending
from s3plan.engine.handlers.putting import (
    WORKERS,
    Local,
    Uploader,
    content_verdict,
    large_file,
)
from s3plan.engine.records import Job
from s3plan.errors import OutcomeUnknownError, PreconditionFailedError, StoreError
from s3plan.rules.versioning import same_entry
from s3plan.store import DeleteTarget

NULL = "null"
"""The version id of what is written while a bucket keeps no versions."""

PATIENCE = 30
"""Times that the first entry of all is written until the bucket keeps versions: AWS says that
enabling them takes a while to be in force everywhere
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html)."""

PAUSE = 2.0
"""Seconds between them."""

_PAGE = 1000

_ROWS = f"""
    SELECT i.n, i.key, i.path, i.size, c.algorithm, c.value, c.parts, c.attributes, c.tags,
        c.grants,
        i.marker, i.beneath + row_number() OVER stack - 1,
        i.beneath + count(*) OVER (PARTITION BY i.key) > 1
    FROM items i LEFT JOIN catalogue c ON {same_entry("i", "c", versions=True)}
    WINDOW stack AS (PARTITION BY i.key ORDER BY i.n)
    ORDER BY i.n"""  # noqa: S608 - made of this module's constants


class _Entry(Struct, frozen=True):
    """One version or delete marker that a key has now."""

    version_id: str
    is_marker: bool
    size: int
    etag: str


class _Stranger(Exception):
    """Something lies in the stack that this rollback did not put there."""


class Stacker(Uploader):
    """One upload step; the entries of a key belong to one worker."""

    query = _ROWS
    in_force = False
    """Whether the bucket was seen to give ids to versions."""

    async def _range(self, jobs: list[Job]) -> None:
        await self.context.intend(self.step, jobs[0].n, jobs[-1].n)
        stacks = [list(stack) for _, stack in groupby(jobs, key=lambda job: job.key)]
        if not self.in_force:
            # One alone, until it is known that the bucket keeps what is put on top of each other.
            alone = next((stack for stack in stacks if stack[0].is_stacked), [])
            if alone:
                stacks.remove(alone)
                await self._stack(alone)
        pending = iter(stacks)
        count = min(self.context.objects_at_once(WORKERS), len(stacks))
        await asyncio.gather(*[self._stacks(pending) for _ in range(count)])

    async def _stacks(self, stacks: Iterator[list[Job]]) -> None:
        for stack in stacks:
            await self._stack(stack)

    async def _stack(self, jobs: list[Job]) -> None:
        """Put back what is left of one key. After an entry that failed, nothing goes on top."""
        ended = 0
        outcome, reason = "failed", "order"
        message = "an older version of it could not be put back, and this one goes on top of it"
        try:
            entries = await self._entries(jobs[0])
            for job in jobs:
                if self.context.stopping:
                    return
                self.context.began(self.step, job.n, job.key)
                good = await self._lay(job, entries)
                ended += 1
                if not good:
                    break
        except _Stranger:
            outcome, reason = "kept", "key-taken"
            message = "something else was written to it; it was left alone, and so was this copy"
        except StoreError as error:
            reason, message = error.code, str(error)
        for job in jobs[ended:]:
            self._problem(job, outcome, reason, f"{job.key}: {message}")

    async def _lay(self, job: Job, entries: list[_Entry]) -> bool:
        """Make sure of one entry, which is put on ``entries``; False where it was not to be."""
        if job.evidence is None and not job.marker:
            missing = f"the catalogue has no such version of {job.key}"
            self._problem(job, "failed", "not-in-catalogue", missing)
            return False
        if not await self._lies_there(job, entries):
            local = None
            if job.evidence is not None and not job.marker:
                local = await self.context.in_thread(self._read, job, job.evidence)
                if local is None or local.evidence != job.evidence:
                    differs = f"{job.path} is not what was downloaded, so it was not put back"
                    self._problem(job, "failed", "copy-differs", differs)
                    return False
            entries.append(await self._put_on_top(job, local, entries))
        self._uploaded(job)
        return True

    async def _lies_there(self, job: Job, entries: list[_Entry]) -> bool:
        """Whether an earlier attempt put the entry where it belongs.

        Raises _Stranger where something else lies there.
        """
        if len(entries) <= job.beneath:
            return False
        there = entries[job.beneath]
        if there.is_marker != job.marker or there.size != job.size:
            raise _Stranger
        if job.evidence is not None and not job.marker:
            verdict = await content_verdict(
                self.bucket, job.key, job.size, job.evidence, None, version=there.version_id
            )
            if verdict != "verified":
                raise _Stranger
        return True

    async def _put_on_top(self, job: Job, local: Local | None, entries: list[_Entry]) -> _Entry:
        try:
            made = await self._write(job, local, entries)
        except (PreconditionFailedError, OutcomeUnknownError):
            # Somebody wrote meanwhile: an earlier attempt of ours, whose answer was lost, or a
            # stranger. SeaweedFS also refuses `a` once there is `a/b`.
            entries[:] = await self._entries(job)
            if await self._lies_there(job, entries):
                return entries.pop()
            made = await self._write(job, local, entries, conditional=False)
        is_kept = made.version_id not in ("", NULL)
        self.in_force = self.in_force or is_kept
        if is_kept or not job.is_stacked:
            return made
        if job.beneath:
            raise StoreError(
                "the bucket does not keep versions, so what goes on top would replace this one",
                address=f"s3://{self.step.subject}/{job.key}",
                expected="versioning enabled",
                next_step="enable it, wait some minutes, then " + self.context.retry_command(),
            )
        return await self._until_kept(job, local)

    async def _until_kept(self, job: Job, local: Local | None) -> _Entry:
        """Write the lowest entry of a stack until it gets an id; what had none is removed again."""
        for _ in range(PATIENCE):
            await self.context.unless_stopped(asyncio.sleep(PAUSE))
            made = await self._write(job, local, [], conditional=False)
            if made.version_id not in ("", NULL):
                self.in_force = True
                await self.bucket.delete_singly([DeleteTarget(job.key, None, NULL)])
                return made
        raise StoreError(
            "the bucket does not keep versions yet",
            address=f"s3://{self.step.subject}/{job.key}",
            expected="versioning enabled",
            next_step="wait some minutes, then " + self.context.retry_command(),
        )

    async def _write(
        self, job: Job, local: Local | None, entries: list[_Entry], *, conditional: bool = True
    ) -> _Entry:
        """One entry, on condition that the newest of ``entries`` is still what the key holds."""
        if local is None:
            version = await self.bucket.mark_deleted(job.key)
            return _Entry(version or "", is_marker=True, size=0, etag="")
        if job.size > sending.LARGEST_PUT:
            return await self._send(job, local)
        top = entries[-1] if entries else None
        on_nothing = top is None or top.is_marker
        result = await self.bucket.put(
            job.key,
            self._body(job, local),
            size=job.size,
            attributes=job.attributes,
            content_md5=bytes.fromhex(local.md5.value),
            checksum=local.whole,
            if_none_match=conditional and on_nothing,
            if_match=None if on_nothing or not conditional or top is None else top.etag,
        )
        return _Entry(result.version_id or "", is_marker=False, size=job.size, etag=result.etag)

    async def _send(self, job: Job, local: Local) -> _Entry:
        """A large file in parts, to a key that has nothing: of others the plan was refused."""
        sent = await self.sender.send(large_file(job, local), if_none_match=True)
        if sent is None:
            raise Interrupted
        made = await self._entries(job)
        if not made or not (sent.is_proven or await self._lies_there(job, made)):
            raise OutcomeUnknownError(
                "the object is not there, or not what was sent",
                address=f"s3://{self.step.subject}/{job.key}",
                next_step=self.context.retry_command(),
            )
        return made[-1]

    async def _entries(self, job: Job) -> list[_Entry]:
        """What the key of a job has now, oldest first. It comes first of all that begin with it."""
        found: list[_Entry] = []
        async for page in self.bucket.version_pages(prefix=job.key, max_keys=_PAGE):
            names = zip(page.keys, page.version_ids, page.markers, strict=True)
            for index, (key, version, is_marker) in enumerate(names):
                if key != job.key:
                    return found[::-1]
                found.append(_Entry(version, is_marker, page.sizes[index], page.etags[index]))
        return found[::-1]
