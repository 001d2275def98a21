"""The archive of a step with its index, if both are still those that were planned with."""

from __future__ import annotations

from s3plan.errors import ArchiveIndexError, NoSuchKeyError
from s3plan.inventory.indexes import read_index
from s3plan.model.archives import Index
from s3plan.model.objects import ObjectHead
from s3plan.model.steps import Extract, RemoveExtracted
from s3plan.store import Bucket


class Opened:
    """An archive as it is in S3 now, and the members that its index names."""

    def __init__(self, head: ObjectHead, index: Index) -> None:
        self.head = head
        self.index = index
        self.members = {member.name: member for member in index.members}


class ArchiveChanged(Exception):
    """The archive or its index is gone, or another one than was planned with; says which."""


async def open_archive(bucket: Bucket, action: Extract | RemoveExtracted) -> Opened:
    """Raises ArchiveChanged, and StoreError where S3 cannot be asked."""
    try:
        index = await read_index(bucket, action.index)
    except ArchiveIndexError as error:
        raise ArchiveChanged(f"{action.index} is damaged") from error
    if index is None:
        raise ArchiveChanged(f"{action.index} is gone")
    if index.digest != action.digest:
        raise ArchiveChanged(f"{action.index} is not the index that was planned with")
    try:
        head = await bucket.head(action.key)
    except NoSuchKeyError as error:
        raise ArchiveChanged(f"{action.key} is gone") from error
    if head.etag != action.etag:
        raise ArchiveChanged(f"{action.key} is not the archive that was planned with")
    return Opened(head, index)
