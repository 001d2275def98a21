"""What is known about a bucket besides its objects, and about who is asking."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Versioning = Literal["never", "enabled", "suspended"]
"""``never`` is a bucket whose versioning was never touched; suspended buckets keep old versions."""


class BucketFacts(Struct, frozen=True):
    """One bucket as the control plane describes it.

    ``configuration`` holds the sub-documents that exist, by name (``policy``, ``lifecycle``,
    ``tagging``, ``encryption`` when it is not S3's default, ``cors``, ``website``, ``logging``,
    ``notification``, ``replication``, ``ownership``, ``public-access-block``, ...), each as boto3
    returns it. Under ``unreadable`` stand the names that the caller may not read, which is not
    the same as absent.
    """

    name: str
    region: str
    versioning: Versioning
    requester_pays: bool = False
    object_lock: bool = False
    configuration: dict[str, object] = {}


class Identity(Struct, frozen=True):
    """Who the credentials are: the 12-digit account and the ARN, as STS tells."""

    account: str
    arn: str
