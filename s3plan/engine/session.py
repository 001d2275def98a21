"""One session of a run: locks, identity, the journal opened or resumed, then the walk.

Checks that need no request come first, then who we are, then the locks; only then is anything
written. A run is resumed by the same command that started it.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from s3plan.engine import runs
from s3plan.engine.approval import (
    Approval,
    Ask,
    House,
    check_commands,
    check_digest,
    check_people,
)
from s3plan.engine.beforehand import (
    check_host,
    check_target,
    difference,
    unfinished_run,
    unfinished_runs,
)
from s3plan.engine.holding import Held, holder_for, locked
from s3plan.engine.journal import JournalWriter
from s3plan.engine.mirror import Mirror
from s3plan.engine.recheck import recheck_steps
from s3plan.engine.runners.opening import check_installed
from s3plan.engine.runners.s3batch.ending import check_no_jobs
from s3plan.engine.runs import Run, timestamp
from s3plan.engine.state import RunState
from s3plan.engine.surroundings import Surroundings
from s3plan.engine.walk import append_record, mirror_of, open_record, scratch_folder, walk
from s3plan.errors import ProblemsError, StaleError
from s3plan.localfs.appendlog import AppendLog
from s3plan.localfs.limits import ensure_descriptors
from s3plan.localfs.locks import hold
from s3plan.model.events import RunFinished, Warned
from s3plan.model.journal import (
    RunEnded,
)
from s3plan.model.recheck import PlanRecheck
from s3plan.plan.limits import broken_limits
from s3plan.plan.reading import PlanFile
from s3plan.store import Store


async def apply(
    path: Path,
    approval: Approval,
    ask: Ask | None,
    around: Surroundings,
    *,
    house: House,
    mirror: str | None = None,
) -> RunFinished:
    """Run exactly the plan at ``path``, or go on with the run of it that is not finished.

    ``mirror`` is ``s3://bucket/prefix``; a run that began with one keeps it. ``house`` is what the
    project file asks for.

    Raises StaleError before the first request if the plan is not the approved one, is consumed,
    or is for another host, account or endpoint, LockedError if another process works on it,
    ApprovalError for too few approvals, and ProblemsError for a plan beyond its limits.
    """
    plan = PlanFile.open(path)
    check_digest(approval, plan.digest, lambda digest: difference(around, plan, digest))
    names = check_people(approval, plan.digest, house)
    if names:
        approval = replace(approval, approver=f"{', '.join(names)} (by {approval.approver})")
    async with under_way(plan, approval, around, house, mirror=mirror) as begun:
        return await walk(
            begun.run, begun.plan, begun.state, begun.journal, begun.store, approval, ask, around,
            begun.held, begun.mirror, house.commands, named=path, runners=house.runners,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that this process holds: its plan as it is kept, its state, and its open journal."""

    run: Run
    plan: PlanFile
    state: RunState
    journal: JournalWriter
    store: Store
    held: Held
    mirror: Mirror | None


@asynccontextmanager
async def under_way(
    plan: PlanFile,
    approval: Approval,
    around: Surroundings,
    house: House,
    *,
    mirror: str | None = None,
) -> AsyncIterator[Begun]:
    """The run of a plan, begun or gone on with, under its locks. Raises as :func:`apply` does."""
    if plan.header.rollback_of:
        raise StaleError(
            "this is the plan of a rollback",
            address=str(plan.path),
            next_step="s3plan rollback JOURNAL --approve",
        )
    check_installed(house.runners)
    ensure_descriptors(plan.header.connection.limits.connections)
    run, state = unfinished_run(around.directory, plan.digest)
    check_host(plan, state)
    check_commands(plan, house.commands, state)
    broken = broken_limits(plan, house.limits)
    if broken:
        raise ProblemsError("the plan goes beyond its limits", broken)
    async with around.open_store(plan.header.connection) as store:
        await check_target(store, plan)
        outlives = house.runners.outlives
        async with locked(around, plan, run, state, store, outlives=outlives) as places:
            # Between that look and the locks another process may have gone on, or finished.
            run, state = unfinished_run(around.directory, plan.digest)
            if run is None:
                _supersede(around)
                run = runs.new_run(around.directory, plan, around.clock())
                log = runs.create_journal(run.journal)
                state = RunState()
            else:
                log = AppendLog.open(run.journal)
            runs.link_latest(around.directory, run)
            with (
                hold(run.lock, holder_for(around, run.journal)) as lock,
                JournalWriter(log) as journal,
            ):
                # Before the first record: what is approved is what is run.
                stored = PlanFile.open(run.plan)
                runs.check_plan(stored, plan.digest)
                known = state.header.mirror if state.header else None
                held = places.with_lock(lock, mirror or known)
                mirrored = await mirror_of(store, held, run, stored)
                await open_record(journal, state, run, plan, approval, around, held)
                yield Begun(run, stored, state, journal, store, held, mirrored)


async def recheck(path: Path, around: Surroundings, house: House) -> PlanRecheck:
    """Hold a plan against reality without applying it; only reads."""
    plan = PlanFile.open(path)
    reasons = [str(error) for error in broken_limits(plan, house.limits)]
    state = RunState()
    try:
        _, state = unfinished_run(around.directory, plan.digest)
        check_host(plan, state)
        check_commands(plan, house.commands, state)
    except StaleError as error:
        reasons.append(str(error))
    async with around.open_store(plan.header.connection) as store:
        try:
            await check_target(store, plan)
        except StaleError as error:
            # Another account's buckets say nothing about this plan.
            return PlanRecheck(str(path), plan.digest, (*reasons, str(error)), ())
        with scratch_folder() as scratch:
            steps = await recheck_steps(plan, store, scratch)
    return PlanRecheck(str(path), plan.digest, tuple(reasons), steps)


def _supersede(around: Surroundings) -> None:
    """Close what an earlier plan left unfinished; its verified files are in the catalogue."""
    for run in unfinished_runs(around.directory):
        check_no_jobs(run, run.state())
        with hold(run.lock, holder_for(around, run.journal)):
            append_record(
                run.journal,
                RunEnded(
                    outcome="superseded",
                    time=timestamp(around.clock()),
                    detail="a newer plan was applied",
                ),
            )
        around.observer(
            Warned(f"run {run.id} was not finished; it is closed as superseded by this plan")
        )


def approver() -> str:
    """The user's name on this host, as journals record it."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return f"uid {os.getuid()}@{socket.gethostname()}"
