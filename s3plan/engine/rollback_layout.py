"""Taking a change of layout back: the old forms take their places again.

Whatever the run may have swapped is in the plan, and looked at when its turn comes. What was staged
stays: a LayoutCleanup removes it, and nothing else does.
"""

from __future__ import annotations

from s3plan.engine.state import ItemState, RunState
from s3plan.engine.undoing import fill_items, kept_if_any
from s3plan.model.steps import Swap, SwapBack
from s3plan.plan.drafts import StepDraft
from s3plan.plan.reading import PlanFile
from s3plan.tables import Database

_SWAPPED = (
    ItemState.DONE,
    ItemState.UNKNOWN,
    ItemState.FAILED,
    ItemState.MISMATCHED,
)
"""States of a swap item whose new form may be in place; only the bucket can tell."""


def layout_drafts(plan: PlanFile, state: RunState, database: Database) -> list[StepDraft]:
    """A step for each swap step of the run; none for those that came to nothing."""
    drafts: list[StepDraft] = []
    for step in plan.steps:
        action = step.action
        if not isinstance(action, Swap):
            continue
        draft = StepDraft(
            action=SwapBack(
                swapped=step.id,
                staged=action.staged,
                keeps_old=action.keeps_old,
                window=action.window,
                largest_put=action.largest_put,
            ),
            subject=step.subject,
            reversibility="until",
            undo="change the layout again",
            reason="the run put new forms in place; each old one goes back if it is still there",
        )
        fill_items(plan, state, database, step, draft.id, _SWAPPED)
        drafts += kept_if_any(database, draft)
    return drafts
