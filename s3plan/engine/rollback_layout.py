"""Taking a change of layout back: the old forms take their places again.

Whatever the run may have swapped is in the plan, and looked at when its turn comes. What was staged
stays: a LayoutCleanup removes it, and nothing else does.
"""

from __future__ import annotations

from s3plan.engine.state import ItemState, RunState
from s3plan.engine.undoing import fill_items, kept_if_any
from s3plan.model.steps import Reencrypt, Step, Swap, SwapBack
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
        if isinstance(action, Reencrypt) and action.before is not None:
            drafts += _key_of_before(plan, state, database, step, action.kms_key, action.before)
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


def _key_of_before(
    plan: PlanFile, state: RunState, database: Database, step: Step, now: str, before: str
) -> list[StepDraft]:
    """The key that objects had before the run, for those that may have another one now."""
    draft = StepDraft(
        action=Reencrypt(kms_key=before, before=now),
        subject=step.subject,
        reversibility="free",
        undo="give them the other key again",
        reason="the run gave these objects another key",
    )
    fill_items(plan, state, database, step, draft.id, _SWAPPED)
    return kept_if_any(database, draft)
