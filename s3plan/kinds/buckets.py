"""What kinds about buckets themselves share: steps that configure, and buckets that cannot be."""

from __future__ import annotations

from typing import Any

from s3plan.errors import PlanningError
from s3plan.model.buckets import BucketFacts, DocumentName
from s3plan.model.plan import Target
from s3plan.model.steps import Configure, Probe, Reversibility
from s3plan.plan import StepDraft

PUT_BACK = "The old document is put back, where the new one is still there."
_ACTIONS: dict[DocumentName, str] = {
    "encryption": "s3:GetEncryptionConfiguration",
    "lifecycle": "s3:GetLifecycleConfiguration",
    "ownership": "s3:GetBucketOwnershipControls",
    "policy": "s3:GetBucketPolicy",
    "public-access-block": "s3:GetBucketPublicAccessBlock",
}


def configured_step(
    bucket: str,
    document: DocumentName,
    before: Any,
    after: Any,
    reason: str,
    *,
    probe: tuple[Probe, ...] = (),
    meaning: tuple[str, ...] = (),
    warnings: tuple[str, ...] = (),
    reversibility: Reversibility = "free",
    undo: str = PUT_BACK,
) -> StepDraft:
    """A step that makes ``after`` of ``before``."""
    return StepDraft(
        Configure(document, before, after, probe),
        bucket,
        reversibility=reversibility,
        undo=undo,
        reason=reason,
        meaning=meaning,
        warnings=warnings,
    )


def readable(facts: BucketFacts, document: DocumentName) -> Any:
    """The document that the bucket has, None where it has none.

    Raises PlanningError where it may not be read: what is not known is never replaced.
    """
    if document in facts.unreadable:
        raise PlanningError(
            f"the bucket's {document} may not be read, and what is not known is not replaced",
            address=f"s3://{facts.name}",
            expected=f"permission for {_ACTIONS[document]}",
            next_step="s3plan iam MANIFEST prints the policy that s3plan needs",
        )
    return facts.configuration.get(document)


def missing_bucket(bucket: str, target: Target) -> PlanningError:
    """A bucket that is named as such and is not there."""
    account = f", account {target.account}" if target.account else ""
    return PlanningError(
        "there is no such bucket",
        address=f"s3://{bucket}",
        expected=f"a bucket at {target.endpoint}{account}",
        next_step="check its name, the region and the credentials: s3plan list buckets shows"
        " what they see",
    )
