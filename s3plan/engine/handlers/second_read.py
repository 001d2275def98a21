"""The last rung of the ladder: an object is read a second time, and must have the same digest.

For content that nothing in S3 can be compared with, right before a deletion depends on it. The
first read made the local file and its digest; this one is independent of it, and only hashed. The
file itself is read back from disk by the verification that follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from s3plan.engine.context import Context, Destination
from s3plan.errors import ArchivedObjectError, PreconditionFailedError
from s3plan.model.local import CatalogueVerdict
from s3plan.model.objects import Checksum, Verdict
from s3plan.model.steps import Step
from s3plan.rules.integrity import compare
from s3plan.rules.versioning import same_entry
from s3plan.store import Bucket, HashSink
from s3plan.tables import Database

AT_ONCE = 8
"""Objects read at once, each in a thread of its own."""

BATCH = 500
"""Objects whose findings are recorded together."""

ATTEMPTS = 2
"""Reads that differ from the first before the content is called mismatched."""

# What was compared with an ETag of parts, and differed, stays as it is: reading the same twice does
# not explain the difference away.
_WANTED = """
    SELECT i.n, i.key, i.size, i.etag, i.version_id, i.history, c.algorithm, c.value, c.parts
    FROM items i JOIN catalogue c ON {same}
    WHERE c.verdict = 'unverifiable' AND c.rung = 'size' AND i.n > ? ORDER BY i.n LIMIT ?"""

_SETTLED = """
    UPDATE catalogue SET verdict = ?, rung = 'second-read'
    WHERE (key, coalesce(history, '')) IN (SELECT unnest(?::VARCHAR[]), unnest(?::VARCHAR[]))"""


class _Read(Struct, frozen=True):
    """What a second read found of a key; ``digest`` is the value of the catalogue's evidence.

    ``history`` is the id of a noncurrent version, None where it is the key's object.
    """

    key: str
    history: str | None
    digest: str
    verdict: Verdict


async def read_again(
    context: Context,
    step: Step,
    database: Database,
    destination: Destination,
    *,
    versions: bool,
) -> None:
    """Read every object of the worklist again that offered nothing to compare with.

    Equal reads are recorded in the catalogue; others are mismatched in ``database``, and will be
    tried again by the next verification. Raises StoreError where an object cannot be read.
    """
    await context.catalogue(destination, step.subject)
    bucket = context.bucket(step)
    gate = asyncio.Semaphore(AT_ONCE)

    async def read(row: Sequence[Any]) -> _Read:
        async with gate:
            context.check_stop()
            try:
                return await _read(bucket, row)
            except ArchivedObjectError:
                # Its temporary copy has expired: it stays what it was, of which a person decides.
                return _Read(row[1], row[5], "", "unverifiable")

    last = -1
    query = _WANTED.format(same=same_entry("i", "c", versions=versions))
    while rows := await context.in_thread(_next, database, query, last):
        found = await asyncio.gather(*map(read, rows))
        equal = [one for one in found if one.verdict == "verified"]
        records = [
            CatalogueVerdict(
                one.key, one.digest, "verified", "second-read", context.run.id, one.history
            )
            for one in equal
        ]
        await context.in_thread(destination.record, step.subject, records)
        for verdict in ("verified", "mismatched"):
            told = [one for one in found if one.verdict == verdict]
            names = [one.key for one in told], [one.history or "" for one in told]
            await context.in_thread(database.execute, _SETTLED, [verdict, *names])
        last = rows[-1][0]


def _next(database: Database, query: str, last: int) -> list[Sequence[Any]]:
    return list(database.rows(query, [last, BATCH]))


async def _read(bucket: Bucket, row: Sequence[Any]) -> _Read:
    _, key, size, etag, version, history, *recorded = row
    first = Checksum(*recorded)
    verdict: Verdict = "mismatched"
    for _ in range(ATTEMPTS):
        sink = HashSink(first.kind)
        head = await bucket.get_to(key, sink, if_match=etag, version=version)
        if (head.size, head.etag) != (size, etag):
            # An endpoint that ignores If-Match on GET; the listing saw the planned one just now.
            raise PreconditionFailedError(
                "the object was changed while it was read a second time",
                address=f"s3://{bucket.name}/{key}",
                next_step="s3plan plan again, and review what changed",
            )
        verdict = compare(first, sink.checksum())
        if verdict == "verified":
            break
    return _Read(key, history, first.value, verdict)
