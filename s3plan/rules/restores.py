"""Restores of archived objects: how long each retrieval option takes, and what an answer tells.

Sources: "Restoring an archived object" and "Archive retrieval options" (Amazon S3 User Guide),
RestoreObject (https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Literal

from s3plan.model.steps import Tier

ArchiveTier = Literal["GLACIER", "DEEP_ARCHIVE", "ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS"]
"""Where an object lies: a storage class, or an archive tier of INTELLIGENT_TIERING."""

_HOUR = 3600

SECONDS: Mapping[tuple[ArchiveTier, Tier], tuple[int, int]] = {
    ("GLACIER", "Expedited"): (60, 300),
    ("GLACIER", "Standard"): (3 * _HOUR, 5 * _HOUR),
    ("GLACIER", "Bulk"): (5 * _HOUR, 12 * _HOUR),
    ("DEEP_ARCHIVE", "Standard"): (0, 12 * _HOUR),
    ("DEEP_ARCHIVE", "Bulk"): (0, 48 * _HOUR),
    ("ARCHIVE_ACCESS", "Expedited"): (60, 300),
    ("ARCHIVE_ACCESS", "Standard"): (3 * _HOUR, 5 * _HOUR),
    ("ARCHIVE_ACCESS", "Bulk"): (5 * _HOUR, 12 * _HOUR),
    ("DEEP_ARCHIVE_ACCESS", "Standard"): (0, 12 * _HOUR),
    ("DEEP_ARCHIVE_ACCESS", "Bulk"): (0, 48 * _HOUR),
}
"""Seconds that a restore typically takes, from and to. What is not in it S3 does not offer."""

ONGOING = "ongoing"
"""What stands for a restore that is under way, where otherwise the time stands at which its copy
expires (RFC 3339)."""

_ONGOING = re.compile(r'ongoing-request="(true|false)"')
_EXPIRY = re.compile(r'expiry-date="([^"]*)"')


def default_tier(storage_class: str) -> Tier:
    """The option that is taken where none is told: of DEEP_ARCHIVE the cheapest."""
    return "Bulk" if storage_class == "DEEP_ARCHIVE" else "Standard"


def is_free(storage_class: str, tier: Tier) -> bool:
    """Whether S3 charges nothing for it: everything of INTELLIGENT_TIERING that is not Expedited.

    Bulk of GLACIER is free too, which its prices say.
    """
    return storage_class == "INTELLIGENT_TIERING" and tier != "Expedited"


def restore_of(header: str | None) -> str | None:
    """What ``x-amz-restore`` says: `ONGOING`, the time at which the copy expires, or None.

    ``ongoing-request="true"``, or ``ongoing-request="false", expiry-date="Fri, 21 Dec 2012
    00:00:00 GMT"``; an object that was not restored has no such header
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html).
    """
    ongoing = _ONGOING.search(header or "")
    if ongoing is None:
        return None
    if ongoing[1] == "true":
        return ONGOING
    expiry = _EXPIRY.search(header or "")
    if expiry is None:
        return None
    try:
        moment = parsedate_to_datetime(expiry[1]).astimezone(UTC)
    except (ValueError, TypeError):
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
