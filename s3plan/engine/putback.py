"""The saved configuration of a deleted bucket as steps that put it back, in an order that works.

What objects need comes before they are uploaded, what they would suffer from (lifecycle rules,
notifications, a policy that forbids writing) after it. One document that cannot be put back stops
none that does not rest on it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from s3plan.model.buckets import Document, DocumentName
from s3plan.model.local import CatalogueConfiguration
from s3plan.model.steps import Configure, Need
from s3plan.plan.drafts import StepDraft
from s3plan.rules.bucketdocuments import NOT_PUT, normal, restorable

# Ownership before objects: it says whether their ACLs count. Versioning before objects: each then
# has an id. Encryption before objects: it is what they get where they name none.
BEFORE_OBJECTS: tuple[DocumentName, ...] = ("ownership", "versioning", "encryption")

AFTER_OBJECTS: tuple[DocumentName, ...] = (
    "object-lock",  # its default retention would lock every upload
    "public-access-block",
    "acl",
    "policy",
    "tagging",
    "abac",
    "cors",
    "website",
    "request-payment",
    "accelerate",
    "logging",
    "notification",
    "replication",
    "lifecycle",
    "intelligent-tiering",
    "inventory",
    "metrics",
    "analytics",
)

_RESTS_ON: dict[DocumentName, tuple[DocumentName, ...]] = {
    "acl": ("ownership", "public-access-block"),
    "policy": ("public-access-block",),
    "logging": ("acl", "policy"),
    "replication": ("versioning",),
    "abac": ("tagging",),
}
"""Documents that S3 refuses before others: a public policy under a block, for example."""

_GIVEN: frozenset[DocumentName] = frozenset({"public-access-block", "ownership"})
"""What S3 gives a new bucket unasked: where the old one had none it has to go again."""


def put_back(
    bucket: str,
    saved: CatalogueConfiguration,
    documents: Collection[DocumentName],
    before: Sequence[StepDraft],
    *,
    aws: bool,
) -> Iterator[StepDraft]:
    """Configure steps for those of ``documents`` that a new bucket does not have as they were.

    ``before`` are the steps that made the bucket and filled it. ``aws`` tells S3 itself from other
    servers.
    """
    made: dict[DocumentName, StepDraft] = {
        draft.action.document: draft
        for draft in before
        if isinstance(draft.action, Configure) and draft.subject == bucket
    }
    whole = [draft for draft in before if not isinstance(draft.action, Configure)]
    for name in documents:
        document = restorable(name, saved.documents.get(name), aws=aws)
        if name in NOT_PUT or not _differs(name, document, saved, aws=aws):
            continue
        rests = [made[other] for other in _RESTS_ON.get(name, ()) if other in made]
        draft = StepDraft(
            action=Configure(document=name, after=document, fresh=True),
            subject=bucket,
            reversibility="free",
            undo="goes with the bucket, which is deleted if it is empty",
            reason=_reason(name, document),
            needs=tuple(Need(earlier.id) for earlier in (*whole, *rests)),
        )
        made[name] = draft
        yield draft


def _differs(
    name: DocumentName, document: Document, saved: CatalogueConfiguration, *, aws: bool
) -> bool:
    """Whether a new bucket may not have it as it was."""
    if name in _GIVEN or (aws and name == "encryption"):
        return name in saved.documents or name in saved.absent
    return normal(name, document) is not None


def _reason(name: DocumentName, document: Document) -> str:
    if document is None:
        return f"the bucket had no {name}, and S3 may give a new one some"
    return f"the {name} that the bucket had is in the catalogue"
