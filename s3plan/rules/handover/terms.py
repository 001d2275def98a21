"""Which steps other programs may be given, and what they would have to be told with each."""

from __future__ import annotations

from msgspec import UNSET

from s3plan.model.connection import Batch, Connection
from s3plan.model.steps import Copy, Download, Restore, Step
from s3plan.rules.endpoints import is_aws
from s3plan.rules.handover.tools import Tool

_VERBS: dict[Tool, tuple[type, ...]] = {
    "s3-batch": (Copy, Restore),
    "rclone": (Copy, Download),
    "s5cmd": (Copy, Download),
}


def why_not(tool: Tool, step: Step) -> str | None:
    """Why a step as a whole cannot be given to a program; None where it can.

    Deletions are not, to any: s3plan looks at each object and its copy right before, which no list
    can say.
    """
    action = step.action
    if not isinstance(action, _VERBS[tool]):
        return f"{tool} has nothing that does what {step.verb} does, under the same conditions"
    if step.worklist is None:
        return "the step has no worklist"
    if not isinstance(action, Copy):
        return None
    if tool == "s3-batch" and (action.encryption or action.kms_key):
        return "the copies get an encryption of their own, which the job is not told"
    return _of_copies(action)


def _of_copies(action: Copy) -> str | None:
    if action.shared:
        return "the step copies nothing: it compares copies of equal objects"
    if action.headers:
        return "the copies get headers of their own besides their sources'"
    if action.tags or action.without_tags or action.tag_templates is not UNSET:
        return "the copies get tags of their own besides their sources'"
    if action.acl == "keep" or action.encryption == "keep":
        return "each copy gets the ACL or the encryption of its own source"
    return None


def declined(connection: Connection, endpoint: str, step: Step) -> str | None:
    """Why S3 Batch Operations is not given a step at an endpoint; None where it is."""
    reason = why_not("s3-batch", step)
    if reason is not None:
        return reason
    told = connection.batch
    if told is None or connection.scratch is None:
        return "the Connection has no spec.batch, or no spec.scratch for manifests and reports"
    if connection.requester_pays:
        return "the Connection accepts to pay for requests (requesterPays), which no job is told to"
    if told.endpoint is None and not is_aws(endpoint):
        return "the endpoint is not AWS's, and spec.batch names none of S3 Control"
    return not_exclusive(told, step)


def not_exclusive(batch: Batch, step: Step) -> str | None:
    """Why S3 Batch Operations must not copy to the step's bucket; None where it may.

    The service knows no condition: it writes over whatever has the new key by then, hours after
    anybody looked. Only who owns the bucket can know that nobody else writes to it.
    """
    if isinstance(step.action, Copy) and step.subject not in batch.exclusive_targets:
        return (
            f"the service would write over what others put into {step.subject} meanwhile, and"
            " nobody declared it exclusive (spec.batch.exclusiveTargets of the Connection)"
        )
    return None
