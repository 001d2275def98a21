"""The archived objects of one bucket, and the download that follows each as it becomes readable."""

from __future__ import annotations

from s3plan.kinds.evacuation.workspace import Workspace
from s3plan.kinds.fields import RestoreFields
from s3plan.kinds.restoring import Archived, archived_in
from s3plan.model.connection import Limits
from s3plan.model.steps import Download, Need, Totals
from s3plan.plan import StepDraft
from s3plan.plan.estimate import download_seconds
from s3plan.rules.counting import counted

_ARCHIVED = """
    SELECT storage_class, archived, count(*), CAST(sum(size) AS BIGINT), min(key)
    FROM evacuation_objects WHERE state = 'download' AND archived IS NOT NULL
    GROUP BY ALL ORDER BY ALL
"""


def archived_objects(work: Workspace, restore: RestoreFields) -> tuple[Archived, ...]:
    """What must be restored before it can be downloaded, by archive."""
    return archived_in(work.rows(_ARCHIVED), restore)


def restored_draft(
    work: Workspace, restore: StepDraft, totals: Totals, limits: Limits
) -> StepDraft:
    """The download of what is restored: each object as soon as it can be read."""
    return StepDraft(
        Download(work.destination, restored=True),
        work.bucket,
        reversibility="free",
        undo="Files that are still as written are removed, where their objects are still in S3.",
        reason=f"{counted(totals.items, 'object')} of {work.bucket}, each as soon as it can be"
        " read.",
        needs=(Need(restore.id, "each"),),
        worklist=restore.id,
        seconds=download_seconds(totals, limits),
    )
