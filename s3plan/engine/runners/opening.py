"""The runners of one session: opened before its first step, asked step by step, closed after it."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import assert_never

from s3plan.engine.context import Context
from s3plan.engine.runners.local import Local
from s3plan.engine.runners.port import Runner
from s3plan.engine.runners.s3batch.ending import open_jobs
from s3plan.errors import UsageError
from s3plan.model.events import RunnerReady
from s3plan.model.runners import RunnerChoice, RunnerName
from s3plan.model.steps import Step

DASK = "distributed"
"""The distribution that the Dask runner needs, and that ``s3plan[dask]`` brings."""

LOCAL = Local()


class Runners:
    """Which runner each step goes to."""

    def __init__(self, choice: RunnerChoice, opened: Mapping[RunnerName, Runner]) -> None:
        self._choice = choice
        self._opened = opened

    def of(self, context: Context, step: Step) -> Runner:
        """The runner that was chosen for the step's verb; this process, where that declines it.

        A step whose job may still be running stays with the service until it is not.
        """
        if open_jobs(context.state, step.id):
            return self._opened["s3-batch"]
        chosen = self._opened[self._choice.of(step.verb)]
        return chosen if chosen.declines(context, step) is None else LOCAL

    async def run(self, context: Context, step: Step) -> None:
        """Run a step, as its runner's port promises."""
        await self.of(context, step).run(context, step)


def check_installed(choice: RunnerChoice) -> None:
    """Raise UsageError where a runner needs what is not installed. Imports nothing."""
    if choice.outlives and importlib.util.find_spec(DASK) is None:
        raise UsageError(
            "the runner dask is not installed",
            next_step="pip install 's3plan[dask]', here and on the workers",
        )


@asynccontextmanager
async def opened(context: Context, choice: RunnerChoice) -> AsyncIterator[Runners]:
    """The runners that the plan's steps need. Says of each but this process what it carries.

    Raises what opening one raises, before anything is sent.
    """
    async with AsyncExitStack() as stack:
        steps: dict[RunnerName, list[Step]] = {}
        for step in context.plan.steps:
            steps.setdefault(choice.of(step.verb), []).append(step)
        running = {job.step for job in open_jobs(context.state)}
        for step in context.plan.steps:
            if step.id in running and choice.of(step.verb) != "s3-batch":
                steps.setdefault("s3-batch", []).append(step)
        runners = {name: await _open(name, context, choice, stack) for name in steps}
        for name, runner in runners.items():
            if runner is not LOCAL:
                context.observer(_told(context, runner, steps[name]))
        yield Runners(choice, runners)


async def _open(
    name: RunnerName, context: Context, choice: RunnerChoice, stack: AsyncExitStack
) -> Runner:
    match name:
        case "local":
            return LOCAL
        case "s3-batch":
            # A run imports the runner that it has.
            from s3plan.engine.runners.s3batch.runner import S3Batch  # noqa: PLC0415

            return S3Batch()
        case "dask":
            # Half a second, which only those who asked for it should wait.
            from s3plan.engine.runners.dask.runner import dask_runner  # noqa: PLC0415

            return await stack.enter_async_context(dask_runner(context, choice.dask))
        case _:
            assert_never(name)


def _told(context: Context, runner: Runner, steps: list[Step]) -> RunnerReady:
    carried: list[str] = []
    here: dict[str, str] = {}
    for step in steps:
        why = runner.declines(context, step)
        if why is None:
            carried.append(step.verb)
        else:
            here.setdefault(step.verb, why)
    return RunnerReady(runner.name, tuple(dict.fromkeys(carried)), here, runner.address)
