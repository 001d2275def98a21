"""The archive of a step with its index, if both are still those that were planned with.

Of one without an index the headers take its place, or, where it is packed as one piece, all of it:
they must be those that were planned with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from s3plan.errors import ArchiveIndexError, NoSuchKeyError
from s3plan.inventory.indexes import read_index
from s3plan.inventory.packed import read_packed
from s3plan.inventory.tarheaders import read_entries, read_members
from s3plan.model.archives import Compression, IndexFrame, TarMember
from s3plan.model.objects import ObjectHead
from s3plan.model.steps import Extract, RemoveExtracted
from s3plan.rules.tarheaders import BadTar, digest_of_entries
from s3plan.rules.tarstream import digest_of_tar
from s3plan.store import Bucket


class Opened(NamedTuple):
    """An archive as it is in S3 now, and the members that its index or its headers tell of."""

    head: ObjectHead
    members: Mapping[str, TarMember]
    compression: Compression = "none"
    frames: tuple[IndexFrame, ...] = ()

    @property
    def is_one_piece(self) -> bool:
        """Whether it can be unpacked from its beginning only."""
        return self.compression != "none" and not self.frames


class ArchiveChanged(Exception):
    """The archive or its index is gone, or another one than was planned with; says which."""


async def open_archive(bucket: Bucket, action: Extract | RemoveExtracted) -> Opened:
    """Raises ArchiveChanged, and StoreError where S3 cannot be asked."""
    if not action.index:
        return await (_by_content if action.unpacked else _by_headers)(bucket, action)
    try:
        index = await read_index(bucket, action.index)
    except ArchiveIndexError as error:
        raise ArchiveChanged(f"{action.index} is damaged") from error
    if index is None:
        raise ArchiveChanged(f"{action.index} is gone")
    if index.digest != action.digest:
        raise ArchiveChanged(f"{action.index} is not the index that was planned with")
    head = await _planned(bucket, action)
    members = {
        one.name: TarMember(one.name, one.offset, one.size, one.sha256) for one in index.members
    }
    return Opened(head, members, index.header.compression, index.frames)


async def _by_headers(bucket: Bucket, action: Extract | RemoveExtracted) -> Opened:
    head = await _planned(bucket, action)
    try:
        entries = await read_entries(bucket, head)
    except BadTar as error:
        raise ArchiveChanged(f"{action.key} is no whole tar: {error}") from error
    if digest_of_entries(entries) != action.digest:
        raise ArchiveChanged(f"{action.key} has other headers than were planned with")
    return Opened(head, await read_members(bucket, head, entries))


async def _by_content(bucket: Bucket, action: Extract | RemoveExtracted) -> Opened:
    """Read it whole: so every file is known by its digest before one of them is written."""
    head = await _planned(bucket, action)
    try:
        tar = await read_packed(bucket, head, action.unpacked)
    except BadTar as error:
        raise ArchiveChanged(f"{action.key} is no whole tar: {error}") from error
    if digest_of_tar(tar) != action.digest:
        raise ArchiveChanged(f"{action.key} holds something else than was planned with")
    members = {
        one.name: TarMember(one.name, one.offset, one.size, tar.digests[one.name])
        for one in tar.files()
    }
    return Opened(head, members, tar.compression)


async def _planned(bucket: Bucket, action: Extract | RemoveExtracted) -> ObjectHead:
    try:
        head = await bucket.head(action.key)
    except NoSuchKeyError as error:
        raise ArchiveChanged(f"{action.key} is gone") from error
    if head.etag != action.etag:
        raise ArchiveChanged(f"{action.key} is not the archive that was planned with")
    return head
