"""Walking a plan's graph: each step in its order, behind its needs and its gate.

The walk decides nothing about items; it decides which steps may start. What stops one bucket does
not stop the next. Order within a bucket is the plan's: nothing is deleted before its evidence.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Coroutine, Sequence
from typing import Any

from s3plan.engine.approval import NOUNS, Approval, Ask, decide, waiting_options
from s3plan.engine.context import Context, Interrupted
from s3plan.engine.destination import check_destinations, is_of_the_disk
from s3plan.engine.each import Feed
from s3plan.engine.freezing import thaw
from s3plan.engine.freshness import evidence_there, has_begun, still_holds
from s3plan.engine.guides import write_guides
from s3plan.engine.handlers import waits_for
from s3plan.engine.lanes import Floor, lanes
from s3plan.engine.notifying import notify
from s3plan.engine.runners.opening import Runners
from s3plan.engine.signals import Signals
from s3plan.engine.state import GOOD, ItemState
from s3plan.engine.summary import Walk, moved_bytes, run_began, step_began, summary
from s3plan.errors import (
    DestinationError,
    HeldError,
    IncompleteError,
    JournalError,
    LockLostError,
    S3PlanError,
)
from s3plan.model.events import (
    GateReached,
    RunFinished,
    StepFinished,
    Stopping,
    Warned,
)
from s3plan.model.journal import (
    Approved,
    Declined,
    GateRecord,
    RunEnded,
    StepEnded,
    StepOutcome,
    StepStarted,
)
from s3plan.model.steps import (
    Configure,
    Download,
    Extract,
    Restore,
    Step,
    Verify,
    Verifying,
    approval_class,
)
from s3plan.rules.approvals import approvals_of
from s3plan.tables import warm_up

_FIRST_REQUESTS = 0.05
"""Seconds from the walk's beginning until its first step has sent what it begins with."""


async def execute(
    context: Context, runners: Runners, approval: Approval, ask: Ask | None
) -> RunFinished:
    """Run every step that may run, and end the session with a record and a summary."""
    began = time.monotonic()
    before = moved_bytes(context)
    walk = Walk()
    context.observer(run_began(context))
    try:
        await context.in_thread(write_guides, context.run, context.plan, context.state)
        await _walk(context, runners, walk, approval, ask)
        await context.in_thread(write_guides, context.run, context.plan, context.state)
        await thaw(context, walk)
        context.check_held()  # a lease that is lost stops the walk as a signal does
        moved = moved_bytes(context) - before
        finished = summary(context, walk, time.monotonic() - began, moved)
        if finished.outcome != "interrupted":
            await notify(
                context,
                finished.outcome,
                finished.exit_code,
                finished.message,
                finished.next_step or "",
            )
        await context.journal.commit(
            RunEnded(outcome=finished.outcome, time=context.now(), detail=finished.message)
        )
        await _mirror(context)
    except (JournalError, DestinationError, LockLostError) as error:
        # Nothing can be recorded or made durable any more: what was done is what the journal says.
        stopped = IncompleteError(
            f"the run stopped: {error.what}",
            address=error.address,
            expected=error.expected,
            found=error.found,
            next_step=f"{error.next_step or 'repair that'}; then {context.retry_command()}",
        )
        with contextlib.suppress(S3PlanError):  # the journal may be what is lost
            await notify(
                context,
                "incomplete",
                stopped.exit_code,
                str(stopped),
                stopped.next_step or "",
            )
        raise stopped from error
    context.observer(finished)
    return finished


async def _walk(
    context: Context, runners: Runners, walk: Walk, approval: Approval, ask: Ask | None
) -> None:
    signals = Signals(lambda number: _stop(context, number))
    session = Session(context, runners, walk, approval, _interruptible(context, signals, ask))
    with signals.handled():
        syncing = asyncio.create_task(context.sync_regularly())
        warming = asyncio.create_task(_warm_up())
        try:
            await _lanes(session)
        except Interrupted:
            # What stopped the run is told by its own step, and is no wish of a person.
            walk.interrupted = not walk.broken
        finally:
            for beside in (syncing, warming):
                beside.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await beside
        await context.sync()


async def _warm_up() -> None:
    """The first gate needs tables: what they are made of is loaded while S3 is waited for, and not
    before the first requests are on their way.
    """
    await asyncio.sleep(_FIRST_REQUESTS)
    await asyncio.to_thread(warm_up)


class Session:
    """What every step of a walk is given."""

    def __init__(
        self, context: Context, runners: Runners, walk: Walk, approval: Approval, ask: Ask | None
    ) -> None:
        self.context = context
        self.runners = runners
        self.walk = walk
        self.approval = approval
        self.ask = ask
        self.floor = Floor(context)


async def _lanes(session: Session) -> None:
    """Walk the lanes, as many side by side as the plan says; raises what stopped the first."""
    waiting = iter(lanes(session.context.plan.steps))

    async def work() -> None:
        for lane in waiting:
            async with session.floor.working():
                await _lane(session, lane)

    workers = [asyncio.create_task(work()) for _ in range(session.context.plan.header.side_by_side)]
    _raise_first(await asyncio.gather(*workers, return_exceptions=True))


async def _lane(session: Session, lane: Sequence[Step]) -> None:
    """One lane's steps in their order; those that an `each` edge joins run beside the others."""
    joined = _join(session.context, lane)
    beside: dict[str, asyncio.Task[None]] = {}

    def begin(step: Step) -> None:
        beside[step.id] = asyncio.create_task(_stopping(session, _fed(session, lane, step)))

    async def in_order() -> None:
        for step in lane:
            # S3 takes hours to restore: what needs nothing else begins at once.
            if step.id in joined and all(need.mode == "each" for need in step.needs):
                begin(step)
        for step in lane:
            for need in step.needs:
                if need.mode == "after" and need.step in beside:
                    await asyncio.wait([beside[need.step]])
            if step.id not in joined:
                await _step(session, lane, step)
            elif step.id not in beside:
                begin(step)

    first = await asyncio.gather(_stopping(session, in_order()), return_exceptions=True)
    others = await asyncio.gather(*beside.values(), return_exceptions=True)
    _raise_first([*first, *others])


async def _stopping(session: Session, work: Coroutine[Any, Any, None]) -> None:
    """Do ``work``; when it cannot go on, nothing beside it does.

    The journal or a lock is lost, or the run is to stop.
    """
    try:
        await work
    except BaseException:
        session.context.stop()
        raise


def _raise_first(ended: Sequence[BaseException | None]) -> None:
    """Raise what stopped the first: an interruption is what the others make of it."""
    failed = [error for error in ended if error is not None]
    for error in sorted(failed, key=lambda error: isinstance(error, Interrupted)):
        raise error


def _join(context: Context, lane: Sequence[Step]) -> set[str]:
    """Lay the lane's `each` edges; the steps that they join."""
    steps = {step.id: step for step in lane}
    news: dict[str, asyncio.Event] = {}
    joined: set[str] = set()
    for step in lane:
        for need in step.needs:
            if need.mode == "each":
                before = steps[need.step]
                feed = Feed(
                    context.plan,
                    (before, step),
                    (context.step_state(before), context.step_state(step)),
                    lambda: context.clock().timestamp(),
                    news.setdefault(before.id, asyncio.Event()),
                )
                context.feeds.append(feed)
                joined |= {before.id, step.id}
    return joined


async def _fed(session: Session, lane: Sequence[Step], step: Step) -> None:
    """A step with `each` edges; at its end those at their other ends are told."""
    try:
        await _step(session, lane, step)
    finally:
        for feed in session.context.feeds:
            if feed.before.id == step.id:
                feed.close()
            if feed.after.id == step.id:
                feed.leave()


def _stop(context: Context, number: signal.Signals) -> None:
    context.stop()
    context.observer(Stopping("SIGTERM" if number == signal.SIGTERM else "SIGINT"))


def _interruptible(context: Context, signals: Signals, ask: Ask | None) -> Ask | None:
    """``ask``, with Ctrl-C at the prompt ending the session instead of being an answer."""
    if ask is None:
        return None

    def asking(gate: GateReached) -> bool:
        try:
            with signals.prompting():
                return ask(gate)
        except KeyboardInterrupt:
            context.stop()
            raise Interrupted from None

    return asking


async def _step(session: Session, lane: Sequence[Step], step: Step) -> None:
    context, walk = session.context, session.walk
    context.check_stop()
    if context.state.step(step.id).done and not await _must_repeat(context, step):
        walk.outcomes[step.id] = ("done", "")
        return
    # What flows item by item may flow from a step that is not done, or will not be.
    blocked = [
        need.step
        for need in step.needs
        if need.mode == "after" and walk.outcomes[need.step][0] != "done"
    ]
    if blocked:
        outcome = walk.outcomes[blocked[0]][0]
        reason = f"needs {blocked[0]}, which is {outcome}"
        # A held bucket stays held as a whole; anything else that did not finish blocks quietly.
        walk.outcomes[step.id] = ("held" if outcome == "held" else "skipped", reason)
        return
    began = time.monotonic()
    context.observer(step_began(context, step))
    try:
        if isinstance(step.action, Download | Extract):
            await check_destinations(context, lane)
        decision = await _gate(session, step)
        if decision is not None:
            outcome, reason = decision
        else:
            await context.journal.commit(StepStarted(step=step.id, time=context.now()))
            context.state.step(step.id).ended = None
            await session.runners.run(context, step)
            outcome, reason = judge(context, step)
    except Interrupted:
        await _end_step(context, step, walk, "incomplete", "interrupted", began)
        raise
    except HeldError as error:
        outcome, reason = "held", str(error)
        walk.errors.append(error)
    except (JournalError, LockLostError):
        raise
    except S3PlanError as error:
        outcome, reason = "incomplete", str(error)
        walk.errors.append(error)
        if is_of_the_disk(error):
            # Every other bucket would meet the same.
            walk.broken = True
            context.stop()
    if outcome == "held" and step.gate is not None:
        gate = context.state.gates.get(step.gate.evidence)
        if gate is not None and gate.passes:
            walk.waiting.append(waiting_options(context, gate))
    await _end_step(context, step, walk, outcome, reason, began)


async def _end_step(
    context: Context, step: Step, walk: Walk, outcome: StepOutcome, reason: str, began: float
) -> None:
    walk.outcomes[step.id] = (outcome, reason)
    # A step is done only after its files are: the next one may delete what they are copies of.
    await context.sync()
    record = StepEnded(step=step.id, outcome=outcome, reason=reason, time=context.now())
    await context.journal.commit(record)
    context.state.apply(context.journal.seq, record)
    await _mirror(context)
    context.observer(
        StepFinished(step.id, step.verb, step.subject, outcome, reason, time.monotonic() - began)
    )


async def _mirror(context: Context) -> None:
    """Copy the run folder where a mirror was asked for; what fails here is tried again later.

    A step that changes S3 does not begin before its mirror has its first intent, so nothing rests
    on this copy yet.
    """
    if context.mirror is None:
        return
    try:
        await context.mirror.copy()
    except LockLostError:
        context.stop()
        raise
    except S3PlanError as error:
        context.observer(Warned(f"the journal could not be mirrored: {error}"))


def judge(context: Context, step: Step) -> tuple[StepOutcome, str]:
    """How a step that ran to its end stands, from its items or its gate."""
    if isinstance(step.action, Verifying):
        gate = context.state.gates[step.id]
        return ("done", "") if gate.passes else ("held", "the verification did not pass")
    state = context.state.step(step.id)
    if isinstance(step.action, Configure):
        problem = context.state.problems.get((step.id, 0))
        if problem is None:
            return "done", ""
        return ("done" if problem.outcome == "kept" else "incomplete"), problem.message
    if step.worklist is None:
        return "done", ""
    good = sum(state.count(code) for code in GOOD)
    if good == step.totals.items:
        return "done", ""
    if good + state.count(ItemState.KEPT) == step.totals.items:
        return "done", f"{state.count(ItemState.KEPT):,} left alone"
    return (
        "incomplete",
        f"{step.totals.items - good:,} of {step.totals.items:,} items did not end well",
    )


async def _gate(session: Session, step: Step) -> tuple[StepOutcome, str] | None:
    """None if the step may start, else how it ends without starting."""
    if not session.approval.covers(step):
        return "held", f"{approval_class(step.action)} is not among the classes that were approved"
    context = session.context
    if step.gate is None:
        return None
    # Before anybody is asked: what is approved could not be done.
    waits = await waits_for(context, step)
    if waits:
        return "held", "; ".join(waits)
    gate = await _fresh_gate(session, step)
    if not gate.passes:
        return "held", "the verification did not pass"
    asked = False
    for what in approvals_of(gate):
        decision = decide(context, step, gate, what, session.approval, None)
        if decision is None and session.ask is not None:
            async with session.floor.alone():
                decision = decide(context, step, gate, what, session.approval, session.ask)
        match decision:
            case None:
                return "held", f"waits for approval of the {NOUNS[what]}"
            case Declined():
                await context.journal.commit(decision)
                context.state.apply(context.journal.seq, decision)
                return "held", f"the {NOUNS[what]} was declined"
            case Approved() if decision is not context.state.approvals.get((gate.subject, what)):
                await context.journal.commit(decision)
                context.state.apply(context.journal.seq, decision)
        asked = asked or decision.how == "prompt"
    if not asked:
        return None
    # The prompt may have been open for hours: what was verified must still be so now.
    after = await _fresh_gate(session, step)
    if not after.passes:
        return "held", "the verification did not pass when it was repeated before the deletion"
    if after.evidence != gate.evidence:
        return "held", "the evidence changed after it was approved"
    return None


async def _fresh_gate(session: Session, step: Step) -> GateRecord:
    """The gate's record, made anew unless everything is still as it was verified."""
    assert step.gate is not None
    context = session.context
    gate = context.state.gates[step.gate.evidence]
    if await still_holds(context, step, gate):
        return gate
    verifying = next(one for one in context.plan.steps if one.id == gate.step)
    await session.runners.run(context, verifying)
    return context.state.gates[verifying.id]


async def _must_repeat(context: Context, step: Step) -> bool:
    """Whether a finished step has to run again in this session.

    A download is repeated for files that a power cut may have taken (its items are unknown again);
    a verification whose evidence is gone is made again while nothing was deleted on it.
    """
    if isinstance(step.action, Download | Extract):
        state = context.state.step(step.id)
        return sum(state.count(code) for code in GOOD) < step.totals.items
    if isinstance(step.action, Restore):
        # Copies expire: they are watched over until all that needs them has had them.
        for other in context.plan.steps:
            if any(need.step == step.id and need.mode == "each" for need in other.needs) and (
                not context.state.step(other.id).done or await _must_repeat(context, other)
            ):
                return True
        return False
    if isinstance(step.action, Verify) and not has_begun(context, step.subject):
        gate = context.state.gates.get(step.id)
        return gate is None or not evidence_there(context, gate)
    return False
