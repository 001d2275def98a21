"""Which evidence of its content an object offers, and what a comparison with it is worth.

The ladder, from the strongest rung down: a checksum of the whole that S3 stores; one that is made
of the checksums of the object's parts; an ETag that is the MD5 of the content; an ETag that is made
of the MD5s of the parts; a second read of the object that gives the same digest. Size alone proves
nothing.

Sources: "Checking object integrity in Amazon S3" (user guide) for stored checksums, and the ETag of
the Object data type (API reference): an MD5 only for plaintext or SSE-S3 objects that were made by
PUT, POST or CopyObject, never for multipart uploads, SSE-KMS or SSE-C. An SSE-KMS ETag has 32 hex
digits as well, so its look alone does not tell. What the ETag of a multipart upload is made of AWS
does not write down; it is the MD5 of the parts' MD5s wherever the parts' own ETags are MD5s.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from s3plan.model.objects import Checksum, ChecksumAlgorithm, Kind, ObjectHead, Rung, Verdict
from s3plan.rules.parts import count_of_parts, write_parts

# By cost of computing (GiB/s of one core: 33, 23, 3.5, 2.1, 2.1). Any of them finds an accident;
# none of them is asked to stand up to an adversary who can also write to the bucket.
_CHEAPEST_FIRST: tuple[ChecksumAlgorithm, ...] = ("CRC64NVME", "CRC32C", "CRC32", "SHA256", "SHA1")

_MD5 = re.compile(r"[0-9a-fA-F]{32}")
_MD5_OF_PARTS = re.compile(r"([0-9a-fA-F]{32})-[0-9]+")

# Anything else, also what does not exist yet, makes the ETag something that is no MD5.
_ETAG_IS_MD5_UNDER = (None, "AES256")


def evidence_of(head: ObjectHead, sizes: Sequence[int] = ()) -> Checksum | None:
    """The strongest digest of the content that S3 stores; None where it stores none.

    ``sizes`` are what S3 told of each of its parts, where :func:`parts_offered` asks for them.
    """
    stored = _cheapest(head.checksums)
    if stored is not None:
        return stored
    if head.attributes.encryption in _ETAG_IS_MD5_UNDER and _MD5.fullmatch(head.etag):
        return Checksum("MD5", head.etag.lower())
    count = count_of_parts(head.etag)
    return None if count is None else _of_parts(head, (head.size,) if count == 1 else sizes)


def parts_offered(head: ObjectHead) -> int:
    """The number of parts whose sizes would make something of this object comparable.

    0 where it can be compared as it is, or knowing the sizes would not help.
    """
    count = count_of_parts(head.etag)
    if count is None or evidence_of(head) is not None:
        return 0
    return count if head.composites or _made_of_md5s(head) else 0


def _of_parts(head: ObjectHead, sizes: Sequence[int]) -> Checksum | None:
    """The digest that is made of the digests of parts of these sizes; None where there is none.

    A composite checksum comes before the ETag. Sizes that do not add up to the object's, or to as
    many parts, are another object's.
    """
    if sum(sizes) != head.size or len(sizes) != count_of_parts(head.etag):
        return None
    parts = write_parts(sizes)
    composite = _cheapest(head.composites)
    if composite is not None:
        value = composite.value.partition("-")[0]
        return Checksum(composite.algorithm, f"{value}-{len(sizes)}", parts)
    if _made_of_md5s(head):
        return Checksum("MD5", head.etag.lower(), parts)
    return None


def rung_of(checksum: Checksum, verdict: Verdict) -> Rung:
    """What a verdict rests on that came of comparing with a checksum of this kind."""
    if verdict == "unverifiable":
        return "size"
    if checksum.algorithm == "MD5":
        return "parts-etag" if checksum.parts else "etag"
    return "composite" if checksum.parts else "full-object"


FALLBACK: Kind = ("CRC64NVME", "")
"""What local evidence is made with where S3 offers none.

It is what S3 computes itself for objects that come without a checksum, so an object that is put
back can be compared with it.
"""


def compare(expected: Checksum | None, actual: Checksum) -> Verdict:
    """The verdict on content whose digest is ``actual``.

    ``unverifiable`` where nothing is expected, and where the kinds differ: two digests of different
    kinds say nothing about each other.
    """
    if expected is None or expected.kind != actual.kind:
        return "unverifiable"
    return "verified" if expected.value == actual.value else "mismatched"


def _cheapest(checksums: Sequence[Checksum]) -> Checksum | None:
    stored = {checksum.algorithm: checksum for checksum in checksums}
    return next((stored[name] for name in _CHEAPEST_FIRST if name in stored), None)


def _made_of_md5s(head: ObjectHead) -> bool:
    return (
        head.attributes.encryption in _ETAG_IS_MD5_UNDER
        and _MD5_OF_PARTS.fullmatch(head.etag) is not None
    )
