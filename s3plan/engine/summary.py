"""What a session tells: how it begins, and its closing summary with the outcome and what to type.

Pure over the run's state and over how its steps ended.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from s3plan.engine import runs
from s3plan.engine.context import Context
from s3plan.engine.state import GOOD, WAITING, ItemState
from s3plan.errors import S3PlanError
from s3plan.model.events import RunBegan, RunFinished, StepBegan
from s3plan.model.journal import RunOutcome, StepOutcome
from s3plan.model.steps import (
    Archive,
    Copy,
    Download,
    Extract,
    Step,
    Totals,
    Upload,
    Verifying,
)
from s3plan.rules.commands import monitor_command
from s3plan.rules.effects import effect_of

NAMES = 100
"""Failed names in the closing summary."""


@dataclass(slots=True)
class Walk:
    """How the steps of this session ended. ``broken`` says that a disk stopped all of them."""

    outcomes: dict[str, tuple[StepOutcome, str]] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    """Options that open the gates that wait."""
    errors: list[S3PlanError] = field(default_factory=list)
    interrupted: bool = False
    broken: bool = False


def run_began(context: Context) -> RunBegan:
    """The run with all its steps, and what earlier sessions did of them."""
    totals, done = Totals(), Totals()
    for step in context.plan.steps:
        totals = totals + step.totals
        done = done + _done(context, step)
    return RunBegan(
        context.run.id,
        "rollback" if context.plan.header.rollback_of else "apply",
        context.state.sessions > 1,
        totals,
        done,
    )


def step_began(context: Context, step: Step) -> StepBegan:
    """A step, and how much of it is behind."""
    return StepBegan(step.id, step.verb, step.subject, step.totals, _done(context, step))


def _done(context: Context, step: Step) -> Totals:
    state = context.state.step(step.id)
    return Totals(sum(state.count(code) for code in GOOD), state.done_bytes)


def moved_bytes(context: Context) -> int:
    """Bytes that the run has moved over the network so far."""
    return sum(
        context.state.step(step.id).done_bytes
        for step in context.plan.steps
        if isinstance(step.action, Download | Upload | Archive | Extract)
    )


def summary(context: Context, walk: Walk, seconds: float, moved: int) -> RunFinished:
    """The closing summary: counts over the whole run, the outcome, and what to type next."""
    count = dict.fromkeys(ItemState, 0)
    verbs: dict[str, Totals] = {}
    for step in context.plan.steps:
        if isinstance(step.action, Verifying):
            continue
        state = context.state.step(step.id)
        for code in ItemState:
            count[code] += state.count(code)
        verbs[step.verb] = verbs.get(step.verb, Totals()) + _done(context, step)
    failed = count[ItemState.FAILED] + count[ItemState.MISMATCHED]
    outcome = _outcome(context, walk, failed, count[ItemState.DRIFTED], count[ItemState.KEPT])
    done = sum(verbs.values(), Totals())
    message, next_step = _closing(context, walk, outcome, count)
    total = sum(s.things for s in context.plan.steps if not isinstance(s.action, Verifying))
    return RunFinished(
        run=context.run.id,
        outcome=outcome,
        exit_code=_exit_code(context, outcome),
        done=done.items,
        failed=failed,
        drifted=count[ItemState.DRIFTED],
        skipped=total - done.items - failed - count[ItemState.DRIFTED] - count[ItemState.KEPT],
        kept=count[ItemState.KEPT],
        bytes=moved,
        seconds=seconds,
        message=message,
        next_step=next_step,
        verbs=verbs,
        failed_names=tuple(
            problem.key
            for problem, _ in zip(context.state.problems.values(), range(NAMES), strict=False)
        ),
    )


_EXIT: dict[RunOutcome, int] = {
    "done": 0,
    "superseded": 0,
    "abandoned": 0,
    "rebuilt": 0,
    "failed": 1,
    "incomplete": 3,
    "held": 4,
    "kept": 7,
    "interrupted": 130,
}


def _exit_code(context: Context, outcome: RunOutcome) -> int:
    # A rollback has no gates: what holds it is something that is no longer as the run left it. Not
    # final, unlike "kept": once that is settled, the same rollback goes on.
    if outcome == "held" and context.plan.header.rollback_of is not None:
        return _EXIT["kept"]
    return _EXIT[outcome]


def _outcome(context: Context, walk: Walk, failed: int, drifted: int, kept: int) -> RunOutcome:
    """Incomplete outranks held: a person must look at failures before approving anything."""
    ended = [outcome for outcome, _ in walk.outcomes.values()]
    if walk.interrupted:
        return "interrupted"
    if failed or drifted or "incomplete" in ended:
        return "incomplete"
    if "held" in ended:
        return "held"
    if kept:
        return "kept"
    return "done"


def _is_for_good(context: Context) -> bool:
    """Whether nothing that the plan did can be undone."""
    doing = [step for step in context.plan.steps if effect_of(step.action) != "reads"]
    return bool(doing) and all(step.reversibility == "never" for step in doing)


def _closing(
    context: Context, walk: Walk, outcome: RunOutcome, count: dict[ItemState, int]
) -> tuple[str, str | None]:
    """The last sentence and the next command."""
    match outcome:
        case "done" if context.plan.header.rollback_of:
            return "done", None
        case "done" if _is_for_good(context):
            return "done; it cannot be taken back", None
        case "done":
            back = f"done; `s3plan rollback {runs.JOURNAL_LINK}` takes it back"
            steps = context.plan.steps
            if any(isinstance(step.action, Copy) and step.action.soak for step in steps):
                return f"{back}; `{monitor_command(str(context.run.journal))}` watches it", None
            return back, None
        case "interrupted":
            restoring = sum(count[code] for code in WAITING)
            goes_on = f"; S3 goes on restoring {restoring:,} objects" if restoring else ""
            return f"interrupted; the journal is consistent{goes_on}", context.retry_command()
        case "incomplete":
            reason = "; ".join(dict.fromkeys(str(error) for error in walk.errors))
            if count[ItemState.DRIFTED] and not count[ItemState.FAILED]:
                return (
                    reason or "some things are no longer as planned and were left alone",
                    "s3plan plan again, and review what changed",
                )
            return reason or "some items failed", context.retry_command()
        case "held":
            held = [reason for result, reason in walk.outcomes.values() if result == "held"]
            subjects = {
                step.subject for step in context.plan.steps
                if step.id in walk.outcomes and walk.outcomes[step.id][0] == "held"
            }  # fmt: skip
            # One command with every approval, where several gates wait.
            return (
                f"held: {held[0]}; remaining: {len(subjects)}",
                " ".join([context.retry_command(), *walk.waiting]),
            )
        case "kept":
            return (
                "some things are no longer as the run left them, or the last copy: left alone",
                None,
            )
        case _:
            return outcome, None
