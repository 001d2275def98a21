"""Whether a copy in S3 has its original's content, by the cheapest evidence that proves it.

An ETag proves content only where it is an MD5 on both sides; a copy of a multipart upload has
another ETag than its source, though the bytes are equal. So stored checksums of the whole object
are compared, and where the two have none in common, what is missing is read and computed.
"""

from __future__ import annotations

import asyncio
import re

from msgspec import Struct

from s3plan.model.objects import Checksum, Kind, ObjectHead, Verdict
from s3plan.rules.integrity import FALLBACK, compare, evidence_of
from s3plan.store import Bucket, HashSink

_MD5 = re.compile(r"[0-9a-fA-F]{32}")


class Compared(Struct, frozen=True):
    """The verdict, the evidence it rests on, and the copy as it was found."""

    verdict: Verdict
    checksum: Checksum | None
    copy: ObjectHead
    original: ObjectHead


def is_md5(etag: str) -> bool:
    """Whether an ETag looks like an MD5. Of what KMS encrypted it does, and is none."""
    return bool(_MD5.fullmatch(etag))


def same_by_etag(original: str, copy: str) -> bool:
    """Whether two ETags prove equal content: 32 hex digits and the same.

    An ETag of a multipart upload (``-N``) is never taken for proof.
    """
    return is_md5(original) and original.lower() == copy.lower()


async def compare_objects(
    source: Bucket, key: str, etag: str, target: Bucket, copy_key: str
) -> Compared:
    """Compare the object ``key`` of that ETag with its copy.

    Raises NoSuchKeyError where either is gone, PreconditionFailedError where the original is
    another one by now.
    """
    original, copy = await asyncio.gather(source.head(key, if_match=etag), target.head(copy_key))
    return await compare_heads(source, original, target, copy)


async def compare_heads(
    source: Bucket, original: ObjectHead, target: Bucket, copy: ObjectHead
) -> Compared:
    """The same of two objects that were just looked at; raises the same where bodies are read."""
    if original.size != copy.size:
        return Compared("mismatched", None, copy, original)
    if same_by_etag(original.etag, copy.etag):
        return Compared("verified", Checksum("MD5", copy.etag.lower()), copy, original)
    kept = {checksum.algorithm: checksum for checksum in original.checksums}
    for checksum in copy.checksums:
        if checksum.algorithm in kept:
            verdict = compare(kept[checksum.algorithm], checksum)
            return Compared(verdict, checksum, copy, original)
    offered = evidence_of(copy) or evidence_of(original)
    kind = offered.kind if offered else FALLBACK
    mine, theirs = await asyncio.gather(
        _digest(source, original, kind), _digest(target, copy, kind)
    )
    return Compared(compare(mine, theirs), theirs, copy, original)


async def _digest(bucket: Bucket, head: ObjectHead, kind: Kind) -> Checksum:
    """What S3 offers of the object of this kind, else computed by reading all of it."""
    offered = evidence_of(head)
    if offered is not None and offered.kind == kind:
        return offered
    sink = HashSink(kind)
    await bucket.get_to(head.key, sink, if_match=head.etag)
    return sink.checksum()
