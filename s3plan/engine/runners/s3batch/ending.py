"""Jobs of a run that is to be taken back, or closed: cancelled, and waited for until they stop.

A job outlives the process that made it. Whatever it copies after a rollback has looked, nobody
takes back.
"""

from __future__ import annotations

import asyncio
import os

from s3plan.engine.handover.manifests import terms_of
from s3plan.engine.runs import Run
from s3plan.engine.state import RunState
from s3plan.errors import HeldError, StaleError
from s3plan.model.journal import BatchJob
from s3plan.plan.reading import PlanFile
from s3plan.rules.commands import rollback_command
from s3plan.rules.handover import batch
from s3plan.store import Store

PATIENCE = 300.0
"""Seconds that a job may take to stop; S3 finishes what it has begun."""

_PAUSE = 1.0


def open_jobs(state: RunState, step: str | None = None) -> list[BatchJob]:
    """Jobs that may be running, of one step or of all."""
    jobs = (job for job in state.jobs.values() if step is None or job.step == step)
    return [job for job in jobs if job.id and job.stage != "ended"]


def check_no_jobs(run: Run, state: RunState) -> None:
    """Raise StaleError where a run cannot be given up, because a job of it may be running."""
    jobs = open_jobs(state)
    if jobs:
        raise StaleError(
            "a job of S3 Batch Operations of this run may still be running",
            address=str(run.journal),
            found=", ".join(f"job {job.id} ({job.step})" for job in jobs),
            next_step=f"{rollback_command(os.path.relpath(run.journal))} cancels it; or apply the"
            f" run's own plan, {os.path.relpath(run.plan)}, to go on with it",
        )


async def end_jobs(plan: PlanFile, state: RunState, store: Store) -> None:
    """Cancel what may be running, and return when none of it sends requests any more.

    Raises HeldError where a job does not stop, StoreError where S3 cannot be asked.
    """
    jobs = open_jobs(state)
    if not jobs:
        return
    terms, _ = terms_of(plan)
    await asyncio.gather(*[_end(plan, job, terms.account, store) for job in jobs])


async def _end(plan: PlanFile, job: BatchJob, account: str, store: Store) -> None:
    subject = plan.step(job.step).subject
    region = await asyncio.to_thread(store.control.region, subject)
    left = PATIENCE
    while True:
        seen = await asyncio.to_thread(store.jobs.describe, account, job.id, region)
        if seen.status in batch.TERMINAL:
            return
        if left == PATIENCE:
            await asyncio.to_thread(store.jobs.cancel, account, job.id, region)
        if left <= 0:
            raise HeldError(
                "a job of S3 Batch Operations does not stop",
                address=f"job {job.id} ({job.step})",
                expected="it cancelled",
                found=seen.status,
                next_step="look at it in S3's console; then run the same command again",
            )
        await asyncio.sleep(_PAUSE)
        left -= _PAUSE
