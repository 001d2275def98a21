"""Multipart uploads that nobody finished: which are aborted before the bucket goes, which hold it.

S3 deletes a general purpose bucket with such uploads in it (of directory buckets alone the page of
AbortMultipartUpload says that they keep it), and their parts are gone without anybody having known
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html).
"""

from __future__ import annotations

from s3plan.kinds.evacuation.workspace import Workspace
from s3plan.model.steps import AbortUploads, Gate, Need
from s3plan.plan import StepDraft, step_id
from s3plan.rules.counting import counted

_NAMED = 5

_ITEMS = """
    INSERT INTO items BY NAME
    SELECT $step AS step, row_number() OVER () - 1 AS n, * FROM (
        SELECT key, '' AS path, size, '' AS etag, latest AS modified, 'STANDARD' AS storage_class,
            upload_id
        FROM uploads WHERE bucket = $bucket AND latest < $before
        ORDER BY key, upload_id
    )
"""

_YOUNG = """
    SELECT key FROM uploads WHERE bucket = $bucket AND coalesce(latest >= $before, true)
    ORDER BY key
"""


def abort_drafts(
    work: Workspace, before: str, needs: tuple[Need, ...], gate: Gate
) -> list[StepDraft]:
    """The step that aborts what nobody added to since ``before``; none where there is nothing."""
    (count,) = work.row(
        "SELECT count(*) FROM uploads WHERE bucket = $bucket AND latest < $before", before=before
    )
    if not count:
        return []
    action = AbortUploads(before)
    identity = step_id(action, work.bucket)
    work.execute(_ITEMS, step=identity, before=before)
    return [
        StepDraft(
            action,
            work.bucket,
            reversibility="never",
            undo="Cannot be undone: what was uploaded of them was never an object.",
            reason=f"{counted(count, 'multipart upload')} that nobody finished, and to which"
            f" nothing was added since {before}.",
            needs=needs,
            gate=gate,
            worklist=identity,
            seconds=round(count / 50, 1),
        )
    ]


def upload_warnings(work: Workspace, before: str, *, hidden: bool) -> tuple[str, ...]:
    """What a person should know of the uploads that are not aborted."""
    if hidden:
        return (
            "Incomplete multipart uploads cannot be listed here (s3:ListBucketMultipartUploads);"
            " if there are any, they go with the bucket.",
        )
    young = [key for (key,) in work.rows(_YOUNG, before=before)]
    if not young:
        return ()
    more = f", and {len(young) - _NAMED:,} more" if len(young) > _NAMED else ""
    return (
        f"{counted(len(young), 'multipart upload')} may still be going on:"
        f" {', '.join(young[:_NAMED])}{more}. They are not aborted, and while they are there the"
        " bucket is not deleted.",
    )
