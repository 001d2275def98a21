"""Which objects of INTELLIGENT_TIERING lie in an archive tier: a HEAD of each, and of no others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from s3plan.errors import NoSuchKeyError
from s3plan.model.events import AnyEvent, Scanning
from s3plan.rules.classes import TIERED_CLASS
from s3plan.store import Bucket
from s3plan.tables import ARCHIVE_TIERS, Database

HEADS = 32
"""HEAD requests in flight."""

_TIERED = """
    SELECT key, history, size FROM listing WHERE bucket = ? AND storage_class = ? ORDER BY key"""


async def observe_archive_tiers(
    bucket: Bucket, database: Database, observer: Callable[[AnyEvent], None]
) -> None:
    """Fill ``archive_tiers`` for the listed objects of ``bucket``.

    A listing gives the class alone; x-amz-archive-status of HeadObject gives the tier
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html).
    """
    gate = asyncio.Semaphore(HEADS)

    async def tier_of(key: str, version: str | None) -> str | None:
        async with gate:
            try:
                return (await bucket.head(key, version=version)).archive_status
            except NoSuchKeyError:
                return None  # gone since the listing; the download says so

    rows = database.batches(_TIERED, [bucket.name, TIERED_CLASS])
    looked = volume = 0
    while batch := await asyncio.to_thread(next, rows, None):
        tiers = await asyncio.gather(*[tier_of(key, version) for key, version, _ in batch])
        archived = [
            (key, version, tier)
            for (key, version, _), tier in zip(batch, tiers, strict=True)
            if tier is not None
        ]
        if archived:
            names = ("key", "history", "tier")
            columns = dict(zip(names, map(list, zip(*archived, strict=True)), strict=True))
            database.append(ARCHIVE_TIERS, columns, {"bucket": bucket.name})
        looked += len(batch)
        volume += sum(size for *_, size in batch)
        observer(Scanning(f"the archive tiers of {bucket.name}", looked, volume))
    if looked:
        subject = f"the archive tiers of {bucket.name}"
        observer(Scanning(subject, looked, volume, finished=True))
