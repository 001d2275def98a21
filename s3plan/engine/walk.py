"""A session once all is locked and approved: its first record, then the walk over the steps."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from s3plan.engine import runs
from s3plan.engine.approval import (
    Approval,
    Ask,
)
from s3plan.engine.context import Context, ItemLog
from s3plan.engine.execute import execute
from s3plan.engine.guard import Guard
from s3plan.engine.holding import Held
from s3plan.engine.journal import JournalWriter
from s3plan.engine.mirror import Mirror, open_mirror
from s3plan.engine.outlets import telling
from s3plan.engine.probe import Memory, capabilities_for
from s3plan.engine.runners.opening import opened
from s3plan.engine.runs import Run, timestamp
from s3plan.engine.state import RunState
from s3plan.engine.surroundings import Surroundings
from s3plan.localfs.appendlog import AppendLog
from s3plan.model.commands import Command
from s3plan.model.events import RunFinished, Warned
from s3plan.model.journal import (
    JOURNAL_FORMAT,
    JournalRecord,
    Resumed,
    RunStarted,
)
from s3plan.model.runners import RunnerChoice
from s3plan.model.steps import (
    Download,
    Extract,
    RemoveExtracted,
    RemoveFile,
)
from s3plan.plan.reading import PlanFile
from s3plan.store import Store

_ON_DISK = Download | RemoveFile | Extract | RemoveExtracted
"""What a power cut may undo although a receipt says that it was done."""


async def mirror_of(store: Store, held: Held, run: Run, plan: PlanFile) -> Mirror | None:
    if held.mirror is None:
        return None
    return await open_mirror(store, held.mirror, run, {step.subject for step in plan.steps})


def append_record(path: Path, record: JournalRecord) -> None:
    with JournalWriter(AppendLog.open(path)) as journal:
        journal.note(record)


async def open_record(
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


async def walk(
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
    runners: RunnerChoice,
) -> RunFinished:
    async with at_work(
        run, plan, state, journal, store, around, held, mirror, commands, named=named
    ) as context:
        context.capabilities = await capabilities_for(
            store,
            Memory(around.state_home / "capabilities"),
            plan.steps,
            around.clock(),
            around.tool,
            lambda sentence: around.observer(Warned(sentence)),
        )
        async with (
            opened(context, runners) as crew,
            telling(context, journal, around.outlets) as told,
        ):
            told.finished = await execute(context, crew, approval, ask)
            return told.finished


@asynccontextmanager
async def at_work(
    run: Run,
    plan: PlanFile,
    state: RunState,
    journal: JournalWriter,
    store: Store,
    around: Surroundings,
    held: Held,
    mirror: Mirror | None,
    commands: Mapping[str, Command],
    *,
    named: Path | None = None,
) -> AsyncIterator[Context]:
    """What handlers are given; closed afterwards. Nothing is known of the endpoint yet."""
    log = (
        ItemLog(around.item_log, lambda sentence: around.observer(Warned(sentence)))
        if around.item_log
        else None
    )
    with scratch_folder(run) as scratch:
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
            yield context
        finally:
            await asyncio.to_thread(context.close)
            if log is not None:
                log.close()


@contextmanager
def scratch_folder(run: Run | None = None) -> Iterator[Path]:
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
