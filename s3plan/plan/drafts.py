"""A step before the plan is sealed: what planners make; its totals come from its worklist."""

from __future__ import annotations

from msgspec import Struct

from s3plan.model.steps import AnyAction, Gate, Need, Reversibility
from s3plan.plan.digest import step_id


class StepDraft(Struct, frozen=True):
    """One step of a plan to be. Drafts are in order: what a step needs comes before it.

    ``worklist`` is the id of the step under which the rows of the ``items`` table stand: this
    draft's own, an earlier draft's, or None for a step without items. ``needs`` and ``gate`` name
    earlier drafts by id. ``undo``, ``reason``, ``warnings`` and ``meaning`` are sentences; the last
    say what the step means for people and for the bill. ``seconds`` is an estimate, None where
    nothing is known.
    """

    action: AnyAction
    subject: str
    reversibility: Reversibility
    undo: str
    reason: str
    needs: tuple[Need, ...] = ()
    gate: Gate | None = None
    worklist: str | None = None
    seconds: float | None = None
    warnings: tuple[str, ...] = ()
    meaning: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The id that the step will have: made from verb, subject and parameters."""
        return step_id(self.action, self.subject)
