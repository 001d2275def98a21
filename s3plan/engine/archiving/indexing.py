"""The index of an archive, put beside it."""

from __future__ import annotations

from s3plan.engine.removal import head_of
from s3plan.model.archivesteps import Adopt
from s3plan.model.journal import StoredObject
from s3plan.model.objects import ObjectAttributes
from s3plan.model.steps import Archive
from s3plan.rules.archiveindex import CONTENT_TYPE, same_index
from s3plan.rules.hashing import digest
from s3plan.rules.integrity import FALLBACK
from s3plan.store import Bucket


async def put_index(
    bucket: Bucket, action: Archive | Adopt, data: bytes, *, old: str | None = None
) -> StoredObject | None:
    """Put the index, unless the same is there; None where its key holds something else.

    ``old`` is the ETag of an index that it takes the place of.
    """
    checksum = digest(FALLBACK[0], data)
    there = await head_of(bucket, action.index)
    if there is not None and there.etag != old:
        _, found = await bucket.get(action.index, if_match=there.etag)
        if not same_index(found, data):
            return None
        # One that was made when this run began is this run's.
        adopted = found != data
        return StoredObject(there.etag, there.size, checksum, there.version_id, adopted)
    put = await bucket.put(
        action.index,
        data,
        size=len(data),
        attributes=ObjectAttributes(
            headers={"content-type": CONTENT_TYPE},
            storage_class=action.index_class,
            encryption=action.encryption,
            kms_key=action.kms_key,
        ),
        content_md5=bytes.fromhex(digest("MD5", data).value),
        checksum=checksum,
        if_none_match=there is None,
        if_match=there.etag if there is not None else None,
    )
    return StoredObject(put.etag, len(data), checksum, put.version_id)
