"""What must hold before anything is written: plan, host and target, and no other run of it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

from s3plan.engine import runs
from s3plan.engine.runs import Run
from s3plan.engine.state import RunState
from s3plan.engine.surroundings import Surroundings
from s3plan.errors import StaleError
from s3plan.model.plan import Target
from s3plan.plan.athand import plan_at_hand
from s3plan.plan.comparison import compare_plans
from s3plan.plan.reading import PlanFile
from s3plan.rules.commands import diff_command, rollback_command
from s3plan.rules.hostbound import is_of_one_host
from s3plan.store import Store


def difference(around: Surroundings, plan: PlanFile, digest: str) -> tuple[str, str] | None:
    """How the plan that was approved, if a file of it is here, differs from ``plan``."""
    folders = [run.folder for run in runs.runs_in(around.directory)]
    approved = plan_at_hand(digest, around.directory, plan.path.parent, *folders)
    if approved is None:
        return None
    changes = compare_plans(approved, plan, shown=0)
    return changes.sentence(), diff_command(str(approved.path), str(plan.path))


def check_host(plan: PlanFile, state: RunState) -> None:
    """A plan's destination is a path on one host; a plan that is about S3 alone goes anywhere.

    A run that has begun may go on elsewhere: the markers of its destinations are in its journal,
    and are looked for before anything is written.
    """
    here = socket.gethostname()
    begun = state.header is not None and bool(state.header.destinations)
    bound = next((step for step in plan.steps if is_of_one_host(step.action)), None)
    if plan.header.host != here and not begun and bound is not None:
        raise StaleError(
            f"the plan was made on another host, and step {bound.id} is about paths there",
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


def unfinished_run(directory: Path, digest: str) -> tuple[Run | None, RunState]:
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
