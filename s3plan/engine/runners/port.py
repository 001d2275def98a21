"""The port that every runner is behind: what it may be given, and what it promises."""

from __future__ import annotations

from typing import Protocol

from s3plan.engine.context import Context
from s3plan.model.steps import Step


class Runner(Protocol):
    """Runs whole steps, as the handler of their verb would.

    It belongs to one session, and is opened and closed by ``runners.opening``.
    """

    @property
    def name(self) -> str:
        """As people name it."""

    @property
    def address(self) -> str:
        """Where it can be watched; empty for nowhere."""

    def declines(self, context: Context, step: Step) -> str | None:
        """Why it leaves this step to the process itself, as a clause; None where it runs it.

        Sends nothing, and says the same of a step for as long as the session lasts.
        """

    async def run(self, context: Context, step: Step) -> None:
        """Run what of the step is not settled (``state.SETTLED``), and report it to ``context``.

        Every intent is durable before a request that it covers can be sent, by whomever; what was
        sent and not answered for stays unknown, and is settled by looking: here, or when the same
        step is run again. All that is told goes through ``context`` (``intend``, ``receive``,
        ``problem``, the journal); nobody else writes the journal. Items that it cannot do by itself
        may be given to ``handlers.run_step``, which passes by what is settled.

        Raises Interrupted when asked to stop, HeldError where it is gone and everything waits for
        it, another S3PlanError where the whole step cannot go on.
        """
