"""``local``: this process sends every request itself."""

from __future__ import annotations

from s3plan.engine.context import Context
from s3plan.engine.handlers import run_step
from s3plan.model.steps import Step


class Local:
    """The runner that carries everything."""

    name = "local"
    address = ""

    def declines(self, context: Context, step: Step) -> str | None:
        """Nothing."""
        return None

    async def run(self, context: Context, step: Step) -> None:
        """Run the handler of the step's verb."""
        await run_step(context, step)
