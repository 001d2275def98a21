"""Telling commands of the project file how a run ended; what comes of it changes nothing.

They are told before the journal says that the run has ended: a run that is killed in between ends
again, and tells again. Nobody is told of a run that a person interrupts.
"""

from __future__ import annotations

from s3plan.engine.commands import run_project_command
from s3plan.engine.context import Context
from s3plan.errors import CredentialsError
from s3plan.model.events import Warned
from s3plan.model.journal import RunOutcome


async def notify(
    context: Context, outcome: RunOutcome, exit_code: int, message: str, next_step: str
) -> None:
    """Run every command that the plan names for it, and warn of those that do not end well."""
    told = {
        "S3PLAN_OUTCOME": outcome,
        "S3PLAN_EXIT_CODE": str(exit_code),
        "S3PLAN_MESSAGE": message,
        "S3PLAN_NEXT_STEP": next_step,
    }
    for command in context.plan.header.notified:
        try:
            ran = await run_project_command(context, command, environment=told)
        except CredentialsError as error:
            why = str(error)
        else:
            if ran.ok:
                continue
            why = "it did not end well"
        context.observer(Warned(f"the command {command.name} was not told of this run: {why}"))
