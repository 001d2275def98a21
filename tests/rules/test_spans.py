"""Ranges of an object, and the whole's digest from theirs."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3plan.model.objects import ChecksumAlgorithm
from s3plan.rules.hashing import digest, hasher
from s3plan.rules.parts import read_parts, write_parts
from s3plan.rules.spans import Span, in_order, spans_of, whole_of


@given(st.integers(1, 5000), st.integers(1, 700))
def test_spans_cover_every_byte_once(size: int, wanted: int) -> None:
    spans = spans_of(size, wanted, ("CRC32C", ""))
    assert spans[0].first == 0
    assert spans[-1].end == size
    assert all(one.end == other.first for one, other in itertools.pairwise(spans))
    assert all(span.size == wanted for span in spans[:-1])


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(1, 100))
def test_spans_of_parts_cut_none_in_two(sizes: list[int], wanted: int) -> None:
    spans = spans_of(sum(sizes), wanted, ("SHA256", write_parts(sizes)))
    assert [size for span in spans for size in read_parts(span.parts)] == sizes
    assert all(sum(read_parts(span.parts)) == span.size for span in spans)
    assert all(span.size <= max(wanted, *sizes) for span in spans)


@pytest.mark.parametrize("algorithm", ["CRC64NVME", "CRC32C", "CRC32"])
@given(body=st.binary(min_size=1, max_size=300), wanted=st.integers(1, 80))
def test_crcs_of_ranges_are_put_together(
    algorithm: ChecksumAlgorithm, body: bytes, wanted: int
) -> None:
    spans = spans_of(len(body), wanted, (algorithm, ""))
    assert whole_of((algorithm, ""), spans, _digests(algorithm, body, spans)) == digest(
        algorithm, body
    )


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256", "SHA1", "MD5"])
@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=9), wanted=st.integers(1, 60))
def test_composites_are_made_of_the_parts_of_all_ranges(
    algorithm: ChecksumAlgorithm, sizes: list[int], wanted: int
) -> None:
    body = bytes(number % 251 for number in range(sum(sizes)))
    kind = (algorithm, write_parts(sizes))
    spans = spans_of(len(body), wanted, kind)
    assert whole_of(kind, spans, _digests(algorithm, body, spans)) == digest(
        algorithm, body, kind[1]
    )


def _digests(
    algorithm: ChecksumAlgorithm, body: bytes, spans: tuple[Span, ...]
) -> list[list[bytes]]:
    found = []
    for span in spans:
        running = hasher(algorithm, span.parts)
        running.update(body[span.first : span.end])
        found.append(running.raws())
    return found


def test_only_hashes_of_the_whole_need_the_order() -> None:
    assert in_order(("SHA256", ""))
    assert in_order(("MD5", ""))
    assert not in_order(("MD5", "5*2"))
    assert not in_order(("CRC64NVME", ""))
