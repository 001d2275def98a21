"""Putting versions back: which entries of which keys go on top of what is still in the bucket.

Of a key from which nothing was deleted nothing is put back. Where something was, everything from
the oldest deleted entry upwards is put back in order, also what is still there and newer: it would
lie below what is put on top of it. What is there already is not removed.
"""

from __future__ import annotations

import asyncio

from s3plan.engine.state import ItemState, RunState
from s3plan.engine.undoing import fill_items, kept_if_any
from s3plan.model.buckets import Document
from s3plan.model.steps import Configure, Delete, Kept, Need, Step, Upload
from s3plan.plan.drafts import StepDraft
from s3plan.plan.reading import PlanFile
from s3plan.rules.bucketdocuments import same
from s3plan.store import Store
from s3plan.tables import Database

_ALL = tuple(ItemState)

_ENABLED: Document = {"Status": "Enabled"}
_SUSPENDED: Document = {"Status": "Suspended"}

# Of the whole worklist of the deletion: what is gone, what is still there below or among it.
_STACKS = """
    CREATE OR REPLACE TABLE rollback_stacks AS
    SELECT i.key, max(i.newer) FILTER (WHERE l.key IS NULL) AS oldest,
        count(l.key) AS beneath
    FROM items i LEFT JOIN listing l ON l.key = i.key AND l.version_id = i.version_id
    WHERE i.step = ? GROUP BY i.key"""

_WHOLE = """
    DELETE FROM items USING rollback_stacks s
    WHERE items.step = ? AND s.key = items.key AND (s.oldest IS NULL OR items.newer > s.oldest)"""

_BENEATH = """
    UPDATE items SET beneath = s.beneath FROM rollback_stacks s
    WHERE items.step = ? AND s.key = items.key"""

_STACKED = """
    SELECT count(*) FROM (
        SELECT key FROM items WHERE step = ? GROUP BY key HAVING count(*) + max(beneath) > 1)"""

_AGAIN = """
    SELECT count(*) FROM items i JOIN listing l ON l.key = i.key AND l.version_id = i.version_id
    WHERE i.step = ?"""


async def stack_drafts(
    plan: PlanFile,
    state: RunState,
    store: Store,
    database: Database,
    deleted: Step,
    kept: Kept,
    before: list[StepDraft],
    *,
    there: bool,
) -> list[StepDraft]:
    """The steps that put back what a delete step took; ``listing`` holds what is in the bucket.

    ``kept`` is how the bucket kept versions when the run was planned; ``there`` tells whether the
    bucket is there. A bucket that does not keep versions now does so until all are back.
    """
    if not any(state.step(deleted.id).items):
        return []
    assert isinstance(deleted.action, Delete)
    draft = StepDraft(
        action=Upload(destination=deleted.action.destination, versions=True),
        subject=deleted.subject,
        reversibility="free",
        undo="delete the versions again",
        reason="the run deleted these versions and delete markers; their verified copies are on"
        " disk",
    )
    fill_items(plan, state, database, deleted, draft.id, _ALL)
    database.execute(_STACKS, [draft.id])
    database.execute(_WHOLE, [draft.id])
    database.execute(_BENEATH, [draft.id])
    database.execute("DROP TABLE rollback_stacks")
    found = kept_if_any(database, draft)
    if not found:
        return []
    (stacked,) = database.row(_STACKED, [draft.id])
    (again,) = database.row(_AGAIN, [draft.id])
    live: Document = None
    if there:
        live = await asyncio.to_thread(store.control.document, deleted.subject, "versioning")
    for earlier in before:
        if isinstance(earlier.action, Configure) and earlier.action.document == "versioning":
            live = earlier.action.after
    drafts: list[StepDraft] = []
    enabling = (stacked or kept == "enabled") and not same("versioning", live, _ENABLED)
    if enabling:
        drafts.append(_versioning(deleted.subject, live, _ENABLED, [*before]))
    warnings = ["versions and delete markers get new ids and dates"]
    if again:
        warnings.append(
            f"{again:,} of them are still there and are put back once more, on top of older ones"
        )
    upload = StepDraft(
        action=draft.action,
        subject=draft.subject,
        reversibility=draft.reversibility,
        undo=draft.undo,
        reason=draft.reason,
        needs=tuple(Need(earlier.id) for earlier in (*before, *drafts)),
        worklist=draft.id,
        seconds=found[0].seconds,
        warnings=tuple(warnings),
    )
    drafts.append(upload)
    if kept == "suspended" and (enabling or not there):
        after = _ENABLED if enabling else live
        drafts.append(_versioning(deleted.subject, after, _SUSPENDED, drafts[-1:]))
    return drafts


def _versioning(
    bucket: str, before: Document, after: Document, needs: list[StepDraft]
) -> StepDraft:
    return StepDraft(
        action=Configure(document="versioning", before=before, after=after),
        subject=bucket,
        reversibility="free",
        undo="put this document back again",
        reason="versions can be put on top of each other only where the bucket keeps them"
        if after == _ENABLED
        else "the bucket had versioning suspended",
        needs=tuple(Need(earlier.id) for earlier in needs),
    )
