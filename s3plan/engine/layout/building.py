"""A form built at a key where nothing is: copied within S3, piece by piece as its parts are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from s3plan.engine.context import Context
from s3plan.engine.partwise import begin_upload, copy_parts
from s3plan.errors import (
    NoSuchKeyError,
    OutcomeUnknownError,
    PreconditionFailedError,
    StoreError,
)
from s3plan.model.objects import ChecksumAlgorithm
from s3plan.model.steps import Step
from s3plan.rules.integrity import FALLBACK
from s3plan.rules.parts import cut
from s3plan.store import LARGEST_COPY, Bucket, CopyOptions, CopySource, part_size


class Builder:
    """Builds the shadow objects of one step. What is at a shadow key already is not touched.

    It was made of the same source for the same target (that is what the key says), and whether it
    is right its verification tells.
    """

    def __init__(self, context: Context, step: Step, bucket: Bucket) -> None:
        self._context = context
        self._step = step
        self._bucket = bucket
        known = context.capabilities
        self.guarded = known.holds("copy-if-none-match")
        # Sent also where it is not known to be honoured, unless requests that carry it fail.
        self.conditional = known.get("copy-if-none-match").standing != "refused"

    async def build(
        self,
        n: int,
        key: str,
        source: CopySource,
        size: int,
        parts: Sequence[int],
        options: CopyOptions,
        checksum: ChecksumAlgorithm | None,
    ) -> None:
        """Make the object; ``parts`` empty is one piece, as far as one copy can be that large.

        Raises PreconditionFailedError or NoSuchKeyError where the source is not this any more.
        """
        if not self.guarded and await self.is_there(key):
            return
        try:
            if parts or size > LARGEST_COPY:
                sizes = parts or cut(size, part_size(size))
                await self._in_parts(n, key, source, sizes, options, checksum)
            else:
                await self._bucket.copy(
                    key,
                    source,
                    options,
                    if_none_match=self.conditional,
                    repeatable=self.conditional and self.guarded,
                )
        except (PreconditionFailedError, OutcomeUnknownError):
            # Made by an earlier attempt of ours, or the source is another: looking tells.
            if not await self.is_there(key):
                raise

    async def _in_parts(
        self,
        n: int,
        key: str,
        source: CopySource,
        sizes: Sequence[int],
        options: CopyOptions,
        checksum: ChecksumAlgorithm | None,
    ) -> None:
        upload = await begin_upload(
            self._context, self._step, n, (self._bucket, key), options, checksum or FALLBACK[0]
        )
        try:
            parts = await copy_parts(self._context, upload, source, sizes)
            await upload.complete(parts, if_none_match=self.conditional)
        except OutcomeUnknownError:
            raise  # it may be complete: looking tells, and abandoning it comes with trying again
        except BaseException:
            with suppress(StoreError):  # the record of it stays: trying again aborts it first
                await upload.abort()
            raise

    async def is_there(self, key: str) -> bool:
        try:
            await self._bucket.head(key)
        except NoSuchKeyError:
            return False
        return True


async def abandon(context: Context, step: Step, n: int, bucket: Bucket, *keys: str) -> None:
    """Abort the upload that an earlier session began for an item, at whichever key, and did not
    complete.
    """
    begun = context.state.uploads.pop((step.id, n), None)
    if begun is not None:
        for key in keys:
            await bucket.upload(key, begun).abort()
