"""Digests are spelled as S3 spells them, however the content is cut."""

from __future__ import annotations

import base64
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3plan.model.objects import Checksum, ChecksumAlgorithm
from s3plan.rules.hashing import digest, hasher

# The text whose checksums catalogues of algorithms give, and what they give; the hashes are those
# of sha256sum and its like.
CHECK = b"123456789"
KNOWN: dict[ChecksumAlgorithm, str] = {
    "CRC64NVME": "ae8b14860a799888",
    "CRC32C": "e3069283",
    "CRC32": "cbf43926",
    "SHA256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
    "SHA1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    "MD5": "25f9e794323b453885f5181f1b624d0b",
}


def test_every_algorithm_is_here() -> None:
    assert set(KNOWN) == set(get_args(ChecksumAlgorithm))


@pytest.mark.parametrize("algorithm", list(KNOWN))
def test_known_values(algorithm: ChecksumAlgorithm) -> None:
    value = KNOWN[algorithm]
    if algorithm != "MD5":
        value = base64.b64encode(bytes.fromhex(value)).decode()
    assert digest(algorithm, CHECK) == Checksum(algorithm, value)


@given(st.sampled_from(list(KNOWN)), st.lists(st.binary(max_size=50)))
def test_pieces_make_the_digest_of_the_whole(
    algorithm: ChecksumAlgorithm, pieces: list[bytes]
) -> None:
    running = hasher(algorithm)
    for piece in pieces:
        running.update(memoryview(bytearray(piece)))
    assert running.checksum() == digest(algorithm, b"".join(pieces))
