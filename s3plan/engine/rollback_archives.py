"""Taking archives back: those that the run made, and uploads of those that it did not finish.

Whatever the run may have made is in the plan, and looked at when its turn comes.
"""

from __future__ import annotations

from s3plan.engine.state import ItemState, RunState
from s3plan.engine.undoing import fill_items, kept_if_any
from s3plan.model.archivesteps import Adopt, Tag
from s3plan.model.steps import (
    Archive,
    Extract,
    PutFiles,
    RemoveArchive,
    RemoveExtracted,
    RemovePut,
)
from s3plan.plan.drafts import StepDraft
from s3plan.plan.reading import PlanFile
from s3plan.tables import ITEMS, Database
from s3plan.tables.database import Value

_WRITTEN = (ItemState.VERIFIED, ItemState.UNKNOWN, ItemState.MISMATCHED, ItemState.FAILED)
"""States of a member whose file may be there."""

_TAGGED = (ItemState.DONE, ItemState.UNKNOWN, ItemState.FAILED)
"""States of an object whose tags may be other ones."""

_MAY_BE_THERE = (ItemState.VERIFIED, ItemState.UNKNOWN, ItemState.FAILED)
"""States of a file whose object may be there."""


def extract_drafts(plan: PlanFile, state: RunState, database: Database) -> list[StepDraft]:
    """A step for each archive out of which the run may have written files."""
    drafts: list[StepDraft] = []
    for step in plan.steps:
        if not isinstance(step.action, Extract):
            continue
        action = step.action
        draft = StepDraft(
            action=RemoveExtracted(
                action.destination,
                action.key,
                action.etag,
                action.index,
                action.digest,
                action.unpacked,
            ),
            subject=step.subject,
            reversibility="free",
            undo="extract the files again",
            reason="the run wrote these files; each goes only if it is as written and its archive"
            " is in S3",
        )
        fill_items(plan, state, database, step, draft.id, _WRITTEN, begun=True)
        drafts += kept_if_any(database, draft)
    return drafts


def archive_drafts(plan: PlanFile, state: RunState, database: Database) -> list[StepDraft]:
    """A step for each bucket that the run may have put archives into."""
    begun: dict[tuple[str, str | None], list[tuple[Archive | Adopt, int]]] = {}
    for step in plan.steps:
        if isinstance(step.action, Adopt) and step.id in state.archives:
            begun.setdefault((step.subject, None), []).append((step.action, 0))
        made = (step.id, 0) in state.uploads or step.id in state.archives
        if isinstance(step.action, Archive) and made:
            place = step.subject, step.action.keep
            begun.setdefault(place, []).append((step.action, step.totals.bytes))
    drafts: list[StepDraft] = []
    for (bucket, keep), archives in begun.items():
        adopted = any(isinstance(action, Adopt) for action, _ in archives)
        what = "archives, or the indexes of some that were there" if adopted else "archives"
        draft = StepDraft(
            action=RemoveArchive(keep),
            subject=bucket,
            reversibility="free",
            undo="archive the files again",
            reason=f"the run made these {what}; each goes only if all its files are still there",
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


def tag_drafts(plan: PlanFile, state: RunState, database: Database) -> list[StepDraft]:
    """A step for each step that may have changed tags: those that the objects had before."""
    drafts: list[StepDraft] = []
    for step in plan.steps:
        if not isinstance(step.action, Tag):
            continue
        draft = StepDraft(
            action=Tag(before=step.action.after, after=step.action.before),
            subject=step.subject,
            reversibility="free",
            undo="change the tags again",
            reason="the run changed these tags; each goes back if it is still as the run left it",
        )
        fill_items(plan, state, database, step, draft.id, _TAGGED)
        drafts += kept_if_any(database, draft)
    return drafts


def put_drafts(plan: PlanFile, state: RunState, database: Database) -> list[StepDraft]:
    """A step for each step that put files; what it did not come to is left out."""
    drafts: list[StepDraft] = []
    for step in plan.steps:
        if not isinstance(step.action, PutFiles):
            continue
        known = state.step(step.id)
        items = [item for item in plan.items(step.id) if known.of(item.n) in _MAY_BE_THERE]
        draft = StepDraft(
            action=RemovePut(step.action.source, step.id),
            subject=step.subject,
            reversibility="free",
            undo="put the files again",
            reason="the run made these objects; each goes only if its file is still there",
        )
        columns: dict[str, list[Value]] = {
            "key": [item.key for item in items],
            "path": [item.path for item in items],
            "size": [item.size for item in items],
            "etag": [item.etag for item in items],
            "modified": [item.modified for item in items],
            "storage_class": [step.action.storage_class for _ in items],
        }
        database.append(ITEMS, columns, {"step": draft.id})
        drafts += kept_if_any(database, draft)
    return drafts
