"""Part sizes as text, the number of parts of an ETag, and digests made of parts."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3plan.model.objects import Checksum, ChecksumAlgorithm
from s3plan.rules.hashing import digest, hasher
from s3plan.rules.parts import count_of_parts, read_parts, write_parts

MIB = 1 << 20
PARTS = (b"a" * (5 * MIB), b"b" * (6 * MIB), b"tail")
SIZES = "5242880+6291456+4"


@given(st.lists(st.integers(0, 5 << 30), max_size=40))
def test_sizes_come_back_as_they_were_written(sizes: list[int]) -> None:
    text = write_parts(sizes)
    assert list(read_parts(text)) == sizes
    assert msgspec.convert({"algorithm": "MD5", "value": "", "parts": text}, Checksum).parts == text


def test_equal_sizes_are_written_once() -> None:
    assert write_parts([8 * MIB] * 9_999 + [7]) == "8388608*9999+7"


@pytest.mark.parametrize("text", ["1*", "*2", "1+", "-1", "1*2*3", "1*100000", "9" * 16, "1 "])
def test_a_text_that_is_none_is_refused_where_it_is_read(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"algorithm": "MD5", "value": "", "parts": text}, Checksum)


@pytest.mark.parametrize(
    ("etag", "count"),
    [
        ("fded1f28aae18a9fd6d7fed3203559c6-3", 3),
        ("fded1f28aae18a9fd6d7fed3203559c6-10000", 10_000),
        ("fded1f28aae18a9fd6d7fed3203559c6-10001", None),
        ("fded1f28aae18a9fd6d7fed3203559c6-0", None),
        ("fded1f28aae18a9fd6d7fed3203559c6-", None),
        ("fded1f28aae18a9fd6d7fed3203559c6-\u0663", None),
        ("fded1f28aae18a9fd6d7fed3203559c6", None),
        ("", None),
    ],
)
def test_the_number_of_parts_that_an_etag_tells(etag: str, count: int | None) -> None:
    assert count_of_parts(etag) == count


# As SeaweedFS 4.48 answered for an upload of these three parts; moto 5.2 gives the same digests.
STORED = {
    "CRC32": "801DWg==-3",
    "SHA256": "AM/end1ynxAo+mO2KQcwbQrGWa6AJ1HE9Z80VA3e310=-3",
    "MD5": "fded1f28aae18a9fd6d7fed3203559c6-3",
}


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256", "MD5"])
def test_a_composite_checksum_is_the_one_that_servers_store(algorithm: ChecksumAlgorithm) -> None:
    made = digest(algorithm, b"".join(PARTS), SIZES)
    assert made == Checksum(algorithm, STORED[algorithm], SIZES)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 25))
def test_pieces_of_any_size_give_the_same_composite(sizes: list[int], piece: int) -> None:
    body = bytes(number % 251 for number in range(sum(sizes)))
    running = hasher("MD5", write_parts(sizes))
    for start in range(0, len(body), piece):
        running.update(body[start : start + piece])
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    parts = [body[end - size : end] for end, size in zip(ends, sizes, strict=True)]
    raws = b"".join(hashlib.md5(part).digest() for part in parts)
    assert running.checksum().value == f"{hashlib.md5(raws).hexdigest()}-{len(sizes)}"


@pytest.mark.parametrize("change", [b"x", b"xxxxx", None])
def test_content_that_is_too_long_or_too_short_equals_no_checksum(change: bytes | None) -> None:
    body = b"aaabbb" + change if change else b"aaabb"
    right = digest("SHA256", b"aaabbb", "3*2")
    assert digest("SHA256", body, "3*2") != right
    assert digest("SHA256", b"aaa", "3*2").value.endswith("-1")
