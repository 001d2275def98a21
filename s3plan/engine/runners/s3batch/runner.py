"""The runner: which steps it carries, and what it gives them to."""

from __future__ import annotations

from s3plan.engine.context import Context
from s3plan.engine.runners.s3batch.copies import CopierByJobs
from s3plan.engine.runners.s3batch.restores import RestorerByJobs
from s3plan.model.steps import Copy, Restore, Step
from s3plan.rules.handover.terms import declined


class S3Batch:
    """S3 Batch Operations. What it cannot do of a step this process does."""

    name = "s3-batch"
    address = ""

    def declines(self, context: Context, step: Step) -> str | None:
        """Steps that are not for the service, or not under the terms of the connection."""
        if context.plan.header.rollback_of:
            return "what is taken back is taken back here"
        header = context.plan.header
        return declined(header.connection, header.target.endpoint, step)

    async def run(self, context: Context, step: Step) -> None:
        """See :class:`s3plan.engine.runners.port.Runner`."""
        told = context.plan.header.connection.batch
        assert told is not None
        match step.action:
            case Copy() as action:
                await CopierByJobs(context, step, action, told.least_objects).run()
            case Restore() as action:
                await RestorerByJobs(context, step, action, told.least_objects).run()
            case _:
                raise AssertionError(step.verb)  # declined
        context.check_stop()
