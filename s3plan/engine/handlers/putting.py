"""Local files put back to keys that must not exist, as they were, verified by content.

Each copy is hashed against the catalogue before it is sent, so that a file that rotted on disk
never becomes the object. A key that somebody took meanwhile is left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import msgspec
from msgspec import Struct

from s3plan.engine.context import Context, Destination
from s3plan.engine.gate import load_items
from s3plan.engine.handlers import sending
from s3plan.engine.handlers.sending import LargeFile, PartSender
from s3plan.engine.records import Job
from s3plan.engine.state import SETTLED
from s3plan.errors import NoSuchKeyError, OutcomeUnknownError, PreconditionFailedError, StoreError
from s3plan.inventory.catalogue import observe_catalogue
from s3plan.localfs.tree import Tree
from s3plan.model.objects import EMPTY, Checksum, Kind, ObjectAttributes, Verdict
from s3plan.model.steps import Step, Upload
from s3plan.rules.hashing import Hasher, hasher
from s3plan.rules.integrity import FALLBACK, compare, evidence_of
from s3plan.rules.versioning import same_entry
from s3plan.store import Bucket, ChunkedSource, HashSink, Source
from s3plan.tables import Database

SMALL = 8 << 20
"""Bytes up to which a file is held in memory between hashing and sending."""

RANGE = 200
"""Items that one intent covers."""

WORKERS = 16
"""Uploads in flight."""

LIGHT = 1 << 20
"""Bytes up to which a body's memory is not counted: that many uploads always fit."""

_ROWS = f"""
    SELECT i.n, i.key, i.path, i.size, c.algorithm, c.value, c.parts, c.attributes, c.tags,
           c.grants
    FROM items i LEFT JOIN catalogue c ON {same_entry("i", "c", versions=False)} ORDER BY i.n"""  # noqa: S608

_MD5: Kind = ("MD5", "")

_attributes = msgspec.json.Decoder(ObjectAttributes)
_pairs = msgspec.json.Decoder(dict[str, str])


class Local(Struct, frozen=True):
    """A file's digests, and its bytes where they are few.

    ``whole`` is a checksum of the whole that S3 can be sent; it is the evidence where that is one.
    """

    evidence: Checksum
    whole: Checksum
    md5: Checksum
    data: bytes | None


class Uploader:
    """One upload step."""

    query = _ROWS

    def __init__(self, context: Context, step: Step, destination: Destination) -> None:
        self.context = context
        self.step = step
        self.destination = destination
        self.bucket: Bucket = context.bucket(step)
        self.state = context.step_state(step)
        self.sender = PartSender(context, step, self.bucket, destination.tree)
        # Twice: while a file is being read, its pieces and the whole are there.
        memory = context.plan.header.connection.limits.memory
        self.heavy = asyncio.Semaphore(max(1, memory // (2 * SMALL)))

    async def run(self) -> None:
        if self.context.records is not None:
            await self._ranges(list(self.context.records.jobs))
            return
        with self.context.tables() as database:
            await self.context.in_thread(load_copies_of, self.context, self.step, database)
            batches = database.batches(self.query)
            while rows := await self.context.in_thread(next, batches, None):
                await self._ranges(list(map(_job, rows)))

    async def _ranges(self, jobs: list[Job]) -> None:
        left = [job for job in jobs if self.state.of(job.n) not in SETTLED]
        for start in range(0, len(left), RANGE):
            self.context.check_stop()
            await self._range(left[start : start + RANGE])

    async def _range(self, jobs: list[Job]) -> None:
        await self.context.intend(self.step, jobs[0].n, jobs[-1].n)
        pending = iter(jobs)
        count = min(self.context.objects_at_once(WORKERS), len(jobs))
        await asyncio.gather(*[self._work(pending) for _ in range(count)])

    async def _work(self, jobs: Iterator[Job]) -> None:
        for job in jobs:
            if self.context.stopping:
                return
            self.context.began(self.step, job.n, job.key)
            try:
                async with self.heavy if LIGHT < job.size <= SMALL else nullcontext():
                    with self.context.one_object():
                        await self._one(job)
            except StoreError as error:
                self._problem(job, "failed", error.code, str(error))

    async def _one(self, job: Job) -> None:
        if job.evidence is None:
            self._problem(
                job,
                "failed",
                "not-in-catalogue",
                f"the catalogue has no {job.key}, so nothing tells what {job.path} must be",
            )
            return
        local = await self.context.in_thread(self._read, job, job.evidence)
        if local is None or local.evidence != job.evidence:
            self._problem(
                job,
                "failed",
                "copy-differs",
                f"{job.path} is not what was downloaded, so it was not put back as {job.key}",
            )
            return
        # Where the condition below is not known to be honoured, it may overwrite: look first.
        if not self.context.capabilities.holds("put-if-none-match") and await self._settled(
            job, local
        ):
            return
        try:
            is_proven = await self._put(job, local, if_none_match=True)
        except PreconditionFailedError:
            # Somebody has the key: an earlier try of ours whose answer was lost, or a stranger.
            if await self._settled(job, local):
                return
            # Refused although nothing is there: SeaweedFS says so of `a` once `a/b` exists. We have
            # just looked, the bucket is locked against other runs, and the answer is checked.
            try:
                is_proven = await self._put(job, local, if_none_match=False)
            except OutcomeUnknownError:
                await self._look(job, local)
                return
        except OutcomeUnknownError:
            await self._look(job, local)
            return
        if is_proven:
            self._uploaded(job)
        elif is_proven is not None:
            await self._look(job, local)

    async def _put(self, job: Job, local: Local, *, if_none_match: bool) -> bool | None:
        """Make the object; whether the answer proves its content. None where the run stopped."""
        if job.size > sending.LARGEST_PUT:
            sent = await self.sender.send(large_file(job, local), if_none_match=if_none_match)
            return None if sent is None else sent.is_proven
        result = await self.bucket.put(
            job.key,
            self._body(job, local),
            size=job.size,
            attributes=job.attributes,
            content_md5=bytes.fromhex(local.md5.value),
            checksum=local.whole,
            if_none_match=if_none_match,
        )
        # An ETag that is its MD5, or its checksum.
        return result.etag == local.md5.value or local.whole in result.checksums

    def _body(self, job: Job, local: Local) -> bytes | Source:
        if local.data is not None:
            return local.data
        return ChunkedSource(lambda: _file_chunks(self.destination.tree, job.path))

    async def _look(self, job: Job, local: Local) -> None:
        """Settle an upload whose answer does not tell by looking; nothing there is a failure."""
        if not await self._settled(job, local):
            self._problem(job, "failed", "outcome-unknown", f"{job.key} is not in S3")

    async def _settled(self, job: Job, local: Local) -> bool:
        """Compare the object under the key, by what it offers or by reading it.

        False where there is none.
        """
        try:
            verdict = await content_verdict(self.bucket, job.key, job.size, local.whole, local.md5)
        except NoSuchKeyError:
            return False
        if job.size > sending.LARGEST_PUT:
            await self.sender.abandon(large_file(job, local))
        if verdict == "verified":
            self._uploaded(job)
        else:
            self._problem(
                job,
                "kept",
                "key-taken",
                f"{job.key} has other content in S3; it was left alone, and so was its copy",
            )
        return True

    def _read(self, job: Job, expected: Checksum) -> Local | None:
        """Hash the file, and hold it if it is small; runs on a disk thread."""
        # Of a file that is sent in parts S3 is told what it computes for any upload.
        in_parts = job.size > sending.LARGEST_PUT
        sendable = expected.algorithm != "MD5" and not expected.parts and not in_parts
        whole = expected.kind if sendable else FALLBACK
        running = {kind: hasher(*kind) for kind in (expected.kind, whole, _MD5)}
        held: list[bytes] = []
        try:
            if job.path and not job.path.endswith("/"):
                self._feed(job, list(running.values()), held)
        except OSError:
            return None
        data = b"".join(held) if job.size <= SMALL else None
        digests = {kind: one.checksum() for kind, one in running.items()}
        return Local(digests[expected.kind], digests[whole], digests[_MD5], data)

    def _feed(self, job: Job, running: list[Hasher], held: list[bytes]) -> None:
        with self.destination.tree.open_read(job.path, drop_cache=True) as file:
            for chunk in file.chunks():
                for one in running:
                    one.update(chunk)
                if job.size <= SMALL:
                    held.append(bytes(chunk))

    def _uploaded(self, job: Job) -> None:
        self.context.receive(self.step, "verified", [job.n], job.size, [job.key])

    def _problem(self, job: Job, outcome: str, reason: str, message: str) -> None:
        self.context.problem(
            self.step,
            job.n,
            job.key,
            job.path,
            "kept" if outcome == "kept" else "failed",
            reason,
            message,
        )


def load_copies_of(context: Context, step: Step, database: Database) -> None:
    """Fill ``items`` and ``catalogue`` with what an upload step goes by. Blocks."""
    assert isinstance(step.action, Upload)
    tree = context.destination(step.action.destination).tree
    observe_catalogue(tree, step.subject, database, attributes=True)
    load_items(context, step, database)


def jobs_between(database: Database, first: int, last: int) -> list[Job]:
    """What is to be put back of items ``first`` to ``last``, of a bucket without versions."""
    query = f"SELECT * FROM ({_ROWS}) WHERE n BETWEEN ? AND ? ORDER BY n"  # noqa: S608 - ours
    return [_job(row) for row in database.rows(query, [first, last])]


def large_file(job: Job, local: Local) -> LargeFile:
    """What is sent in parts."""
    return LargeFile(job.n, job.key, job.path, job.size, job.attributes, local.whole)


async def content_verdict(
    bucket: Bucket,
    key: str,
    size: int,
    evidence: Checksum,
    md5: Checksum | None,
    *,
    version: str | None = None,
) -> Verdict:
    """Whether the object under ``key``, or that version of it, has the content of those digests.

    By what S3 offers of it where that can be compared, else by reading it. Raises NoSuchKeyError.
    """
    head = await bucket.head(key, version=version)
    if head.size != size:
        return "mismatched"
    offered = evidence_of(head)
    for local in (evidence, md5):
        if offered is not None and local is not None and offered.kind == local.kind:
            return compare(offered, local)
    sink = HashSink(evidence.kind)
    await bucket.get_to(key, sink, if_match=head.etag, version=version)
    return compare(evidence, sink.checksum())


def _job(row: tuple[Any, ...]) -> Job:
    n, key, path, size, algorithm, value, parts, attributes, tags, grants, *stack = row
    if algorithm is None:
        # A folder marker that was left out has no file and no row: it is empty.
        nothing = EMPTY if not path else None
        return Job(n, key, path, size, nothing, ObjectAttributes(), *stack)
    known = _attributes.decode(attributes)
    if tags is not None:
        known = msgspec.structs.replace(known, tags=_pairs.decode(tags))
    if grants is not None:
        known = msgspec.structs.replace(known, grants=_pairs.decode(grants))
    return Job(n, key, path, size, Checksum(algorithm, value, parts), known, *stack)


def _file_chunks(tree: Tree, path: str) -> Iterator[memoryview]:
    with tree.open_read(path, drop_cache=False) as file:
        yield from file.chunks()
