"""Taking archives back: those that the run made, and uploads of those that it did not finish.

Whatever the run may have made is in the plan, and looked at when its turn comes.
"""

from __future__ import annotations

from s3plan.engine.state import RunState
from s3plan.engine.undoing import kept_if_any
from s3plan.model.steps import Archive, RemoveArchive
from s3plan.plan.drafts import StepDraft
from s3plan.plan.reading import PlanFile
from s3plan.tables import ITEMS, Database
from s3plan.tables.database import Value


def archive_drafts(plan: PlanFile, state: RunState, database: Database) -> list[StepDraft]:
    """A step for each bucket that the run may have put archives into."""
    begun: dict[str, list[tuple[Archive, int]]] = {}
    for step in plan.steps:
        made = (step.id, 0) in state.uploads or step.id in state.archives
        if isinstance(step.action, Archive) and made:
            begun.setdefault(step.subject, []).append((step.action, step.totals.bytes))
    drafts: list[StepDraft] = []
    for bucket, archives in begun.items():
        draft = StepDraft(
            action=RemoveArchive(),
            subject=bucket,
            reversibility="free",
            undo="archive the files again",
            reason="the run made these archives; each goes only if all its files are still there",
        )
        columns: dict[str, list[Value]] = {
            "key": [action.key for action, _ in archives],
            "path": [action.index for action, _ in archives],
            "size": [size for _, size in archives],
            "etag": [""] * len(archives),
            "modified": [""] * len(archives),
            "storage_class": [action.storage_class for action, _ in archives],
        }
        database.append(ITEMS, columns, {"step": draft.id})
        drafts += kept_if_any(database, draft)
    return drafts
