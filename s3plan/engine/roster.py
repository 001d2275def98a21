"""All runs of a working directory: what they are, and giving one up."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from s3plan.engine import runs
from s3plan.engine.journal import JournalWriter
from s3plan.engine.report import run_status
from s3plan.engine.runners.s3batch.ending import check_no_jobs
from s3plan.engine.runs import Run, timestamp
from s3plan.errors import JournalError, S3PlanError, StaleError
from s3plan.localfs.appendlog import AppendLog
from s3plan.localfs.locks import Holder, hold
from s3plan.model.journal import RunEnded
from s3plan.model.status import RunSummary
from s3plan.rules.commands import rollback_command


def list_runs(directory: Path) -> tuple[RunSummary, ...]:
    """Every run, oldest first. A journal that cannot be read is a summary with a problem."""
    return tuple(_summary(run) for run in runs.runs_in(directory))


def abandon(
    directory: Path, name: str, approver: str, holder: Holder, clock: Callable[[], datetime]
) -> Run:
    """Close a run for good: it is never resumed, and its plan may be applied anew.

    Its files and its catalogue stay; a rollback still takes it back. Raises JournalError where
    there is no such run, StaleError where it is finished, LockedError where a process works on it.
    """
    run = _named(directory, name)
    with hold(run.lock, holder):
        state = run.state()
        if run.rollback_journal.exists() and state.rolled_back is None:
            raise StaleError(
                "a rollback of this run has begun and is not finished",
                address=str(run.journal),
                next_step=rollback_command(os.path.relpath(run.journal)),
            )
        if state.finished:
            raise StaleError(
                "the run is finished",
                address=str(run.journal),
                found="rolled back" if state.rolled_back else str(state.outcome),
                next_step="nothing needs to be given up; `s3plan runs list` shows all runs",
            )
        check_no_jobs(run, state)
        with JournalWriter(AppendLog.open(run.journal)) as journal:
            journal.note(
                RunEnded(
                    outcome="abandoned",
                    time=timestamp(clock()),
                    detail=f"given up by {approver}",
                )
            )
    return run


def _named(directory: Path, name: str) -> Run:
    found = [run for run in runs.runs_in(directory) if name and run.id.startswith(name)]
    if len(found) == 1:
        return found[0]
    raise JournalError(
        "this names several runs" if found else "there is no such run here",
        address=name,
        expected="the id of a run, or enough of its beginning",
        found=", ".join(run.id for run in found) or None,
        next_step="`s3plan runs list` shows the runs of this directory",
    )


def _summary(run: Run) -> RunSummary:
    journal = os.path.relpath(run.journal)
    try:
        status = run_status(run.journal)
    except S3PlanError as error:
        return RunSummary(
            id=run.id, command="", outcome="unreadable", running=None, started="", updated="",
            journal=journal, buckets=(), next_step=f"s3plan status {shlex.quote(journal)}",
            problem=str(error),
        )  # fmt: skip
    return RunSummary(
        id=run.id,
        command=status.command,
        outcome=status.outcome,
        running=status.running,
        started=status.started,
        updated=status.updated,
        journal=journal,
        buckets=tuple(bucket.bucket for bucket in status.buckets),
        next_step=status.next_step,
    )
