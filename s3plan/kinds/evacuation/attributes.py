"""What of objects has to be asked for one by one before they are deleted, and what is not asked.

A GET brings headers, metadata, and how many tags there are. An ACL counts only where the bucket
allows ACLs, which its ownership controls tell; annotations only S3 itself has.
"""

from __future__ import annotations

from s3plan.inventory.annotations import Annotated
from s3plan.model.buckets import BucketFacts
from s3plan.model.steps import Attribute

_ENFORCED = "BucketOwnerEnforced"


def asked_attributes(facts: BucketFacts, annotated: Annotated | None) -> tuple[Attribute, ...]:
    """What the verification asks of every object; nothing for a bucket as S3 makes them today."""
    asked: list[Attribute] = []
    if _allows_acls(facts):
        asked.append("acl")
    if annotated is not None and annotated.keys:
        asked.append("annotations")
    return tuple(asked)


def verification_notes(asked: tuple[Attribute, ...]) -> tuple[str, ...]:
    """What the requests are for, and what becomes of what they find."""
    notes = {
        "acl": "The bucket allows ACLs: each object's is asked for (one request each), and saved.",
        "annotations": "Objects here have annotations, which are not saved: all are asked for (one"
        " request each), and are a loss to approve.",
    }
    return tuple(notes[one] for one in asked)


def deletion_warnings(annotated: Annotated | None) -> tuple[str, ...]:
    """What nobody looked at, and deletion may therefore lose."""
    if annotated is None or annotated.keys:
        return ()
    if annotated.refused:
        return (
            "Annotations may not be listed (s3:ListObjectAnnotations): what objects have of them is"
            " lost.",
        )
    return (
        f"Annotations were looked for at {annotated.looked_at} objects, and none found; the others"
        " were not asked.",
    )


def _allows_acls(facts: BucketFacts) -> bool:
    """Whether an object may have an ACL of its own.

    Without ownership controls a bucket is from before April 2023 and allows them
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html); so may one
    whose controls cannot be read, or that is at a server without such controls.
    """
    controls = facts.configuration.get("ownership") or {}
    return _ENFORCED not in [rule.get("ObjectOwnership") for rule in controls.get("Rules", [])]
