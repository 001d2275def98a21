"""``import receipts``: what another program did of a step, looked at and put into the journal."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from s3plan.engine.approval import Approval, House
from s3plan.engine.context import Context, Interrupted
from s3plan.engine.execute import judge
from s3plan.engine.handover.looking import Told, look
from s3plan.engine.session import Begun, under_way
from s3plan.engine.signals import Signals
from s3plan.engine.state import GOOD, ItemState
from s3plan.engine.summary import run_began, step_began
from s3plan.engine.surroundings import Surroundings
from s3plan.engine.walk import at_work
from s3plan.errors import HeldError, UsageError
from s3plan.model.handover import Looked
from s3plan.model.journal import RunEnded, StepEnded, StepStarted
from s3plan.model.steps import Copy, Download, Restore, Step
from s3plan.plan.reading import PlanFile

_DIFFERENT = frozenset({"attributes-differ", "copy-differs", "key-taken", "file-differs"})
"""Reasons that say of what is there that it is not as planned."""


async def import_receipts(
    path: Path, step: str, told: Told, approver: str, around: Surroundings, house: House
) -> Looked:
    """Look at everything that a step was to make, and write down what is there.

    ``told`` gives the reasons that the other program had for what is not there. Begins the run of
    the plan, or goes on with it, and approves nothing of it. Raises UsageError for a step that
    nobody else can do, HeldError where steps before it are not done, and what ``session.apply``
    raises.
    """
    plan = PlanFile.open(path)
    named = plan.step(step)
    if not isinstance(named.action, Copy | Download | Restore):
        raise UsageError(
            f"receipts of {named.verb} cannot be imported",
            address=f"{path}, step {step}",
            expected="a step that copies, downloads or restores",
            next_step=f"s3plan show {path}",
        )
    approval = Approval(f"nobody yet; receipts imported by {approver}")
    async with under_way(plan, approval, around, replace(house, required=0)) as begun:
        _check_needs(begun, named)
        async with at_work(
            begun.run, begun.plan, begun.state, begun.journal, begun.store, around, begun.held,
            begun.mirror, house.commands, named=path,
        ) as context:  # fmt: skip
            return await _look(context, named, told)


def _check_needs(begun: Begun, step: Step) -> None:
    """What was done before its time is not what was planned."""
    open_ = [
        need.step
        for need in step.needs
        if need.mode == "after" and not begun.state.step(need.step).done
    ]
    if open_:
        raise HeldError(
            "steps before this one are not done",
            address=f"{begun.plan.path}, step {step.id}",
            expected=f"{', '.join(open_)} done first",
            next_step="s3plan apply does them; then import again",
        )


async def _look(context: Context, step: Step, told: Told) -> Looked:
    state = context.step_state(step)
    interrupted = False
    context.observer(run_began(context))
    context.observer(step_began(context, step))
    await context.journal.commit(StepStarted(step=step.id, time=context.now()))
    state.ended = None
    with Signals(lambda _: context.stop()).handled():
        try:
            await look(context, step, told)
        except Interrupted:
            interrupted = True
    await context.sync()
    ended = StepEnded(step.id, "incomplete", "interrupted", context.now())
    if not interrupted:
        ended = StepEnded(step.id, *judge(context, step), context.now())
    await context.journal.commit(ended)
    context.state.apply(context.journal.seq, ended)
    await context.journal.commit(
        RunEnded(
            outcome="interrupted" if interrupted else "incomplete",
            time=context.now(),
            detail=f"receipts of {step.id} were imported",
        )
    )
    if context.mirror is not None:
        await context.mirror.copy()
    return _told(context, step, interrupted=interrupted)


def _told(context: Context, step: Step, *, interrupted: bool) -> Looked:
    state = context.step_state(step)
    codes = Counter(state.of(n) for n in range(step.totals.items))
    different = Counter(
        state.of(n)
        for (owner, n), problem in context.state.problems.items()
        if owner == step.id and problem.reason in _DIFFERENT
    )
    left = codes - different
    verified = sum(codes[code] for code in GOOD)
    failed, drifted = left[ItemState.FAILED], left[ItemState.DRIFTED]
    return Looked(
        step=step.id,
        subject=step.subject,
        journal=str(context.run.journal),
        totals=step.totals,
        verified=verified,
        missing=step.totals.items - verified - different.total() - failed - drifted,
        differing=different.total(),
        failed=failed,
        drifted=drifted,
        interrupted=interrupted,
        next_step=context.retry_command(),
    )
