"""A run taken back, as a whole or stage by stage, and what that would do.

A rollback has a plan and a journal of its own in the run's folder, and goes on like any other run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from s3plan.engine import runs
from s3plan.engine.approval import (
    Approval,
    check_digest,
)
from s3plan.engine.beforehand import check_host, check_target
from s3plan.engine.holding import holder_for, locked
from s3plan.engine.journal import JournalWriter
from s3plan.engine.rollback import plan_rollback
from s3plan.engine.rollback_grouping import stages_of
from s3plan.engine.runners.opening import check_installed
from s3plan.engine.runners.s3batch.ending import end_jobs
from s3plan.engine.runs import Run, timestamp
from s3plan.engine.state import RunState
from s3plan.engine.surroundings import Surroundings
from s3plan.engine.walk import append_record, mirror_of, open_record, scratch_folder, walk
from s3plan.errors import StaleError
from s3plan.localfs.appendlog import AppendLog
from s3plan.localfs.limits import ensure_descriptors
from s3plan.localfs.locks import hold
from s3plan.localfs.tree import Tree
from s3plan.model.commands import Command
from s3plan.model.events import RunFinished
from s3plan.model.journal import (
    RolledBack,
    RunOutcome,
)
from s3plan.model.plan import Stage
from s3plan.model.runners import ALL_HERE, RunnerChoice
from s3plan.model.steps import (
    BackupFile,
    Download,
    RewriteFile,
)
from s3plan.plan.reading import PlanFile
from s3plan.rules.commands import rollback_command
from s3plan.store import Store


async def rollback(
    journal_path: Path,
    approval: Approval,
    around: Surroundings,
    *,
    commands: Mapping[str, Command] | None = None,
    only: Stage | None = None,
    runners: RunnerChoice = ALL_HERE,
) -> RunFinished | None:
    """Take a run back, or go on doing so; None if there is nothing to take back (any more).

    ``commands`` are those that the project file defines. ``only`` is one stage of a grouping; the
    run counts as taken back once each of its stages is.
    """
    check_installed(runners)
    run = runs.run_of(journal_path)
    with hold(run.lock, holder_for(around, run.journal)) as lock:
        original = PlanFile.open(run.plan)
        ensure_descriptors(original.header.connection.limits.connections)
        applied = run.state()
        runs.check_plan(original, applied.started.digest)
        check_host(original, applied)
        state = RunState()
        back = run.back(only)
        going_on = back.journal.exists()
        if only is not None and _whole_is_done(run):
            return None
        if going_on:
            state = run.back_state(only)
            if state.outcome in ("done", "kept"):
                # A process that died right at the end had no time to say so in the run's journal.
                _mark_rolled_back(run, original, only, state.outcome, around)
                return None
        async with around.open_store(original.header.connection) as store:
            await check_target(store, original)
            async with locked(
                around, original, None, applied, store, outlives=runners.outlives
            ) as places:
                # What they still copied after the look below, nobody would take back.
                await end_jobs(original, applied, store)
                plan = await _rollback_plan(run, original, store, around, only, keep=going_on)
                if plan is not None:
                    check_digest(approval, plan.digest, lambda _: None)
                if only is None:
                    await asyncio.to_thread(_drop_unfinished, original, run)
                if plan is None:
                    return None
                log = (
                    AppendLog.open(back.journal) if going_on else runs.create_journal(back.journal)
                )
                with JournalWriter(log) as journal:
                    held = places.with_lock(lock, applied.started.mirror)
                    mirrored = await mirror_of(store, held, run, plan)
                    await open_record(journal, state, run, plan, approval, around, held)
                    finished = await walk(
                        run, plan, state, journal, store, approval, None, around, held, mirrored,
                        commands or {}, runners=runners,
                    )  # fmt: skip
        if finished.outcome in ("done", "kept"):
            _mark_rolled_back(run, original, only, finished.outcome, around)
        return finished


def _whole_is_done(run: Run) -> bool:
    """Whether the run was taken back as a whole. Raises StaleError where that is not finished."""
    if not run.rollback_journal.exists():
        return False
    if run.rollback_state().outcome in ("done", "kept"):
        return True
    raise StaleError(
        "a rollback of the whole run has begun and is not finished",
        address=str(run.journal),
        next_step=rollback_command(str(run.journal)),
    )


def _mark_rolled_back(
    run: Run, plan: PlanFile, only: Stage | None, outcome: RunOutcome, around: Surroundings
) -> None:
    """Say in the run's journal that it is taken back: as a whole, or now that every stage is."""
    state = run.state()
    if state.rolled_back is not None:
        return
    if only is not None:
        ended: list[RunOutcome | None] = [outcome]
        for stage in stages_of(plan, state) - {only}:
            begun = run.back(stage).journal.exists()
            ended.append(run.back_state(stage).outcome if begun else None)
        if not set(ended) <= {"done", "kept"}:
            return
        outcome = "kept" if "kept" in ended else "done"
    append_record(run.journal, RolledBack(time=timestamp(around.clock()), outcome=outcome))


async def preview_rollback(
    journal_path: Path, around: Surroundings, *, only: Stage | None = None
) -> PlanFile | None:
    """What a rollback would do now, as the plan it would run; None where there is nothing."""
    run = runs.run_of(journal_path)
    original = PlanFile.open(run.plan)
    runs.check_plan(original, run.state().started.digest)
    if only is not None and _whole_is_done(run):
        return None
    back = run.back(only)
    if back.journal.exists():
        if run.back_state(only).outcome in ("done", "kept"):
            return None
        return PlanFile.open(back.plan)
    async with around.open_store(original.header.connection) as store:
        await check_target(store, original)
        return await _rollback_plan(run, original, store, around, only, keep=False)


def _drop_unfinished(plan: PlanFile, run: Run) -> None:
    """Remove what downloads in ranges and rewritten tables left: no session of this run goes on
    with them.
    """
    for step in plan.steps:
        if isinstance(step.action, Download):
            with Tree.open(Path(step.action.destination), create=False) as tree:
                tree.clean_resumable(step.subject)
    if any(isinstance(step.action, BackupFile | RewriteFile) for step in plan.steps):
        # A run imports the handlers of its own verbs, not of all.
        from s3plan.engine.handlers.rewrite_file import drop_unfinished_tables  # noqa: PLC0415

        drop_unfinished_tables(plan, run)


async def _rollback_plan(
    run: Run,
    original: PlanFile,
    store: Store,
    around: Surroundings,
    only: Stage | None,
    *,
    keep: bool,
) -> PlanFile | None:
    """The rollback's plan: made anew until the rollback has begun, then never again."""
    if keep:
        return PlanFile.open(run.back(only).plan)
    state = run.state()
    with scratch_folder() as scratch:
        return await plan_rollback(
            run,
            original,
            state,
            store,
            scratch,
            created=timestamp(around.clock()),
            tool=around.tool,
            only=only,
        )
