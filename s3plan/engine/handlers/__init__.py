"""One handler per verb. A handler runs a step's items and reports each through the context.

It raises Interrupted when asked to stop, a S3PlanError when the whole step cannot go on, and
reports single items as problems.
"""

from __future__ import annotations

from typing import assert_never

from s3plan.engine.context import Context
from s3plan.engine.handlers.buckets import create_bucket, delete_bucket
from s3plan.engine.handlers.delete import delete
from s3plan.engine.handlers.download import download
from s3plan.engine.handlers.remove_file import remove_file
from s3plan.engine.handlers.upload import upload
from s3plan.engine.handlers.verify import verify
from s3plan.model.steps import (
    CreateBucket,
    Delete,
    DeleteBucket,
    Download,
    RemoveFile,
    Step,
    Upload,
    Verify,
)


async def run_step(context: Context, step: Step) -> None:
    """Run one step with the handler of its verb."""
    match step.action:
        case Download():
            await download(context, step, step.action)
        case Verify():
            await verify(context, step, step.action)
        case Delete():
            await delete(context, step, step.action)
        case DeleteBucket():
            await delete_bucket(context, step, step.action)
        case CreateBucket():
            await create_bucket(context, step, step.action)
        case Upload():
            await upload(context, step, step.action)
        case RemoveFile():
            await remove_file(context, step, step.action)
        case _:
            assert_never(step.action)


__all__ = ["run_step"]
