"""``run-command``: a command of the project file as a gate; the run goes on if it ends well.

After a kill it runs again, from its beginning: such a command repeats harmlessly, or says so itself
by its exit code.
"""

from __future__ import annotations

from s3plan.engine.commands import run_project_command
from s3plan.engine.context import Context
from s3plan.errors import HeldError
from s3plan.model.journal import CommandRan
from s3plan.model.steps import RunCommand, Step

LAST_LINE = 200
"""Characters of what a command wrote last that an error tells."""


async def run_command(context: Context, step: Step, action: RunCommand) -> None:
    """Run a run-command step. Raises HeldError unless the command ends with exit code 0."""
    await context.intend_whole(step)
    ran = await run_project_command(
        context, action.command, step=step, environment=action.environment
    )
    if not ran.ok:
        raise HeldError(
            f"the command {ran.command} did not pass",
            address=f"s3plan.yaml, commands.{ran.command}",
            expected="exit code 0",
            found=how_it_ended(ran),
        )
    context.receive(step, "done", (0,), 0, ())


def how_it_ended(ran: CommandRan) -> str:
    """The exit code, and what s3plan did about it or what the command said last."""
    code = "it was not started" if ran.exit_code is None else f"exit code {ran.exit_code}"
    lines = ran.output.split("\n")
    said = ran.problem or next((line for line in reversed(lines) if line.strip()), "")
    return f"{code}: {said[:LAST_LINE]}" if said else code
