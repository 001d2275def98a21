"""What a handler is given on a worker: a partition in place of the plan, a recorder as journal."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from s3plan.engine.context import Context, Destination
from s3plan.engine.handlers import ask_for, places_in_use, run_items
from s3plan.engine.runners.dask.parcels import Partition
from s3plan.engine.runners.dask.permits import Permit, Running
from s3plan.engine.runners.dask.recording import Recorder
from s3plan.engine.runners.dask.shared import open_shared
from s3plan.engine.runs import Run
from s3plan.engine.state import RunState, StepState
from s3plan.errors import StaleError
from s3plan.model.steps import Item, Restore
from s3plan.plan.reading import PlanFile
from s3plan.store import Store


@dataclass(frozen=True, slots=True)
class _Part(PlanFile):
    """As much of a plan as a partition tells: one step, and its items from there."""

    given: tuple[Item, ...] = ()

    def items(self, step: str, start: int = 0) -> Iterator[Item]:
        """The items of the partition."""
        return iter(self.given[start:])


class _WorkerContext(Context):
    """The context of one partition."""

    def __init__(
        self, part: Partition, permit: Permit, recorder: Recorder, store: Store, scratch: Path
    ) -> None:
        super().__init__(
            run=Run(Path(part.started.run)),
            plan=_Part(
                Path(), part.header, (part.step,), part.digest, {}, (0,) * 4, given=part.items
            ),
            state=_state(part),
            journal=recorder,
            store=store,
            observer=recorder.hear,
            clock=lambda: datetime.now(UTC),
            scratch=scratch,
            guard=permit,
        )
        self.capabilities = part.capabilities
        self.records = part.records
        for step, made in part.records.made.items():
            self.handed_on[step] = {facts.n: facts for facts in made}
        self._part = part
        self._recorder = recorder

    def retry_command(self) -> str:
        """As a person types it where the run is."""
        return self._part.retry

    def destination(self, path: str) -> Destination:
        """The shared tree. Raises DestinationError where this worker finds another one."""
        if path not in self._destinations:
            part = self._part
            self._destinations[path] = open_shared(path, part.session, part.token, self._recorder)
        return self._destinations[path]

    async def catalogue(self, destination: Destination, bucket: str) -> None:
        """Nothing: its rows go back to the process that has the run."""

    async def sync(self) -> None:
        """Make what was written durable, and only then hand out what was told of it."""
        told = self._recorder.seq
        for destination in self.destinations():
            await self.in_thread(destination.syncer.sync)
        self._recorder.release(told)


def _state(part: Partition) -> RunState:
    state = RunState()
    state.header = part.started
    step = StepState()
    step.items = bytearray(part.states)
    step.taken = bytearray(part.taken)
    step.started = True
    state.steps[part.step.id] = step
    if part.gate is not None:
        state.gates[part.gate.step] = part.gate
        state.approvals = {(one.subject, one.what): one for one in part.approvals}
    state.uploads = {(part.step.id, n): upload for n, upload in part.uploads.items()}
    return state


async def work(
    part: Partition, permit: Permit, running: Running, recorder: Recorder
) -> tuple[int, ...]:
    """Run a partition, or look for it; the items whose places are in use, of a look.

    Raises what the handler raises, and StaleError where the worker's keys are for something else.
    """
    async with Store(part.header.connection) as store:
        store.fence(permit.seconds_left)
        await _check_target(store, part)
        with tempfile.TemporaryDirectory(prefix="s3plan-") as scratch:
            context = _WorkerContext(part, permit, recorder, store, Path(scratch))
            loop = asyncio.get_running_loop()
            running.stop = partial(loop.call_soon_threadsafe, context.stop)
            if permit.stopping:
                context.stop()
            try:
                context.check_stop()
                if part.look:
                    return await places_in_use(context, part.step)
                await _handle(context, part)
                return ()
            finally:
                running.stop = None
                await asyncio.to_thread(context.close)


async def _handle(context: _WorkerContext, part: Partition) -> None:
    syncing = asyncio.create_task(context.sync_regularly())
    try:
        if isinstance(part.step.action, Restore) and part.asks:
            await ask_for(context, part.step, part.step.action)
        else:
            await run_items(context, part.step)
    finally:
        syncing.cancel()
        await asyncio.gather(syncing, return_exceptions=True)
        await context.sync()


async def _check_target(store: Store, part: Partition) -> None:
    planned, found = part.header.target, await store.identify()
    if found != planned:
        raise StaleError(
            "a worker's keys are for another account, endpoint or region",
            address=found.endpoint,
            expected=f"{planned.endpoint}, {planned.region}, account {planned.account}",
            found=f"{found.region}, account {found.account}",
            next_step="give the workers keys of the account that the plan was made for",
        )
