"""Freezing a bucket: one statement in its policy that denies writing to everybody.

Reading, deleting and changing the policy stay as they were, so that whoever froze a bucket can
empty it, and thaw it. The statement is known by its Sid; all others are left alone.
"""

from __future__ import annotations

from s3plan.model.buckets import Document

SID = "S3planFreeze"

_DENIED = (
    # PutObject is also what copies, uploads in parts and restores by replication need
    # (https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html).
    "s3:PutObject",
    "s3:PutObjectAcl",
    "s3:PutObjectVersionAcl",
    "s3:PutObjectTagging",
    "s3:PutObjectVersionTagging",
    "s3:DeleteObjectTagging",
    "s3:DeleteObjectVersionTagging",
    "s3:PutObjectRetention",
    "s3:PutObjectLegalHold",
    "s3:PutObjectAnnotation",
    "s3:ReplicateObject",
    "s3:ReplicateTags",
)


def frozen(bucket: str, region: str, policy: Document) -> Document:
    """``policy`` (None where there is none) with the statement that denies writing."""
    statement = {
        "Sid": SID,
        "Effect": "Deny",
        "Principal": "*",
        "Action": list(_DENIED),
        "Resource": f"arn:{_partition(region)}:s3:::{bucket}/*",
    }
    base = thawed(policy) or {"Version": "2012-10-17", "Statement": []}
    return {**base, "Statement": [*base["Statement"], statement]}


def thawed(policy: Document) -> Document:
    """``policy`` without that statement; None where nothing else is in it."""
    if policy is None:
        return None
    statements = policy.get("Statement", [])
    listed = [statements] if isinstance(statements, dict) else statements
    others = [one for one in listed if one.get("Sid") != SID]
    return {**policy, "Statement": others} if others else None


def _partition(region: str) -> str:
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"
