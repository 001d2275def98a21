"""Only what S3 stored of the whole content is evidence, and only equal evidence verifies."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from s3plan.model.objects import Checksum, ObjectAttributes, ObjectHead
from s3plan.rules.integrity import FALLBACK, compare, evidence_of, parts_offered, rung_of

MD5 = hashlib.md5(b"content").hexdigest()


def head(etag: str = MD5, *checksums: Checksum, encryption: str | None = None) -> ObjectHead:
    return ObjectHead(
        key="k",
        size=7,
        etag=etag,
        modified="2026-11-20T04:23:11.000Z",
        attributes=ObjectAttributes(encryption=encryption),
        checksums=checksums,
    )


def test_the_cheapest_stored_checksum_comes_first() -> None:
    sha = Checksum("SHA256", "s")
    crc = Checksum("CRC32", "c")
    nvme = Checksum("CRC64NVME", "n")
    assert evidence_of(head(MD5, sha, crc, nvme)) == nvme
    assert evidence_of(head(MD5, sha, crc)) == crc
    assert evidence_of(head("whatever-3", sha)) == sha


@pytest.mark.parametrize("encryption", [None, "AES256"])
def test_an_etag_is_an_md5_where_the_object_is_plain_or_sse_s3(encryption: str | None) -> None:
    assert evidence_of(head(MD5.upper(), encryption=encryption)) == Checksum("MD5", MD5)


@pytest.mark.parametrize("encryption", ["aws:kms", "aws:kms:dsse", "SSE-C", "aws:new"])
def test_an_etag_that_looks_like_one_is_none_under_any_other_encryption(encryption: str) -> None:
    assert evidence_of(head(encryption=encryption)) is None


@pytest.mark.parametrize("etag", [f"{MD5}-2", MD5[:-1], "", "z" * 32])
def test_a_multipart_or_foreign_etag_is_no_evidence(etag: str) -> None:
    assert evidence_of(head(etag)) is None


def test_three_verdicts() -> None:
    stored = Checksum("CRC32", "AAAAAA==")
    assert compare(stored, Checksum("CRC32", "AAAAAA==")) == "verified"
    assert compare(stored, Checksum("CRC32", "AAAAAQ==")) == "mismatched"
    assert compare(None, stored) == "unverifiable"
    assert compare(Checksum("MD5", "AAAAAA=="), stored) == "unverifiable"


def test_local_evidence_is_what_s3_would_compute() -> None:
    assert FALLBACK == ("CRC64NVME", "")


SHA_OF_PARTS = Checksum("SHA256", "AM/end1ynxAo+mO2KQcwbQrGWa6AJ1HE9Z80VA3e310=-3")


def in_parts(
    *composites: Checksum, encryption: str | None = None, etag: str = f"{MD5}-3"
) -> ObjectHead:
    """The head of an object of 3 parts, 25 bytes."""
    plain = head(etag, encryption=encryption)
    return msgspec.structs.replace(plain, size=25, composites=composites)


def test_a_composite_checksum_comes_before_the_etag_of_parts() -> None:
    """A31, E17: recomputed with the true part sizes."""
    one = in_parts(SHA_OF_PARTS)
    assert parts_offered(one) == 3
    assert evidence_of(one) is None, "without the sizes nothing can be computed"
    found = evidence_of(one, (10, 10, 5))
    assert found == Checksum("SHA256", SHA_OF_PARTS.value, "10*2+5")


def test_a_composite_checksum_without_its_count_is_the_same() -> None:
    bare = Checksum("SHA256", SHA_OF_PARTS.value.removesuffix("-3"))
    assert evidence_of(in_parts(bare), (10, 10, 5)) == evidence_of(
        in_parts(SHA_OF_PARTS), (10, 10, 5)
    )


def test_an_etag_of_parts_is_rebuilt_with_the_sizes_that_were_told() -> None:
    """A31, E12."""
    one = in_parts()
    assert parts_offered(one) == 3
    assert evidence_of(one, (10, 10, 5)) == Checksum("MD5", f"{MD5}-3", "10*2+5")


@pytest.mark.parametrize("encryption", ["aws:kms", "aws:kms:dsse", "SSE-C"])
def test_no_etag_of_parts_is_made_of_md5s_under_other_encryption(encryption: str) -> None:
    """E18: comparing it would be a false mismatch that blocks the bucket for ever."""
    one = in_parts(encryption=encryption)
    assert parts_offered(one) == 0
    assert evidence_of(one, (10, 10, 5)) is None
    # A composite checksum is one under every encryption.
    assert parts_offered(in_parts(SHA_OF_PARTS, encryption=encryption)) == 3


@pytest.mark.parametrize("sizes", [(10, 10), (10, 10, 4), (10, 10, 6), (25,), (10, 10, 5, 0)])
def test_sizes_of_another_object_are_no_evidence(sizes: tuple[int, ...]) -> None:
    assert evidence_of(in_parts(SHA_OF_PARTS), sizes) is None


def test_an_object_of_one_part_needs_no_sizes() -> None:
    one = msgspec.structs.replace(in_parts(), etag=f"{MD5}-1")
    assert parts_offered(one) == 0
    assert evidence_of(one) == Checksum("MD5", f"{MD5}-1", "25")


def test_the_rung_of_each_kind_of_evidence() -> None:
    assert rung_of(Checksum("CRC32", "c"), "verified") == "full-object"
    assert rung_of(Checksum("CRC32", "c-2", "1+2"), "verified") == "composite"
    assert rung_of(Checksum("MD5", MD5), "verified") == "etag"
    assert rung_of(Checksum("MD5", f"{MD5}-2", "1+2"), "verified") == "parts-etag"
    assert rung_of(Checksum("CRC64NVME", "n"), "unverifiable") == "size"
