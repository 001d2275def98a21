"""Whether the sources of earlier runs may go: their soak over, their last check green, signed.

Looked at when the step comes to its gate and again before the first request, so that a check that
finds something meanwhile holds it.
"""

from __future__ import annotations

from s3plan.engine.context import Context
from s3plan.engine.copied import earlier_run
from s3plan.engine.soak.record import standing
from s3plan.errors import HeldError, StaleError
from s3plan.model.steps import DeleteSource
from s3plan.plan.reading import PlanFile
from s3plan.rules.soak import obstacles


def soak_obstacles(context: Context, action: DeleteSource) -> tuple[str, ...]:
    """Why the sources may not be deleted now; none where they may. Raises JournalError."""
    found: dict[str, None] = {}
    for name in dict.fromkeys(one.run for one in action.earlier):
        run = earlier_run(context.run, name)
        try:
            soak = standing(run, PlanFile.open(run.plan), run.state())
        except StaleError as error:
            found[str(error)] = None
            continue
        found |= dict.fromkeys(obstacles(soak, action.terms, context.clock()))
    return tuple(found)


def check_soak(context: Context, action: DeleteSource, subject: str) -> None:
    """Raise HeldError unless the sources may go."""
    found = soak_obstacles(context, action)
    if found:
        raise HeldError(
            "the sources may not be deleted yet",
            address=f"s3://{subject}",
            found="; ".join(found),
            next_step=context.retry_command(),
        )
