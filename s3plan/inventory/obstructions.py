"""What stands in the way of deleting: versions under Object Lock, uploads that nobody finished."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from s3plan.errors import AccessDeniedError, NoSuchKeyError, NotSupportedError
from s3plan.model.events import AnyEvent, Scanning
from s3plan.model.objects import ObjectHead
from s3plan.store import Bucket, IncompleteUpload
from s3plan.tables import LOCKS, UPLOADS, Database

REQUESTS = 32
"""Requests in flight."""

_VERSIONS = """
    SELECT key, version_id, size FROM listing WHERE bucket = ? AND NOT marker ORDER BY key"""


async def observe_uploads(bucket: Bucket, database: Database) -> bool:
    """Fill ``uploads`` with the incomplete multipart uploads of ``bucket``.

    False where the caller may not list them, or the endpoint cannot. An upload that was begun long
    ago may still grow, so that the parts of each are looked at.
    """
    gate = asyncio.Semaphore(REQUESTS)

    async def looked_at(upload: IncompleteUpload) -> tuple[str | None, int | None]:
        async with gate:
            try:
                found = await bucket.activity(upload)
            except AccessDeniedError:
                return None, None
            return (found.latest, found.bytes) if found else (upload.initiated, 0)

    try:
        uploads = [upload async for upload in bucket.uploads()]
    except (AccessDeniedError, NotSupportedError):
        return False
    if uploads:
        activities = await asyncio.gather(*map(looked_at, uploads))
        database.append(
            UPLOADS,
            {
                "key": [upload.key for upload in uploads],
                "upload_id": [upload.upload_id for upload in uploads],
                "initiated": [upload.initiated for upload in uploads],
                "latest": [latest for latest, _ in activities],
                "size": [size for _, size in activities],
            },
            {"bucket": bucket.name},
        )
    return True


async def observe_locks(
    bucket: Bucket, database: Database, now: datetime, observer: Callable[[AnyEvent], None]
) -> None:
    """Fill ``locks`` for the listed versions of a bucket with Object Lock: a HEAD of each.

    The headers come only to who may read them, so that is asked first: raises AccessDeniedError
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html).
    """
    gate = asyncio.Semaphore(REQUESTS)
    rows = database.batches(_VERSIONS, [bucket.name])
    subject = f"the locks of {bucket.name}"
    looked = volume = 0

    async def lock_of(key: str, version: str) -> str | None:
        async with gate:
            try:
                return _lock(await bucket.head(key, version=version), now)
            except NoSuchKeyError:
                return None  # gone since the listing; the deletion says so

    while batch := await asyncio.to_thread(next, rows, None):
        if not looked:
            await bucket.prove_locks_readable(batch[0][0], batch[0][1])
        locks = await asyncio.gather(*[lock_of(key, version) for key, version, _ in batch])
        held = [(*row[:2], lock) for row, lock in zip(batch, locks, strict=True) if lock]
        if held:
            names = ("key", "version_id", "lock")
            columns = dict(zip(names, zip(*held, strict=True), strict=True))
            database.append(LOCKS, columns, {"bucket": bucket.name})
        looked += len(batch)
        volume += sum(size for _, _, size in batch)
        observer(Scanning(subject, looked, volume))
    if looked:
        observer(Scanning(subject, looked, volume, finished=True))


def _lock(head: ObjectHead, now: datetime) -> str | None:
    """What keeps a version from being deleted at ``now``, in words."""
    told = []
    until = head.retain_until
    if until is not None and datetime.fromisoformat(until) > now:
        told.append(f"{head.lock_mode or 'retention'} until {until}")
    if head.legal_hold:
        told.append("legal hold")
    return ", ".join(told) or None
