"""``delete-bucket`` and ``create-bucket``: the bucket itself, gone or back."""

from __future__ import annotations

import asyncio

from s3plan.engine.context import Context
from s3plan.errors import (
    EndpointError,
    HeldError,
    NoSuchBucketError,
    OutcomeUnknownError,
    StoreError,
)
from s3plan.model.local import CatalogueBucket
from s3plan.model.steps import CreateBucket, DeleteBucket, Step

PATIENCE = 60
"""Seconds to wait until HeadBucket agrees with what was answered."""


async def delete_bucket(context: Context, step: Step, action: DeleteBucket) -> None:
    """Delete the empty bucket; done only once HeadBucket says 404.

    Raises HeldError when something is in it: that is not ours to delete.
    """
    bucket = context.bucket(step)
    if await bucket.exists():
        async for page in bucket.pages(max_keys=1):
            if page.keys:
                raise HeldError(
                    f"bucket {step.subject} is not empty, so it was not deleted",
                    address=f"s3://{step.subject}",
                    expected="no objects",
                    found=f"at least {page.keys[0]}",
                    next_step="s3plan plan again: objects appeared after the plan was made",
                )
            break
        await context.intend(step, 0, 0)
        try:
            await asyncio.to_thread(context.store.control.delete_bucket, step.subject)
        except NoSuchBucketError:
            pass  # an earlier attempt of ours did it, and its answer was lost
        except (EndpointError, OutcomeUnknownError):
            if await bucket.exists():
                raise
        await _until(context, step, exists=False)
    await _record(context, step, action.destination, "deleted")


async def create_bucket(context: Context, step: Step, action: CreateBucket) -> None:
    """Create the bucket where it was, unless a session before this one did."""
    bucket = context.bucket(step)
    if not await bucket.exists():
        await context.intend(step, 0, 0)
        control = context.store.control
        try:
            await asyncio.to_thread(control.create_bucket, step.subject, action.region)
        except StoreError:
            # It was not there a moment ago: an attempt of ours did it, and its answer was lost.
            if not await bucket.exists():
                raise
        await _until(context, step, exists=True)
    await _record(context, step, action.destination, "restored")


async def _until(context: Context, step: Step, *, exists: bool) -> None:
    bucket = context.bucket(step)
    for _ in range(PATIENCE):
        if await bucket.exists() is exists:
            return
        await asyncio.sleep(1)
    raise StoreError(
        f"bucket {step.subject} {'is not there' if exists else 'is still there'} "
        f"{PATIENCE} seconds after S3 agreed to {'create' if exists else 'delete'} it",
        address=f"s3://{step.subject}",
        next_step=f"wait, then {context.retry_command()}",
    )


async def _record(context: Context, step: Step, path: str, state: str) -> None:
    destination = context.destination(path)
    await context.catalogue(destination, step.subject)
    record = CatalogueBucket(state=state, run=context.run.id, time=context.now())
    await context.in_thread(destination.record, step.subject, [record])
    await context.sync()
