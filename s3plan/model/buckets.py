"""What is known about a bucket besides its objects, and about who is asking."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import Struct

Versioning = Literal["never", "enabled", "suspended"]
"""``never`` is a bucket whose versioning was never touched; suspended buckets keep old versions."""


DocumentName = Literal[
    "abac",
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "lifecycle",
    "logging",
    "metadata-tables",
    "metrics",
    "notification",
    "object-lock",
    "ownership",
    "policy",
    "public-access-block",
    "replication",
    "request-payment",
    "tagging",
    "versioning",
    "website",
]
"""The documents that a bucket's configuration is made of."""

Document: TypeAlias = Any
"""One such document as JSON can hold it: what boto3 gives and takes, without its envelope, times as
RFC 3339, the policy parsed. None is a document that is absent."""


class BucketFacts(Struct, frozen=True):
    """One bucket as the control plane describes it.

    ``configuration`` holds the documents that exist, S3's defaults included. ``absent`` names those
    that the endpoint knows and this bucket does not have, ``unreadable`` those that the caller may
    not read. What is in none of them the endpoint does not know.
    """

    name: str
    region: str
    versioning: Versioning
    requester_pays: bool = False
    object_lock: bool = False
    configuration: dict[DocumentName, Document] = {}
    absent: tuple[DocumentName, ...] = ()
    unreadable: tuple[DocumentName, ...] = ()


class PolicyFinding(Struct, frozen=True):
    """What IAM Access Analyzer says of a policy: ERROR, SECURITY_WARNING, WARNING, SUGGESTION."""

    kind: str
    message: str


class Identity(Struct, frozen=True):
    """Who the credentials are: the 12-digit account and the ARN, as STS tells."""

    account: str
    arn: str
