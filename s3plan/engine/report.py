"""A run's status, from its journal and its plan alone: no request, no lock."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import UNSET

from s3plan.engine import runs
from s3plan.engine.state import GOOD, WAITING, ItemState, RunState, StepState
from s3plan.localfs.locks import holder_of
from s3plan.model.journal import GateRecord
from s3plan.model.status import (
    BucketState,
    BucketStatus,
    Counts,
    JobStatus,
    Phase,
    RunStatus,
    StepStatus,
)
from s3plan.model.steps import (
    AbortUploads,
    Archive,
    Configure,
    Copy,
    Delete,
    DeleteBucket,
    DeleteSource,
    Download,
    Extract,
    Purge,
    RemoveCopy,
    Restore,
    Step,
    Verifying,
    VerifyStaged,
)
from s3plan.plan.reading import PlanFile
from s3plan.plan.totals import totals_of
from s3plan.rules.approvals import missing_approvals
from s3plan.rules.commands import apply_command, approve_options, rollback_command

NAMES = 100
"""Failed names in a status."""


def run_status(journal: Path) -> RunStatus:
    """The status of the run that ``journal`` belongs to; of its rollback if one has begun."""
    run = runs.run_of(journal)
    back = _rollback_of(run)
    plan = PlanFile.open(back[0].plan if back else run.plan)
    path = back[0].journal if back else run.journal
    state = back[1] if back else run.state()
    runs.check_plan(plan, state.started.digest)
    return status_of(run, plan, state, path)


def status_of(run: runs.Run, plan: PlanFile, state: RunState, path: Path) -> RunStatus:
    """The status of a run, or of its rollback, as ``state`` has it; ``path`` is the journal."""
    holder = holder_of(run.lock)
    by_bucket: dict[str, list[Step]] = {}
    for step in plan.steps:
        by_bucket.setdefault(step.subject, []).append(step)
    running = holder is not None
    buckets = tuple(
        _bucket(name, steps, state, running=running) for name, steps in by_bucket.items()
    )
    command = state.started.command
    return RunStatus(
        run=run.id,
        command=command,
        journal=str(path),
        digest=state.started.digest,
        outcome=_outcome(state, running=running),
        phase=phase_of(plan, state, running=running),
        running=f"{holder.host}, pid {holder.pid}, since {holder.since}" if holder else None,
        started=state.started.time,
        updated=state.updated,
        totals=plan.header.totals,
        buckets=buckets,
        failures=tuple(
            problem.message
            for problem, _ in zip(state.problems.values(), range(NAMES), strict=False)
        ),
        next_step=_next_step(run, plan, state, buckets, running=running),
    )


def _rollback_of(run: runs.Run) -> tuple[runs.Back, RunState] | None:
    """The rollback of the run that has begun; that of a stage only while it is not finished."""
    if run.rollback_journal.exists():
        return run.back(), run.rollback_state()
    for stage in runs.STAGES:
        if run.back(stage).journal.exists():
            state = run.back_state(stage)
            if state.outcome not in ("done", "kept"):
                return run.back(stage), state
    return None


def _outcome(state: RunState, *, running: bool) -> str:
    if state.rolled_back is not None:
        return "rolled back"
    if running:
        return "running"
    # A journal that just stops was killed: the same command goes on.
    return state.outcome or "interrupted"


def phase_of(plan: PlanFile, state: RunState, *, running: bool) -> Phase:
    """Where a run stands, in the words of the replaced tool."""
    if state.outcome in ("done", "kept", "rebuilt") or state.rolled_back is not None:
        return "complete"
    restores = [
        _counts(step.things, state.step(step.id))
        for step in plan.steps
        if isinstance(step.action, Restore) and not state.step(step.id).done
    ]
    if any(counts.pending + counts.unknown + counts.expired for counts in restores):
        return "glacier_restore"
    if any(counts.restoring for counts in restores):
        return "glacier_wait"
    return "migrate" if state.steps or running else "scanning"


def _next_step(
    run: runs.Run,
    plan: PlanFile,
    state: RunState,
    buckets: tuple[BucketStatus, ...],
    *,
    running: bool,
) -> str | None:
    if running or state.finished:
        return None
    approvals = [bucket.approve for bucket in buckets if bucket.approve]
    if state.started.command == "rollback":
        return rollback_command(os.path.relpath(run.journal), only=plan.header.stage)
    return " ".join([apply_command(os.path.relpath(run.plan), plan.digest), *approvals])


def _bucket(name: str, steps: list[Step], state: RunState, *, running: bool) -> BucketStatus:
    reports = tuple(_step(step, state, running=running) for step in steps)
    by_kind = {type(step.action): report for step, report in zip(steps, reports, strict=True)}
    evidence = [step.gate.evidence if step.gate is not None else step.id for step in steps]
    gates = [state.gates[name] for name in evidence if name in state.gates]
    gate = gates[-1] if gates else None
    synced = all(
        report.state == "done"
        for step, report in zip(steps, reports, strict=True)
        if isinstance(step.action, Download | Copy | Archive | Extract)
    )
    verified = gate is not None and gate.passes
    deleted = any(
        by_kind[kind].state == "done" for kind in (Delete, DeleteSource) if kind in by_kind
    )
    held = any(report.state == "held" for report in reports)
    waits = held and gate is not None and gate.passes and _gated(steps)
    return BucketStatus(
        bucket=name,
        state=_state_of(steps, reports),
        totals=totals_of(steps),
        synced=synced,
        verified=verified,
        deleted=deleted,
        steps=reports,
        figures=gate.figures if gate else {},
        losses=gate.losses if gate else (),
        approve=_waiting(state, gate) if waits and gate else None,
    )


def _waiting(state: RunState, gate: GateRecord) -> str | None:
    """The options that a gate still takes; None where all was approved."""
    missing = missing_approvals(state.approvals, gate)
    return approve_options(missing, gate.subject, gate.evidence) if missing else None


def _gated(steps: list[Step]) -> bool:
    return any(step.gate is not None for step in steps)


def _state_of(steps: list[Step], reports: tuple[StepStatus, ...]) -> BucketState:
    """One word for a bucket, from the first of its steps that is not done."""
    states = [report.state for report in reports]
    if all(state == "done" for state in states):
        return "completed"
    if "held" in states:
        return "held"
    if any(r.state == "incomplete" and r.reason not in ("", "interrupted") for r in reports):
        return "failed"
    if not any(state in ("running", "done") for state in states):
        return "skipped" if "skipped" in states else "pending"
    if any(
        isinstance(step.action, Restore) and report.counts.restoring
        for step, report in zip(steps, reports, strict=True)
    ):
        return "restoring"
    current = next(
        step.action
        for step, report in zip(steps, reports, strict=True)
        if report.state not in ("done", "skipped")
    )
    if isinstance(current, Verifying | VerifyStaged):
        return "verifying"
    if isinstance(
        current, Delete | DeleteSource | AbortUploads | DeleteBucket | RemoveCopy | Purge
    ):
        return "deleting"
    if isinstance(current, Restore):
        return "restoring"
    return "configuring" if isinstance(current, Configure) else "syncing"


def _step(step: Step, state: RunState, *, running: bool) -> StepStatus:
    known = state.step(step.id)
    return StepStatus(
        id=step.id,
        verb=step.verb,
        state=step_state(known, running=running),
        totals=step.totals,
        counts=_counts(step.things, known),
        done_bytes=known.done_bytes,
        reason=known.ended.reason if known.ended else "",
        jobs=_jobs(step, state) or UNSET,
    )


def _jobs(step: Step, state: RunState) -> tuple[JobStatus, ...]:
    jobs = (job for job in state.jobs.values() if job.step == step.id)
    return tuple(JobStatus(job.id, job.stage, job.items, job.status, job.time) for job in jobs)


def step_state(known: StepState, *, running: bool) -> str:
    """One word for a step: how it ended, or how far it is."""
    if known.ended is not None:
        return known.ended.outcome
    if known.started:
        return "running" if running else "incomplete"
    return "pending"


def _counts(things: int, known: StepState) -> Counts:
    count: dict[ItemState, int] = {code: known.count(code) for code in ItemState}
    del count[ItemState.PENDING]
    return Counts(
        done=sum(known.count(code) for code in GOOD),
        verified=count[ItemState.VERIFIED],
        unverifiable=count[ItemState.UNVERIFIABLE],
        mismatched=count[ItemState.MISMATCHED],
        failed=count[ItemState.FAILED],
        drifted=count[ItemState.DRIFTED],
        kept=count[ItemState.KEPT],
        unknown=count[ItemState.UNKNOWN],
        pending=things - sum(count.values()),
        restoring=sum(count[code] for code in WAITING),
        expired=count[ItemState.EXPIRED],
    )
