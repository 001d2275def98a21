"""Taking copies within S3 back: whatever the run may have made, looked at when its turn comes."""

from __future__ import annotations

from s3plan.engine.state import ItemState, RunState
from s3plan.engine.undoing import fill_items, kept_if_any
from s3plan.model.steps import Copy, RemoveCopy
from s3plan.plan.drafts import StepDraft
from s3plan.plan.reading import PlanFile
from s3plan.tables import Database

_MADE = (
    ItemState.VERIFIED,
    ItemState.UNKNOWN,
    ItemState.MISMATCHED,
    ItemState.FAILED,
)
"""States of a copy item whose copy, or whose unfinished upload, may be there."""


def copy_drafts(plan: PlanFile, state: RunState, database: Database) -> list[StepDraft]:
    """A step for each copy step of the run; none for those that made nothing."""
    drafts: list[StepDraft] = []
    for step in plan.steps:
        if not isinstance(step.action, Copy):
            continue
        draft = StepDraft(
            action=RemoveCopy(source=step.action.source, copied=step.id),
            subject=step.subject,
            reversibility="free",
            undo="copy the objects again",
            reason="the run made these copies; each goes only if its original is there and matches",
        )
        fill_items(plan, state, database, step, draft, _MADE, begun=True)
        drafts += kept_if_any(database, draft)
    return drafts
