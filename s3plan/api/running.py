"""Runs begun, resumed, taken back, listed and brought back; locks."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from s3plan import __version__
from s3plan.api.places import (
    Observer,
    around_here,
    commands,
    house,
    ignore,
    load_connection,
    open_store,
)
from s3plan.engine import lockstatus, roster, runs, session, takingback
from s3plan.engine import mirror as mirrors
from s3plan.engine.approval import Approval, Ask
from s3plan.engine.holding import holder_for
from s3plan.engine.livefiles import Outlets
from s3plan.engine.report import run_status
from s3plan.errors import JournalError, LockedError, UsageError
from s3plan.localfs.locks import holder_of
from s3plan.model.connection import Connection
from s3plan.model.events import RunFinished
from s3plan.model.plan import Stage
from s3plan.model.runners import ALL_HERE, RunnerChoice, RunnerName
from s3plan.model.status import LockStatus, RunStatus, RunSummary
from s3plan.plan.reading import PlanFile

if TYPE_CHECKING:
    from s3plan.engine.offline.rebuild import Rebuilding


def apply(
    plan: Path,
    *,
    approval: Approval,
    observer: Observer = ignore,
    ask: Ask | None = None,
    log: Path | None = None,
    mirror: str | None = None,
    outlets: Outlets | None = None,
    runner: RunnerName | None = None,
    scheduler: str | None = None,
) -> RunFinished:
    """Run exactly the plan, or go on with its run. The result's ``exit_code`` says how it ended.

    ``ask`` is called at a delete gate that nobody has approved; without it the run ends held.
    ``log`` gets JSON Lines of every item. ``mirror`` is ``s3://bucket/prefix``: the run's folder is
    copied there at gates. ``outlets`` are files that are kept up to date meanwhile. ``runner``
    sends the requests of every step that it carries; None is whom the project file names.
    ``scheduler`` is that of the runner dask, in the place of the one in the project file. Raises
    StaleError and LockedError before the first request, IncompleteError when the journal, the disk
    or a lock is lost in the middle.
    """
    _check_outlets(outlets)
    around = around_here(observer, log, outlets)
    rules = house()
    rules = replace(rules, runners=_chosen(rules.runners, runner, scheduler))
    return asyncio.run(session.apply(plan, approval, ask, around, house=rules, mirror=mirror))


def _chosen(choice: RunnerChoice, runner: RunnerName | None, scheduler: str | None) -> RunnerChoice:
    """What the project file says, as far as nothing else was asked for."""
    if runner is not None:
        choice = RunnerChoice(every=runner, dask=choice.dask)
    if scheduler is not None:
        choice = replace(choice, dask=replace(choice.dask, scheduler=scheduler))
    return choice


def _check_outlets(outlets: Outlets | None) -> None:
    """Refuse files that cannot be made, before anything is done."""
    if outlets is None:
        return
    for path in filter(None, (outlets.snapshot, outlets.metrics)):
        if path.is_dir() or not os.access(path.absolute().parent, os.W_OK | os.X_OK):
            raise UsageError(
                "the file cannot be kept up to date here",
                address=str(path),
                expected="a file in a directory that can be written",
                next_step="name another file, or leave the option out",
            )


def status(journal: Path | None = None) -> RunStatus:
    """How a run stands, from its journal alone; of the latest apply here without ``journal``.

    Sends nothing and takes no lock. Raises JournalError where there is no journal or it is damaged.
    """
    return run_status(journal or Path(runs.JOURNAL_LINK))


def rollback_plan(journal: Path, *, only: Stage | None = None) -> PlanFile | None:
    """What a rollback would do now; None where there is nothing to take back. Only reads.

    ``only`` is one stage of a grouping. Raises JournalError where there is no journal, and
    StaleError for another host, account or endpoint.
    """
    return asyncio.run(takingback.preview_rollback(journal, around_here(ignore, None), only=only))


def rollback(
    journal: Path,
    *,
    approval: Approval,
    only: Stage | None = None,
    observer: Observer = ignore,
    log: Path | None = None,
    runner: RunnerName = "local",
    scheduler: str | None = None,
) -> RunFinished | None:
    """Take a run back, or go on doing so; None where there is nothing (more) to take back.

    ``runner`` sends the requests of every step that it carries, as in :func:`apply`; whom the
    project file names is not asked: a run can be taken back where his cluster is gone.

    ``only`` is one stage of a grouping: its table of URLs, its copies, its backup, or the deletion
    of its sources; the run counts as taken back once every stage is.

    The result's ``exit_code`` says how it ended: 7 where something is no longer as the run left it,
    or is a last copy, and was left alone. Raises JournalError where there is no journal, StaleError
    and LockedError before the first request, IncompleteError when the journal or the disk fails in
    the middle.
    """
    around = around_here(observer, log)
    # What must go on all the same does not fail with the project file.
    choice = ALL_HERE if runner == "local" else _chosen(house().runners, runner, scheduler)
    return asyncio.run(
        takingback.rollback(
            journal,
            approval,
            around,
            commands=commands(observer),
            only=only,
            runners=choice,
        )
    )


def journal_reset() -> Path:
    """Archive the latest run's folder so that a plan starts afresh; no local file is touched.

    The folder goes to ``.s3plan/archive/``. Raises JournalError without a run, LockedError while a
    process works on it.
    """
    link = Path(runs.JOURNAL_LINK)
    run = runs.run_of(link)
    holder = holder_of(run.lock)
    if holder is not None:
        raise LockedError(
            "a process works on this run",
            address=str(run.folder),
            found=f"{holder.host}, pid {holder.pid}, since {holder.since}",
            next_step="wait for it or stop it with Ctrl-C",
        )
    archive = Path(runs.STATE_DIRECTORY) / "archive" / run.id
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        run.folder.rename(archive)
        if link.is_symlink():
            link.unlink()
    except OSError as error:
        raise JournalError(
            f"the run cannot be archived: {error.strerror}", address=str(run.folder)
        ) from error
    return archive


def journal_rebuild(
    directory: Path,
    *,
    approver: str,
    connection: Path | None = None,
    observer: Observer = ignore,
) -> Rebuilding:
    """Make the runs again that the catalogues in ``directory`` name and that are not here.

    Reads every file there and sends no request. ``connection`` is a manifest file with the
    Connection to note in their plans. Raises DestinationError and CatalogueError where nothing can
    be told, LockedError while a run works on the destination, JournalError where the working
    directory cannot be written.
    """
    from s3plan.engine.offline.claims import claims_in
    from s3plan.engine.offline.rebuild import Around, rebuild

    surroundings = around_here(observer, None)
    around = Around(
        directory=Path(),
        approver=approver,
        holder=holder_for(surroundings, Path(runs.JOURNAL_LINK)),
        clock=surroundings.clock,
        tool=__version__,
        connection=load_connection(connection) if connection else None,
    )
    return rebuild(claims_in(directory), around, observer)


def list_runs() -> tuple[RunSummary, ...]:
    """Every run of the working directory, oldest first; one that cannot be read says why.

    Raises LockedError where a process holds a run and does not say who it is.
    """
    return roster.list_runs(Path())


def abandon_run(name: str, *, approver: str) -> Path:
    """Give a run up for good; its journal. Its files stay, and a rollback still takes it back.

    ``name`` is the run's id or enough of its beginning. Raises JournalError where there is no such
    run, StaleError where it is finished, LockedError while a process works on it.
    """
    around = around_here(ignore, None)
    holder = holder_for(around, Path(runs.JOURNAL_LINK))
    return roster.abandon(Path(), name, approver, holder, around.clock).journal


def recover_run(
    address: str, *, run: str | None = None, connection: Path | None = None
) -> tuple[Path, PlanFile]:
    """Bring a run's folder from its mirror ``s3://bucket/prefix``; its journal and its plan.

    ``connection`` is a manifest file with a Connection, without which the usual AWS chain counts.
    ``run`` is needed where the mirror holds several. Raises UsageError where it holds none or
    several, JournalError where the run is here already or what came is damaged.
    """
    return asyncio.run(_recover(address, run, connection))


def locks() -> tuple[LockStatus, ...]:
    """Every lock of this user that is held, and the leases of the latest plan here.

    Raises a StoreError where leases cannot be read, DestinationError where a lock cannot.
    """
    around = around_here(ignore, None)
    return asyncio.run(lockstatus.held_locks(around, lockstatus.plan_of_latest(Path())))


def break_lock(address: str) -> None:
    """Take a lock or lease from a holder that is gone; ``address`` is as :func:`locks` says.

    Raises UsageError where nobody holds it, LockedError where the holder is a living process here.
    """
    around = around_here(ignore, None)
    asyncio.run(lockstatus.take_from_holder(address, around, lockstatus.plan_of_latest(Path())))


async def _recover(address: str, name: str | None, manifest: Path | None) -> tuple[Path, PlanFile]:
    connection = load_connection(manifest) if manifest else Connection()
    async with open_store(connection) as store:
        await store.identify()
        found = await mirrors.runs_in_mirror(store, address)
        meant = [run for run in found if name is None or run.id == name]
        if len(meant) != 1:
            raise UsageError(
                "the mirror holds several runs" if meant else "the mirror holds no such run",
                address=address,
                expected="one run" if name is None else f"run {name}",
                found=", ".join(run.id for run in found) or "none",
                next_step=f"s3plan runs recover {address} --run ID",
            )
        run = await mirrors.recover(store, address, meant[0], Path())
    return run.journal, PlanFile.open(run.plan)
