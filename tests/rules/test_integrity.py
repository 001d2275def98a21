"""Only what S3 stored of the whole content is evidence, and only equal evidence verifies."""

from __future__ import annotations

import hashlib

import pytest

from s3plan.model.objects import Checksum, ObjectAttributes, ObjectHead
from s3plan.rules.integrity import compare, evidence_of, fallback_algorithm

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


@pytest.mark.parametrize("etag", [f"{MD5}-1", MD5[:-1], "", "z" * 32])
def test_a_multipart_or_foreign_etag_is_no_evidence(etag: str) -> None:
    assert evidence_of(head(etag)) is None


def test_three_verdicts() -> None:
    stored = Checksum("CRC32", "AAAAAA==")
    assert compare(stored, Checksum("CRC32", "AAAAAA==")) == "verified"
    assert compare(stored, Checksum("CRC32", "AAAAAQ==")) == "mismatched"
    assert compare(None, stored) == "unverifiable"
    assert compare(Checksum("MD5", "AAAAAA=="), stored) == "unverifiable"


def test_local_evidence_is_what_s3_would_compute() -> None:
    assert fallback_algorithm() == "CRC64NVME"
