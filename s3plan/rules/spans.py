"""How a large object is cut into ranges of bytes, and how their digests become the whole's.

A CRC of the whole is put together from those of the ranges ("crc_combine" of zlib, and the same
arithmetic for the other polynomials, in awscrt). A composite checksum wants the digest of each
part, so ranges begin and end where parts do. Any other digest has to see the bytes in their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from msgspec import Struct

from s3plan.model.objects import Checksum, ChecksumAlgorithm, Kind
from s3plan.rules.hashing import composed, crc_joined, crc_width, spell
from s3plan.rules.parts import read_parts, write_parts


class Span(Struct, frozen=True):
    """Bytes ``first`` up to ``end`` (not among them); ``parts`` are those that it is made of."""

    first: int
    end: int
    parts: str = ""

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.first


def spans_of(size: int, wanted: int, kind: Kind) -> tuple[Span, ...]:
    """An object of ``size`` bytes in ranges of about ``wanted``, for a digest of this kind.

    A part that is larger than that is one range.
    """
    if not kind[1]:
        return tuple(Span(first, min(first + wanted, size)) for first in range(0, size, wanted))
    return tuple(_whole_parts(kind[1], wanted))


def _whole_parts(parts: str, wanted: int) -> Iterator[Span]:
    first = end = 0
    held: list[int] = []
    for part in read_parts(parts):
        if held and end - first + part > wanted:
            yield Span(first, end, write_parts(held))
            first, held = end, []
        held.append(part)
        end += part
    if held:
        yield Span(first, end, write_parts(held))


def in_order(kind: Kind) -> bool:
    """Whether a digest of this kind must see the content from its first byte to its last."""
    algorithm, parts = kind
    match algorithm:
        case "CRC64NVME" | "CRC32C" | "CRC32":
            return False
        case "SHA256" | "SHA1" | "MD5":
            return not parts
        case _:
            assert_never(algorithm)


def whole_of(kind: Kind, spans: Sequence[Span], digests: Sequence[Sequence[bytes]]) -> Checksum:
    """The digest of the whole, from those of its spans: one of each, or one of each part in it.

    For kinds that are not :func:`in_order`.
    """
    algorithm, parts = kind
    if parts:
        return composed(algorithm, parts, [raw for raws in digests for raw in raws])
    return Checksum(algorithm, spell(algorithm, _joined(algorithm, spans, digests)))


def _joined(
    algorithm: ChecksumAlgorithm, spans: Sequence[Span], digests: Sequence[Sequence[bytes]]
) -> bytes:
    value = 0
    for span, (raw,) in zip(spans, digests, strict=True):
        value = crc_joined(algorithm, value, int.from_bytes(raw, "big"), span.size)
    return value.to_bytes(crc_width(algorithm), "big")
