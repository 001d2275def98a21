"""``abort-uploads``: multipart uploads that nobody finished, each only if it did not grow since."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice

from s3plan.engine.context import Context
from s3plan.engine.state import SETTLED
from s3plan.errors import StoreError
from s3plan.model.steps import AbortUploads, Item, Step
from s3plan.store import IncompleteUpload

BATCH = 200
"""Uploads that one intent covers."""

REQUESTS = 16
"""Uploads under way at once."""


async def abort_uploads(context: Context, step: Step, action: AbortUploads) -> None:
    """Run an abort-uploads step whose gate is open.

    An upload that is gone was aborted, or completed, which the bucket's deletion will find.
    """
    bucket = context.bucket(step)
    state = context.step_state(step)
    gate = asyncio.Semaphore(REQUESTS)

    async def abort(item: Item) -> None:
        async with gate:
            if context.stopping:
                return
            context.began(step, item.n, item.key)
            assert item.upload_id is not None
            upload = IncompleteUpload(item.key, item.upload_id, item.modified)
            try:
                found = await bucket.activity(upload)
                if found is not None and (found.bytes, found.latest) != (item.size, item.modified):
                    context.problem(
                        step, item.n, item.key, "", "drifted", "upload-grew",
                        f"the upload of {item.key} was gone on with after the plan; it was not"
                        " aborted",
                        "s3plan plan again, and review what changed",
                    )  # fmt: skip
                    return
                if found is not None:
                    await bucket.abort(upload)
            except StoreError as error:
                context.problem(step, item.n, item.key, "", "failed", error.code, str(error))
                return
            context.receive(step, "done", [item.n], item.size, [item.key])

    items: Iterator[Item] = (
        item for item in context.plan.items(step.id) if state.of(item.n) not in SETTLED
    )
    while batch := list(islice(items, BATCH)):
        context.check_stop()
        await context.intend(step, batch[0].n, batch[-1].n)
        await asyncio.gather(*map(abort, batch))
    context.check_stop()
