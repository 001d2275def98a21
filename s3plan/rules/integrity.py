"""Which evidence of its content an object offers, and what a comparison with it is worth.

Sources: "Checking object integrity in Amazon S3" (user guide) for stored checksums, and the ETag of
the Object data type (API reference): an MD5 only for plaintext or SSE-S3 objects that were made by
PUT, POST or CopyObject, never for multipart uploads, SSE-KMS or SSE-C. An SSE-KMS ETag has 32 hex
digits as well, so its look alone does not tell.
"""

from __future__ import annotations

import re

from s3plan.model.objects import Checksum, ChecksumAlgorithm, ObjectHead, Verdict

# By cost of computing (GiB/s of one core: 33, 23, 3.5, 2.1, 2.1). Any of them finds an accident;
# none of them is asked to stand up to an adversary who can also write to the bucket.
_CHEAPEST_FIRST: tuple[ChecksumAlgorithm, ...] = ("CRC64NVME", "CRC32C", "CRC32", "SHA256", "SHA1")

_MD5 = re.compile(r"[0-9a-fA-F]{32}")

# Anything else, also what does not exist yet, makes the ETag something that is no MD5.
_ETAG_IS_MD5_UNDER = (None, "AES256")


def evidence_of(head: ObjectHead) -> Checksum | None:
    """The cheapest strong digest of the whole content that S3 stores; None where it stores none.

    A stored full-object checksum comes before an ETag that is an MD5.
    """
    stored = {checksum.algorithm: checksum for checksum in head.checksums}
    for algorithm in _CHEAPEST_FIRST:
        if algorithm in stored:
            return stored[algorithm]
    if head.attributes.encryption in _ETAG_IS_MD5_UNDER and _MD5.fullmatch(head.etag):
        return Checksum("MD5", head.etag.lower())
    return None


def fallback_algorithm() -> ChecksumAlgorithm:
    """What local evidence is made with where S3 offers none.

    It is what S3 computes itself for objects that come without a checksum, so an object that is
    put back can be compared with it.
    """
    return "CRC64NVME"


def compare(expected: Checksum | None, actual: Checksum) -> Verdict:
    """The verdict on content whose digest is ``actual``.

    ``unverifiable`` where nothing is expected, and where the algorithms differ: two digests of
    different kinds say nothing about each other.
    """
    if expected is None or expected.algorithm != actual.algorithm:
        return "unverifiable"
    return "verified" if expected.value == actual.value else "mismatched"
