"""Who approved what: the plan's digest before the first request, evidence before a deletion."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from s3plan.engine.context import Context
from s3plan.errors import HeldError, StaleError, UsageError
from s3plan.model.events import GateReached
from s3plan.model.journal import Approved, Declined, GateRecord
from s3plan.model.steps import Step
from s3plan.rules.commands import SHORT_EVIDENCE, approve_delete_option

Ask = Callable[[GateReached], bool]
"""Shows a gate's figures to a person and tells whether the answer was the word yes."""

_HEX = re.compile(r"[0-9a-f]{12,64}\Z")


@dataclass(frozen=True, slots=True)
class Approval:
    """What a person approved before the run.

    ``digest`` is ``sha256:`` and at least 12 hex digits, or None for the plan as it is named.
    ``deletes`` holds the evidence approved for a subject, as a gate printed it.
    """

    approver: str
    digest: str | None = None
    deletes: Mapping[str, str] = field(default_factory=dict)


def check_digest(approval: Approval, digest: str) -> None:
    """Raise StaleError unless the approved digest is this plan's."""
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
        raise StaleError(
            "the plan is not the one that was approved",
            expected=approval.digest,
            found=digest,
            next_step="review this plan with `s3plan show`, then approve its digest",
        )


def open_gate(
    context: Context, step: Step, gate: GateRecord, approval: Approval, ask: Ask | None
) -> Approved | Declined | None:
    """What was decided at a delete gate that passes: approved, declined, or nobody has said.

    An approval in the journal, on the command line, or at the prompt counts only for exactly this
    evidence.
    """
    earlier = context.state.approvals.get(gate.subject)
    if earlier is not None and earlier.evidence == gate.evidence:
        return earlier
    given = approval.deletes.get(gate.subject)
    if given is not None and _matches(given, gate):
        return Approved(
            subject=gate.subject,
            evidence=gate.evidence,
            approver=approval.approver,
            how="option",
            time=context.now(),
        )
    if given is not None:
        raise HeldError(
            f"the deletion of {gate.subject} was approved on other evidence",
            address=f"s3://{gate.subject}",
            expected=f"{gate.subject}@{gate.evidence[:SHORT_EVIDENCE]}",
            found=f"{gate.subject}@{given}",
            next_step=approve_command(context, gate),
        )
    if ask is None:
        return None
    shown = GateReached(
        gate.subject, gate.evidence, gate.passes, gate.figures, step.totals, guard=gate.guard
    )
    if ask(shown):
        return Approved(
            subject=gate.subject,
            evidence=gate.evidence,
            approver=approval.approver,
            how="prompt",
            time=context.now(),
        )
    return Declined(subject=gate.subject, evidence=gate.evidence, time=context.now())


def approve_command(context: Context, gate: GateRecord) -> str:
    """The whole command that opens this gate."""
    return f"{context.retry_command()} {approve_delete_option(gate.subject, gate.evidence)}"


def _matches(given: str, gate: GateRecord) -> bool:
    wanted = given.removeprefix("sha256:")
    return bool(_HEX.match(wanted)) and gate.evidence.startswith(wanted)
