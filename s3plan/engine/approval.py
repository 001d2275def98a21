"""Who approved what: the plan's digest before the first request, evidence before a deletion."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, assert_never

from s3plan.engine.context import Context
from s3plan.engine.state import RunState
from s3plan.errors import ApprovalError, HeldError, StaleError, UsageError
from s3plan.model.approvals import PlanApproval
from s3plan.model.commands import Command
from s3plan.model.events import GateReached
from s3plan.model.journal import Approved, Approves, Declined, GateRecord
from s3plan.model.limits import Limits
from s3plan.model.runners import RunnerChoice
from s3plan.model.steps import Step, approval_class
from s3plan.plan.reading import PlanFile
from s3plan.rules.approvals import missing_approvals
from s3plan.rules.commands import SHORT_EVIDENCE, approve_options, short
from s3plan.rules.commands_of import commands_of
from s3plan.rules.effects import effect_of

Ask = Callable[[GateReached], bool]
"""Shows a gate's figures to a person and tells whether the answer was the word yes."""

NOUNS: Final[dict[Approves, str]] = {"delete": "deletion", "loss": "loss", "replace": "replacement"}
"""What an approval is of, in sentences."""

_HEX = re.compile(r"[0-9a-f]{12,64}\Z")


@dataclass(frozen=True, slots=True)
class Approval:
    """What a person approved before the run.

    ``digest`` is ``sha256:`` and at least 12 hex digits, or None for the plan as it is named.
    ``deletes``, ``losses`` and ``replacements`` hold the evidence approved for a subject, as a gate
    printed it.
    ``classes`` are those that were approved (``approval_class``), None for all of them. ``granted``
    are approvals from elsewhere, such as a pull request's reviews; None where there is no file of
    them.
    """

    approver: str
    digest: str | None = None
    deletes: Mapping[str, str] = field(default_factory=dict)
    losses: Mapping[str, str] = field(default_factory=dict)
    classes: frozenset[str] | None = None
    granted: tuple[PlanApproval, ...] | None = None
    replacements: Mapping[str, str] = field(default_factory=dict)

    def covers(self, step: Step) -> bool:
        """Whether the step's class was approved; what only reads needs no approval."""
        reads = effect_of(step.action) == "reads"
        return self.classes is None or reads or approval_class(step.action) in self.classes

    def of(self, what: Approves) -> Mapping[str, str]:
        """The evidence by subject for which this was approved."""
        match what:
            case "delete":
                return self.deletes
            case "loss":
                return self.losses
            case "replace":
                return self.replacements
            case _:
                assert_never(what)


@dataclass(frozen=True, slots=True)
class House:
    """What the project file asks of every apply, limits, and how many approve, and who counts; the
    commands that it defines, and who sends the requests.
    """

    limits: Limits | None = None
    required: int = 0
    approvers: tuple[str, ...] = ()
    commands: Mapping[str, Command] = field(default_factory=dict)
    runners: RunnerChoice = field(default_factory=RunnerChoice)


def check_people(approval: Approval, digest: str, house: House) -> tuple[str, ...]:
    """The names of those elsewhere who approved exactly this plan.

    Raises StaleError where a file of approvals has none for this plan, ApprovalError where fewer
    people than the project file asks for have approved it.
    """
    granted = approval.granted or ()
    names = tuple(dict.fromkeys(given.name for given in granted if given.digest == digest))
    if approval.granted is not None and not names:
        raise StaleError(
            "none of the approvals is for this plan",
            expected=digest,
            found=", ".join(f"{given.name}: {given.digest}" for given in granted[:5]) or "none",
            next_step="have this plan reviewed, or apply the one that was",
        )
    counting = [name for name in names if not house.approvers or name in house.approvers]
    if len(counting) < house.required:
        of_whom = f" of {', '.join(house.approvers)}" if house.approvers else ""
        raise ApprovalError(
            "not enough people have approved the plan",
            expected=f"{house.required}{of_whom}, as the project file says",
            found=", ".join(names) or "nobody",
            next_step="have it reviewed, and give the reviews with --approvals FILE",
        )
    return names


def check_commands(plan: PlanFile, commands: Mapping[str, Command], state: RunState) -> None:
    """Raise StaleError unless the project file defines every command that the plan has yet to run,
    as it did when the plan was made: what was approved is what runs.
    """
    ahead = [step for step in plan.steps if not state.step(step.id).done]
    for ref in (*plan.header.notified, *(ref for s in ahead for ref in commands_of(s.action))):
        defined = commands.get(ref.name)
        if defined is None or defined.ref.digest != ref.digest:
            now = "not at all" if defined is None else shlex.join(defined.argv)
            raise StaleError(
                f"the command {ref.name} is not defined as it was when the plan was made",
                address=f"s3plan.yaml, commands.{ref.name}",
                expected=f"{shlex.join(ref.argv)} ({short(ref.digest)})",
                found=now if defined is None else f"{now} ({short(defined.ref.digest)})",
                next_step="define it so again, or plan again and review that plan"
                if state.header is None
                else "define it so again, or take the run back and plan again",
            )


def check_digest(
    approval: Approval, digest: str, differs: Callable[[str], tuple[str, str] | None]
) -> None:
    """Raise StaleError unless the approved digest is this plan's.

    ``differs`` says how the plan of another digest, if that is at hand, differs from this one, and
    the command that shows it.
    """
    if approval.digest is None:
        return
    wanted = approval.digest.removeprefix("sha256:")
    if not _HEX.match(wanted):
        raise UsageError(
            "this is not a plan digest",
            expected="sha256: and at least 12 hex digits",
            found=approval.digest,
            next_step="copy the digest that `s3plan show` prints",
        )
    if not digest.removeprefix("sha256:").startswith(wanted):
        known = differs(approval.digest)
        raise StaleError(
            "the plan is not the one that was approved",
            expected=approval.digest,
            found=digest if known is None else f"{digest}: {known[0]}",
            next_step="review this plan with `s3plan show`, then approve its digest"
            if known is None
            else f"`{known[1]}` shows what changed; review it, then approve this digest",
        )


def decide(
    context: Context,
    step: Step,
    gate: GateRecord,
    what: Approves,
    approval: Approval,
    ask: Ask | None,
) -> Approved | Declined | None:
    """What was decided at a gate that passes: approved, declined, or nobody has said.

    An approval in the journal, on the command line, or at the prompt counts only for exactly this
    evidence, and only for ``what`` it was given.
    """
    earlier = context.state.approvals.get((gate.subject, what))
    if earlier is not None and earlier.evidence == gate.evidence:
        return earlier
    given = approval.of(what).get(gate.subject)
    if given is not None and _matches(given, gate):
        return _approved(context, gate, what, approval, "option")
    if given is not None:
        raise HeldError(
            f"the {NOUNS[what]} of {gate.subject} was approved on other evidence",
            address=f"s3://{gate.subject}",
            expected=f"{gate.subject}@{gate.evidence[:SHORT_EVIDENCE]}",
            found=f"{gate.subject}@{given}",
            next_step=f"{context.retry_command()} {waiting_options(context, gate)}",
        )
    if ask is None:
        return None
    shown = GateReached(
        gate.subject,
        gate.evidence,
        gate.passes,
        gate.figures,
        step.totals,
        guard=gate.guard,
        losses=gate.losses,
        asks=what,
        takes=gate.takes,
    )
    if ask(shown):
        return _approved(context, gate, what, approval, "prompt")
    return Declined(subject=gate.subject, evidence=gate.evidence, time=context.now(), what=what)


def waiting_options(context: Context, gate: GateRecord) -> str:
    """The options that this gate still takes."""
    missing = missing_approvals(context.state.approvals, gate)
    return approve_options(missing, gate.subject, gate.evidence)


def _approved(
    context: Context,
    gate: GateRecord,
    what: Approves,
    approval: Approval,
    how: Literal["prompt", "option"],
) -> Approved:
    return Approved(
        subject=gate.subject,
        evidence=gate.evidence,
        approver=approval.approver,
        how=how,
        time=context.now(),
        what=what,
    )


def _matches(given: str, gate: GateRecord) -> bool:
    wanted = given.removeprefix("sha256:")
    return bool(_HEX.match(wanted)) and gate.evidence.startswith(wanted)
