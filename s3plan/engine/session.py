"""One session of a run: locks, identity, the journal opened or resumed, then the walk.

Checks that need no request come first, then who we are, then the locks; only then is anything
written. A run is resumed by the same command that started it.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
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
from s3plan.engine.context import Context, ItemLog
from s3plan.engine.execute import execute
from s3plan.engine.guard import Guard
from s3plan.engine.holding import Held, holder_for, locked
from s3plan.engine.journal import JournalWriter
from s3plan.engine.mirror import Mirror, open_mirror
from s3plan.engine.outlets import telling
from s3plan.engine.probe import Memory, capabilities_for
from s3plan.engine.recheck import recheck_steps
from s3plan.engine.rollback import plan_rollback
from s3plan.engine.rollback_grouping import stages_of
from s3plan.engine.runs import Run, timestamp
from s3plan.engine.state import RunState
from s3plan.engine.surroundings import Surroundings
from s3plan.errors import ProblemsError, StaleError
from s3plan.localfs.appendlog import AppendLog
from s3plan.localfs.limits import ensure_descriptors
from s3plan.localfs.locks import hold
from s3plan.localfs.tree import Tree
from s3plan.model.commands import Command
from s3plan.model.events import RunFinished, Warned
from s3plan.model.journal import (
    JOURNAL_FORMAT,
    JournalRecord,
    Resumed,
    RolledBack,
    RunEnded,
    RunOutcome,
    RunStarted,
)
from s3plan.model.plan import Stage, Target
from s3plan.model.recheck import PlanRecheck
from s3plan.model.steps import (
    BackupFile,
    Download,
    Extract,
    RemoveExtracted,
    RemoveFile,
    RewriteFile,
)
from s3plan.plan.athand import plan_at_hand
from s3plan.plan.comparison import compare_plans
from s3plan.plan.limits import broken_limits
from s3plan.plan.reading import PlanFile
from s3plan.rules.commands import diff_command, rollback_command
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
    check_digest(approval, plan.digest, lambda digest: _difference(around, plan, digest))
    names = check_people(approval, plan.digest, house)
    if names:
        approval = replace(approval, approver=f"{', '.join(names)} (by {approval.approver})")
    if plan.header.rollback_of:
        raise StaleError(
            "this is the plan of a rollback",
            address=str(path),
            next_step="s3plan rollback JOURNAL --approve",
        )
    ensure_descriptors(plan.header.connection.limits.connections)
    run, state = _unfinished(around.directory, plan.digest)
    _check_host(plan, state)
    check_commands(plan, house.commands, state)
    broken = broken_limits(plan, house.limits)
    if broken:
        raise ProblemsError("the plan goes beyond its limits", broken)
    async with around.open_store(plan.header.connection) as store:
        await check_target(store, plan)
        async with locked(around, plan, run, state, store) as places:
            # Between that look and the locks another process may have gone on, or finished.
            run, state = _unfinished(around.directory, plan.digest)
            if run is None:
                _supersede(around)
                run = runs.new_run(around.directory, path, around.clock())
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
                mirrored = await _mirror(store, held, run, stored)
                await _open_record(journal, state, run, plan, approval, around, held)
                return await _walk(
                    run, stored, state, journal, store, approval, ask, around, held, mirrored,
                    house.commands, named=path,
                )  # fmt: skip


async def rollback(
    journal_path: Path,
    approval: Approval,
    around: Surroundings,
    *,
    commands: Mapping[str, Command] | None = None,
    only: Stage | None = None,
) -> RunFinished | None:
    """Take a run back, or go on doing so; None if there is nothing to take back (any more).

    ``commands`` are those that the project file defines. ``only`` is one stage of a grouping; the
    run counts as taken back once each of its stages is.
    """
    run = runs.run_of(journal_path)
    with hold(run.lock, holder_for(around, run.journal)) as lock:
        original = PlanFile.open(run.plan)
        ensure_descriptors(original.header.connection.limits.connections)
        applied = run.state()
        runs.check_plan(original, applied.started.digest)
        _check_host(original, applied)
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
            async with locked(around, original, None, applied, store) as places:
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
                    mirrored = await _mirror(store, held, run, plan)
                    await _open_record(journal, state, run, plan, approval, around, held)
                    finished = await _walk(
                        run, plan, state, journal, store, approval, None, around, held, mirrored,
                        commands or {},
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
    _append(run.journal, RolledBack(time=timestamp(around.clock()), outcome=outcome))


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


async def recheck(path: Path, around: Surroundings, house: House) -> PlanRecheck:
    """Hold a plan against reality without applying it; only reads."""
    plan = PlanFile.open(path)
    reasons = [str(error) for error in broken_limits(plan, house.limits)]
    state = RunState()
    try:
        _, state = _unfinished(around.directory, plan.digest)
        _check_host(plan, state)
        check_commands(plan, house.commands, state)
    except StaleError as error:
        reasons.append(str(error))
    async with around.open_store(plan.header.connection) as store:
        try:
            await check_target(store, plan)
        except StaleError as error:
            # Another account's buckets say nothing about this plan.
            return PlanRecheck(str(path), plan.digest, (*reasons, str(error)), ())
        with _scratch() as scratch:
            steps = await recheck_steps(plan, store, scratch)
    return PlanRecheck(str(path), plan.digest, tuple(reasons), steps)


# -- before the first request --------------------------------------------------------------------


def _difference(around: Surroundings, plan: PlanFile, digest: str) -> tuple[str, str] | None:
    """How the plan that was approved, if a file of it is here, differs from ``plan``."""
    folders = [run.folder for run in runs.runs_in(around.directory)]
    approved = plan_at_hand(digest, around.directory, plan.path.parent, *folders)
    if approved is None:
        return None
    changes = compare_plans(approved, plan, shown=0)
    return changes.sentence(), diff_command(str(approved.path), str(plan.path))


def _check_host(plan: PlanFile, state: RunState) -> None:
    """A plan's destination is a path on one host. A run that has begun may go on elsewhere: the
    markers of its destinations are in its journal, and are looked for before anything is written.
    """
    here = socket.gethostname()
    begun = state.header is not None and bool(state.header.destinations)
    if plan.header.host != here and not begun:
        raise StaleError(
            "the plan was made on another host, and its destination is a path there",
            address=str(plan.path),
            expected=f"host {plan.header.host}",
            found=f"host {here}",
            next_step="make the plan on this host",
        )


async def check_target(store: Store, plan: PlanFile) -> None:
    """Where the requests would go must be where the plan was made for."""
    planned = plan.header.target
    found = await store.identify()
    if (found.endpoint, found.region, found.account) != (
        planned.endpoint,
        planned.region,
        planned.account,
    ):
        raise StaleError(
            "the plan is for another account, endpoint or region",
            address=str(plan.path),
            expected=_spelled(planned),
            found=_spelled(found),
            next_step="use the credentials the plan was made with, or plan again",
        )


def _spelled(target: Target) -> str:
    account = f", account {target.account}" if target.account else ""
    return f"{target.endpoint} ({target.region}{account})"


def _unfinished(directory: Path, digest: str) -> tuple[Run | None, RunState]:
    """The run of this plan that can go on. Raises StaleError if the plan is consumed."""
    found: tuple[Run | None, RunState] = (None, RunState())
    for run in runs.runs_in(directory):
        state = run.state()
        if state.header is None or state.header.digest != digest:
            continue
        if state.rolled_back is not None or state.outcome in ("superseded", "abandoned"):
            continue
        if run.rollback_journal.exists():
            raise StaleError(
                "a rollback of this plan's run has begun and is not finished",
                address=str(run.journal),
                next_step=rollback_command(str(run.journal)),
            )
        if state.finished:
            raise StaleError(
                "the plan is consumed: a run of it has finished and is not rolled back",
                address=str(run.journal),
                found=f"run {run.id}, {state.outcome}",
                next_step="s3plan plan again; it says No changes if nothing is left to do",
            )
        if run.taken_back(*runs.STAGES):
            raise StaleError(
                "a part of this plan's run was taken back, so it does not go on",
                address=str(run.journal),
                next_step=f"{rollback_command(str(run.journal))} takes back the rest; plan again",
            )
        found = (run, state)
    return found


def unfinished_runs(directory: Path) -> Iterator[Run]:
    """Runs below ``directory`` that were begun and can still go on."""
    for run in runs.runs_in(directory):
        state = run.state()
        if state.header is not None and not state.finished and not run.rollback_journal.exists():
            yield run


def _supersede(around: Surroundings) -> None:
    """Close what an earlier plan left unfinished; its verified files are in the catalogue."""
    for run in unfinished_runs(around.directory):
        with hold(run.lock, holder_for(around, run.journal)):
            _append(
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


def _append(path: Path, record: JournalRecord) -> None:
    with JournalWriter(AppendLog.open(path)) as journal:
        journal.note(record)


async def _mirror(store: Store, held: Held, run: Run, plan: PlanFile) -> Mirror | None:
    if held.mirror is None:
        return None
    return await open_mirror(store, held.mirror, run, {step.subject for step in plan.steps})


# -- the session ---------------------------------------------------------------------------------

_ON_DISK = Download | RemoveFile | Extract | RemoveExtracted
"""What a power cut may undo although a receipt says that it was done."""


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
    with _scratch() as scratch:
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


async def _open_record(
    journal: JournalWriter,
    state: RunState,
    run: Run,
    plan: PlanFile,
    approval: Approval,
    around: Surroundings,
    held: Held,
) -> None:
    """Write who goes on with what; what no sync point covers is in doubt from here."""
    now = timestamp(around.clock())
    host, pid = socket.gethostname(), os.getpid()
    record: JournalRecord
    if state.header is None:
        record = RunStarted(
            format=JOURNAL_FORMAT,
            run=run.id,
            digest=plan.digest,
            command="rollback" if plan.header.rollback_of else "apply",
            target=plan.header.target,
            approver=approval.approver,
            host=host,
            pid=pid,
            time=now,
            tool=around.tool,
            rollback_of=plan.header.rollback_of,
            destinations=held.destinations,
            mirror=held.mirror,
        )
    else:
        runs.check_plan(plan, state.header.digest)
        record = Resumed(
            approver=approval.approver,
            host=host,
            pid=pid,
            time=now,
            tool=around.tool,
            doubted=tuple(step.id for step in plan.steps if isinstance(step.action, _ON_DISK)),
        )
    await journal.commit(record)
    state.apply(journal.seq, record)


async def _walk(
    run: Run,
    plan: PlanFile,
    state: RunState,
    journal: JournalWriter,
    store: Store,
    approval: Approval,
    ask: Ask | None,
    around: Surroundings,
    held: Held,
    mirror: Mirror | None,
    commands: Mapping[str, Command],
    *,
    named: Path | None = None,
) -> RunFinished:
    log = (
        ItemLog(around.item_log, lambda sentence: around.observer(Warned(sentence)))
        if around.item_log
        else None
    )
    with _scratch(run) as scratch:
        context = Context(
            run=run,
            plan=plan,
            state=state,
            journal=journal,
            store=store,
            observer=around.observer,
            clock=around.clock,
            scratch=scratch,
            guard=Guard(held.locks, held.leases, journal),
            mirror=mirror,
            named=named,
            item_log=log,
            commands=commands,
        )
        if held.leases is not None:
            held.leases.on_lost = context.stop
        try:
            context.capabilities = await capabilities_for(
                store,
                Memory(around.state_home / "capabilities"),
                plan.steps,
                around.clock(),
                around.tool,
                lambda sentence: around.observer(Warned(sentence)),
            )
            async with telling(context, around.outlets) as told:
                told.finished = await execute(context, approval, ask)
                return told.finished
        finally:
            await asyncio.to_thread(context.close)
            if log is not None:
                log.close()


@contextmanager
def _scratch(run: Run | None = None) -> Iterator[Path]:
    """A directory for temporary tables, gone afterwards.

    That of a ``run``, whose lock is held, bears its name: what a session left that was killed is
    removed by the next one.
    """
    if run is None:
        folder = Path(tempfile.mkdtemp(prefix="s3plan-"))
    else:
        folder = Path(tempfile.gettempdir()) / f"s3plan-{run.id}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def approver() -> str:
    """The user's name on this host, as journals record it."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return f"uid {os.getuid()}@{socket.gethostname()}"
