"""Taking a grouping back: first the table of URLs, then the copies that it named.

Whatever the run may have made is in the plan, and looked at when its turn comes. Copies stay where
the table could not be put back: its URLs name them.
"""

from __future__ import annotations

from s3plan.engine.state import ItemState, RunState
from s3plan.engine.undoing import fill_items, kept_if_any
from s3plan.model.steps import Copy, Need, RemoveCopy, RestoreFile
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


def grouping_drafts(plan: PlanFile, state: RunState, database: Database) -> list[StepDraft]:
    """A step for each table and each copy step of the run; none for those that made nothing."""
    drafts = _tables(plan, state)
    needs = tuple(Need(draft.id) for draft in drafts)
    for step in plan.steps:
        if not isinstance(step.action, Copy):
            continue
        draft = StepDraft(
            action=RemoveCopy(source=step.action.source, copied=step.id),
            subject=step.subject,
            reversibility="free",
            undo="copy the objects again",
            reason="the run made these copies; each goes only if its original is there and matches",
            needs=needs,
        )
        fill_items(plan, state, database, step, draft, _MADE, begun=True)
        drafts += kept_if_any(database, draft)
    return drafts


def _tables(plan: PlanFile, state: RunState) -> list[StepDraft]:
    """Tables that the run replaced, or was about to."""
    return [
        StepDraft(
            action=RestoreFile(
                file=record.file, backup=record.backup, before=record.before, after=record.after
            ),
            subject=step.subject,
            reversibility="free",
            undo="rewrite the table again",
            reason="the run replaced the table; its backup goes back only over what the run left",
        )
        for step in plan.steps
        if (record := state.rewritten.get(step.id)) is not None
    ]
