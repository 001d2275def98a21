"""Whether objects have annotations, as far as a sample tells.

Neither a listing nor HEAD tells (https://docs.aws.amazon.com/AmazonS3/latest/API/
API_ListObjectAnnotations.html): each object is a request. So a few are asked before a plan, and all
of them at the verification only where one of those few has any.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from s3plan.errors import AccessDeniedError, NoSuchKeyError


class Annotated(Struct, frozen=True):
    """What a sample showed: how many objects were asked, and the keys of those that have some.

    ``refused`` tells that the caller may not list annotations at all.
    """

    looked_at: int
    keys: tuple[str, ...] = ()
    refused: bool = False


class HasAnnotations(Protocol):
    """As much of a bucket as the sample needs."""

    async def annotations(self, key: str) -> tuple[str, ...]: ...


async def sample_annotations(bucket: HasAnnotations, keys: Sequence[str]) -> Annotated:
    """Ask the objects of a sample. Any other `StoreError` than a refusal passes through."""

    async def has_any(key: str) -> bool:
        try:
            return bool(await bucket.annotations(key))
        except NoSuchKeyError:
            return False  # gone since the listing

    try:
        found = await asyncio.gather(*map(has_any, keys))
    except AccessDeniedError:
        return Annotated(0, refused=True)
    return Annotated(len(keys), tuple(key for key, has in zip(keys, found, strict=True) if has))
