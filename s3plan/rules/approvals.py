"""Which approvals a gate takes, and which of them are still missing."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UNSET

from s3plan.model.events import GateReached
from s3plan.model.journal import Approved, Approves, GateRecord

Given = Mapping[tuple[str, Approves], Approved]
"""What was approved last, by subject and kind."""


def approvals_of(gate: GateRecord | GateReached) -> tuple[Approves, ...]:
    """What has to be approved before anything is done on this evidence, in the order asked."""
    if gate.takes is not UNSET:
        return gate.takes
    return ("delete", "loss") if gate.losses else ("delete",)


def is_approved(given: Given, gate: GateRecord, what: Approves) -> bool:
    """Whether a person approved exactly this evidence."""
    approved = given.get((gate.subject, what))
    return approved is not None and approved.evidence == gate.evidence


def missing_approvals(given: Given, gate: GateRecord) -> tuple[Approves, ...]:
    """What nobody has approved yet on this evidence."""
    return tuple(what for what in approvals_of(gate) if not is_approved(given, gate, what))
