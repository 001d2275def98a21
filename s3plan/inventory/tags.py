"""Tags of a sample of a bucket's objects: a listing does not tell them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from s3plan.errors import AccessDeniedError, NoSuchKeyError, NotSupportedError
from s3plan.store import Bucket
from s3plan.tables import Database

SAMPLED = """
    SELECT key, size, storage_class FROM listing
    WHERE bucket = ? ORDER BY hash(key), key LIMIT ?
"""
"""By a hash of the key: the same sample each time, and keys of every prefix."""


async def sampled_tags(
    bucket: Bucket, database: Database, most: int
) -> Mapping[str, Mapping[str, str]] | None:
    """Tags by key of at most ``most`` listed objects, a request each; all of them in small buckets.

    None where the caller may not read tags, or the endpoint has none.
    """
    keys = [key for key, _, _ in database.rows(SAMPLED, [bucket.name, most])] if most else []

    async def tags(key: str) -> dict[str, str] | None:
        try:
            return await bucket.tags(key)
        except NoSuchKeyError:
            return None  # gone since the listing

    try:
        found = await asyncio.gather(*map(tags, keys))
    except (AccessDeniedError, NotSupportedError):
        return None
    return {key: one for key, one in zip(keys, found, strict=True) if one is not None}
