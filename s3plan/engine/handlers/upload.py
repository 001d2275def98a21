"""``upload``: what a run deleted is put back, object by object or version on top of version."""

from __future__ import annotations

from s3plan.engine.context import Context
from s3plan.engine.handlers.putting import Uploader
from s3plan.engine.handlers.stacking import Stacker
from s3plan.model.steps import Step, Upload


async def upload(context: Context, step: Step, action: Upload) -> None:
    """Run an upload step."""
    uploader = Stacker if action.versions else Uploader
    await uploader(context, step, context.destination(action.destination)).run()
    context.check_stop()
