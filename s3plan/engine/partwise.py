"""An object put together from ranges of another within S3, its upload known to the journal."""

from __future__ import annotations

from collections.abc import Sequence

from s3plan.engine.context import Context
from s3plan.engine.together import together
from s3plan.model.journal import UploadBegan
from s3plan.model.objects import ChecksumAlgorithm
from s3plan.model.steps import Step
from s3plan.store import Bucket, CopyOptions, CopySource, Part, Upload

PARTS = 8
"""Parts of one object in flight."""


async def begin_upload(
    context: Context,
    step: Step,
    n: int,
    place: tuple[Bucket, str],
    options: CopyOptions,
    checksum: ChecksumAlgorithm | None,
) -> Upload:
    """Begin an upload to a bucket and key; its id is durable before its first part is sent.

    Whoever goes on after a kill knows what to complete or to abort.
    """
    bucket, key = place
    upload = await bucket.begin_upload(key, options, checksum)
    record = UploadBegan(step=step.id, n=n, upload=upload.id)
    await context.journal.commit(record)
    context.state.apply(context.journal.seq, record)
    return upload


async def copy_parts(
    context: Context, upload: Upload, source: CopySource, sizes: Sequence[int]
) -> list[Part]:
    """Copy the source into parts of these sizes, which are all of it.

    Raises Interrupted where the run is to stop, `PreconditionFailedError` where the source is
    another one by now. When it returns or raises, no part is under way any more.
    """
    starts = [0]
    for size in sizes:
        starts.append(starts[-1] + size)
    numbers = iter(range(len(sizes)))
    parts: dict[int, Part] = {}

    async def work() -> None:
        for index in numbers:
            context.check_stop()
            last = starts[index + 1] - 1
            parts[index] = await upload.copy_part(index + 1, source, starts[index], last)

    # Before the upload is abandoned no part of it may still be under way.
    await together(work() for _ in range(PARTS))
    return [parts[index] for index in sorted(parts)]
