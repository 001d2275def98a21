"""One session of a run: locks, identity, the journal opened or resumed, then the walk.

Checks that need no request come first, then who we are, then the locks; only then is anything
written. A run is resumed by the same command that started it.
"""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from s3plan.engine import runs
from s3plan.engine.approval import Approval, Ask, check_digest
from s3plan.engine.context import Context, ItemLog, Observer
from s3plan.engine.execute import execute
from s3plan.engine.journal import JournalWriter, read_journal
from s3plan.engine.rollback import plan_rollback
from s3plan.engine.runs import Run, timestamp
from s3plan.engine.state import RunState, fold
from s3plan.errors import JournalError, StaleError
from s3plan.localfs.appendlog import AppendLog
from s3plan.localfs.locks import Holder, hold, hold_in
from s3plan.localfs.tree import Tree
from s3plan.model.connection import Connection
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
from s3plan.model.plan import Target
from s3plan.model.steps import Delete, DeleteBucket, Download, Verify
from s3plan.plan.reading import PlanFile
from s3plan.rules.commands import rollback_command
from s3plan.store import Store


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a session is given from outside: the places, the clock, and who listens."""

    directory: Path
    state_home: Path
    clock: Callable[[], datetime]
    open_store: Callable[[Connection], Store]
    observer: Observer
    tool: str
    item_log: Path | None = None


async def apply(
    path: Path, approval: Approval, ask: Ask | None, around: Surroundings
) -> RunFinished:
    """Run exactly the plan at ``path``, or go on with the run of it that is not finished.

    Raises StaleError before the first request if the plan is not the approved one, is consumed,
    or is for another host, account or endpoint, and LockedError if another process works on it.
    """
    plan = PlanFile.open(path)
    check_digest(approval, plan.digest)
    if plan.header.rollback_of:
        raise StaleError(
            "this is the plan of a rollback",
            address=str(path),
            next_step="s3plan rollback JOURNAL --approve",
        )
    _check_host(plan)
    run, _ = _unfinished(around.directory, plan.digest)
    async with around.open_store(plan.header.connection) as store:
        await _check_target(store, plan)
        with _locked(around, plan, run):
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
            with hold(run.lock, _holder(around, run.journal)), JournalWriter(log) as journal:
                await _open_record(journal, state, run, plan, approval, around, "apply")
                stored = PlanFile.open(run.plan)
                return await _walk(
                    run, stored, state, journal, store, approval, ask, around, named=path
                )


async def rollback(
    journal_path: Path, approval: Approval, around: Surroundings
) -> RunFinished | None:
    """Take a run back, or go on doing so; None if there is nothing to take back (any more)."""
    run = runs.run_of(journal_path)
    with hold(run.lock, _holder(around, run.journal)):
        original = PlanFile.open(run.plan)
        _check_host(original)
        state = RunState()
        going_on = run.rollback_journal.exists()
        if going_on:
            state = fold(read_journal(run.rollback_journal))
            if state.outcome in ("done", "kept"):
                # A process that died right at the end had no time to say so in the run's journal.
                _mark_rolled_back(run, state.outcome, around)
                return None
        async with around.open_store(original.header.connection) as store:
            await _check_target(store, original)
            with _locked(around, original, None):
                plan = await _rollback_plan(run, original, store, around, keep=going_on)
                if plan is None:
                    return None
                check_digest(approval, plan.digest)
                log = (
                    AppendLog.open(run.rollback_journal)
                    if going_on
                    else runs.create_journal(run.rollback_journal)
                )
                with JournalWriter(log) as journal:
                    await _open_record(journal, state, run, plan, approval, around, "rollback")
                    finished = await _walk(run, plan, state, journal, store, approval, None, around)
        if finished.outcome in ("done", "kept"):
            _mark_rolled_back(run, finished.outcome, around)
        return finished


def _mark_rolled_back(run: Run, outcome: RunOutcome, around: Surroundings) -> None:
    if run.state().rolled_back is None:
        _append(run.journal, RolledBack(time=timestamp(around.clock()), outcome=outcome))


async def preview_rollback(journal_path: Path, around: Surroundings) -> PlanFile | None:
    """What a rollback would do now, as the plan it would run; None where there is nothing."""
    run = runs.run_of(journal_path)
    original = PlanFile.open(run.plan)
    if run.rollback_journal.exists():
        state = fold(read_journal(run.rollback_journal))
        if state.outcome in ("done", "kept"):
            return None
        return PlanFile.open(run.rollback_plan)
    async with around.open_store(original.header.connection) as store:
        await _check_target(store, original)
        return await _rollback_plan(run, original, store, around, keep=False)


# -- before the first request --------------------------------------------------------------------


def _check_host(plan: PlanFile) -> None:
    here = socket.gethostname()
    if plan.header.host != here:
        raise StaleError(
            "the plan was made on another host, and its destination is a path there",
            address=str(plan.path),
            expected=f"host {plan.header.host}",
            found=f"host {here}",
            next_step="make the plan on this host",
        )


async def _check_target(store: Store, plan: PlanFile) -> None:
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
        if state.rolled_back is not None or state.outcome == "superseded":
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
        with hold(run.lock, _holder(around, run.journal)):
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


def _holder(around: Surroundings, journal: Path) -> Holder:
    return Holder(
        host=socket.gethostname(),
        pid=os.getpid(),
        since=timestamp(around.clock()),
        journal=str(journal.absolute()),
    )


@contextmanager
def _locked(around: Surroundings, plan: PlanFile, run: Run | None) -> Iterator[None]:
    """Hold every destination and bucket of the plan against other runs of this user and host.

    In one order (sorted), so that two runs never wait for each other; nobody waits anyway.
    """
    endpoint = plan.header.target.endpoint
    names = {
        hashlib.sha256(f"{endpoint}\n{step.subject}".encode()).hexdigest()[:24]
        for step in plan.steps
    }
    destinations = {
        step.action.destination
        for step in plan.steps
        if isinstance(step.action, Download | Verify | Delete | DeleteBucket)
    }
    holder = _holder(around, run.journal if run else around.directory / runs.JOURNAL_LINK)
    with ExitStack() as stack:
        for name in sorted(names):
            stack.enter_context(hold(around.state_home / "locks" / f"{name}.lock", holder))
        for destination in sorted(destinations):
            # The tree first: making the lock's directory on an empty mount point would make the
            # mount point look like the destination.
            tree = stack.enter_context(Tree.open(Path(destination), create=True))
            stack.enter_context(hold_in(tree, f"{runs.STATE_DIRECTORY}/lock", holder))
        yield


# -- the session ---------------------------------------------------------------------------------


async def _rollback_plan(
    run: Run, original: PlanFile, store: Store, around: Surroundings, *, keep: bool
) -> PlanFile | None:
    """The rollback's plan: made anew until the rollback has begun, then never again."""
    if keep:
        return PlanFile.open(run.rollback_plan)
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
        )


async def _open_record(
    journal: JournalWriter,
    state: RunState,
    run: Run,
    plan: PlanFile,
    approval: Approval,
    around: Surroundings,
    command: str,
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
            command="rollback" if command == "rollback" else "apply",
            target=plan.header.target,
            approver=approval.approver,
            host=host,
            pid=pid,
            time=now,
            tool=around.tool,
            rollback_of=plan.header.rollback_of,
        )
    else:
        if state.header.digest != plan.digest:
            raise JournalError(
                "the journal belongs to another plan",
                address=str(run.folder),
                expected=plan.digest,
                found=state.header.digest,
            )
        record = Resumed(
            approver=approval.approver,
            host=host,
            pid=pid,
            time=now,
            tool=around.tool,
            doubted=tuple(step.id for step in plan.steps if isinstance(step.action, Download)),
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
    *,
    named: Path | None = None,
) -> RunFinished:
    log = ItemLog(around.item_log) if around.item_log else None
    with _scratch() as scratch:
        context = Context(
            run=run,
            plan=plan,
            state=state,
            journal=journal,
            store=store,
            observer=around.observer,
            clock=around.clock,
            scratch=scratch,
            named=named,
            item_log=log,
        )
        try:
            return await execute(context, approval, ask)
        finally:
            await asyncio.to_thread(context.close)
            if log is not None:
                log.close()


@contextmanager
def _scratch() -> Iterator[Path]:
    """A directory for temporary tables, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="s3plan-"))
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
