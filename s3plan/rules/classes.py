"""Storage classes and kinds of buckets, as far as they decide what s3plan can do.

Source: StorageClass of the Object data type and "Working with archived objects" (AWS).
"""

from __future__ import annotations

ARCHIVED_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Classes whose objects must be restored before they can be read.

GLACIER_IR is read at once. INTELLIGENT_TIERING has archive tiers too, which a listing does not
show: only the archive status of the object itself tells.
"""


TIERED_CLASS = "INTELLIGENT_TIERING"
"""The class whose objects may lie in an archive tier, of which only HEAD tells."""


def is_directory_bucket(bucket: str) -> bool:
    """Whether the name is one of a directory bucket (S3 Express One Zone), by its suffix."""
    return bucket.endswith("--x-s3")
