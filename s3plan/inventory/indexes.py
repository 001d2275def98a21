"""The index beside an archive, read from S3 and checked."""

from __future__ import annotations

from s3plan.errors import ArchiveIndexError, NoSuchKeyError
from s3plan.model.archives import Index
from s3plan.rules import archiveindex
from s3plan.store import Bucket


async def read_index(bucket: Bucket, key: str) -> Index | None:
    """The index under ``key``; None where nothing is. Raises ArchiveIndexError for a damaged one.

    It is read into memory: at most 100,000 members are some 30 MB.
    """
    try:
        _, data = await bucket.get(key, if_match=None)
    except NoSuchKeyError:
        return None
    try:
        return archiveindex.read_index(data)
    except archiveindex.BadIndex as error:
        raise ArchiveIndexError(
            "the index of an archive cannot be read",
            address=f"s3://{bucket.name}/{key}",
            expected="an index as s3plan writes it (s3plan.index/1)",
            found=str(error),
            next_step="archive the session again, or fetch the whole archive",
        ) from error
