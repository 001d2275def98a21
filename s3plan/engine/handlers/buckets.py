"""``delete-bucket`` and ``create-bucket``: the bucket itself, gone or back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from s3plan.engine.context import Context
from s3plan.engine.saving import check_as_saved
from s3plan.errors import (
    AccessDeniedError,
    EndpointError,
    HeldError,
    NameTakenError,
    NoSuchBucketError,
    NotSupportedError,
    OutcomeUnknownError,
    StoreError,
)
from s3plan.model.events import Warned
from s3plan.model.local import CatalogueBucket
from s3plan.model.steps import CreateBucket, DeleteBucket, Step
from s3plan.store import Bucket

PATIENCE = 60
"""Seconds to wait until HeadBucket agrees with what was answered."""

FIRST_PAUSE = 5.0
"""Seconds until a bucket that S3 is still deleting is created again for the second time."""

LONGEST_PAUSE = 300.0
"""Seconds between later attempts, at most."""

LONGEST_WAIT = 7 * 86_400.0
"""Seconds after which nobody waits any longer."""


async def delete_bucket(context: Context, step: Step, action: DeleteBucket) -> None:
    """Delete the empty bucket; done only once HeadBucket says 404.

    Raises HeldError when something is in it: that is not ours to delete. Without a gate it is a
    bucket that the run which is taken back had made, so nothing of it was saved.
    """
    bucket = context.bucket(step)
    if await bucket.exists():
        found = await _something_in(bucket, versions=bool(action.versions))
        if found is not None:
            raise HeldError(
                f"bucket {step.subject} is not empty, so it was not deleted",
                address=f"s3://{step.subject}",
                expected="no objects",
                found=f"at least {found}",
                next_step="s3plan plan again: objects appeared after the plan was made"
                if step.gate is not None
                else "it was left alone; empty it yourself if it shall go",
            )
        await _hold_for_uploads(bucket)
        try:
            if step.gate is not None:
                await check_as_saved(context, step)
            await context.intend(step, 0, 0)
            await asyncio.to_thread(context.store.control.delete_bucket, step.subject)
        except NoSuchBucketError:
            pass  # an earlier attempt of ours did it, and its answer was lost
        except (EndpointError, OutcomeUnknownError):
            if await bucket.exists():
                raise
        await _until(context, step, exists=False)
    if action.destination:
        await _record(context, step, action.destination, "deleted")


async def _something_in(bucket: Bucket, *, versions: bool) -> str | None:
    """The first thing that a bucket holds, None where it is empty."""
    if versions:
        async for entries in bucket.version_pages(max_keys=1):
            what = "delete marker" if entries.markers[0] else "version"
            return f"{entries.keys[0]} ({what} {entries.version_ids[0]})"
        return None
    async for page in bucket.pages(max_keys=1):
        return page.keys[0]
    return None


async def _hold_for_uploads(bucket: Bucket) -> None:
    """Raise HeldError while somebody uploads in parts: S3 would delete the bucket with them in it.

    Who may not list them was told so by the plan.
    """
    try:
        async for upload in bucket.uploads():
            raise HeldError(
                f"a multipart upload to bucket {bucket.name} is not finished, so the bucket was not"
                " deleted",
                address=f"s3://{bucket.name}/{upload.key}",
                expected="no incomplete multipart uploads",
                found=f"one that was begun {upload.initiated}",
                next_step="wait until it is completed or abort it; then s3plan plan again",
            )
    except (AccessDeniedError, NotSupportedError):
        return


async def create_bucket(context: Context, step: Step, action: CreateBucket) -> None:
    """Create the bucket where it was, unless a session before this one did.

    Raises NameTakenError where the name is another account's by now.
    """
    if not await _is_ours(context, step):
        await context.intend(step, 0, 0)
        # Also in this session: documents are put only on a bucket that this run made.
        context.step_state(step).intend(0, 0)
        await _create(context, step, action)
        await _until(context, step, exists=True)
    if action.destination:
        await _record(context, step, action.destination, "restored")


async def _create(context: Context, step: Step, action: CreateBucket) -> None:
    """CreateBucket, for days if need be: a name is not free at once after its deletion.

    OperationAborted is what S3 answers meanwhile
    (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
    """
    control = context.store.control
    for pause in _pauses():
        context.check_held()
        try:
            await asyncio.to_thread(
                control.create_bucket,
                step.subject,
                action.region,
                object_lock=action.object_lock is True,
            )
        except StoreError as error:
            if error.s3_code == "BucketAlreadyExists":
                raise _taken(step, error) from error
            if error.s3_code == "OperationAborted" and pause is not None:
                await _wait(context, step, pause)
                continue
            # It was not there a moment ago: an attempt of ours did it, and its answer was lost.
            if not await _is_ours(context, step):
                raise
        return


async def _is_ours(context: Context, step: Step) -> bool:
    """Whether the bucket is there. Raises NameTakenError where it is, and not the caller's."""
    try:
        return await context.bucket(step).exists()
    except AccessDeniedError as error:
        raise _taken(step, error) from error


def _taken(step: Step, error: StoreError) -> NameTakenError:
    return NameTakenError(
        f"the name {step.subject} was taken by another account",
        address=f"s3://{step.subject}",
        expected="a free name, or a bucket of this account",
        found=error.found or error.what,
        next_step="make another bucket and upload the copies there; they are kept where they are",
    )


def _pauses() -> Iterator[float | None]:
    """Seconds between attempts, longer and longer; None is the last attempt."""
    waited, pause = 0.0, FIRST_PAUSE
    while waited < LONGEST_WAIT:
        yield pause
        waited += pause
        pause = min(2 * pause, LONGEST_PAUSE)
    yield None


async def _wait(context: Context, step: Step, pause: float) -> None:
    """Wait; Ctrl-C ends it, and the same command goes on."""
    context.observer(
        Warned(
            f"S3 still works on the deletion of {step.subject}; creating it is tried again in "
            f"{pause:.0f} seconds (Ctrl-C stops, the same command goes on)"
        )
    )
    until = time.monotonic() + pause
    while (left := until - time.monotonic()) > 0:
        context.check_stop()
        await asyncio.sleep(min(left, 0.5))


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
