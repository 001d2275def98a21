"""Digests of content in the algorithms of S3 and in its spelling; nothing here reads files."""

from __future__ import annotations

import base64
import hashlib
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Protocol, assert_never

from s3plan.model.objects import Checksum, ChecksumAlgorithm
from s3plan.rules.parts import read_parts

Bytes = bytes | bytearray | memoryview


class Hasher(Protocol):
    """A digest in the making. Not for two threads at once."""

    def update(self, data: Bytes, /) -> None:
        """Take in the next bytes."""

    def checksum(self) -> Checksum:
        """The digest of everything so far; more may follow."""


class RawHasher(Hasher, Protocol):
    """A digest whose bytes can be had, to make another one of them."""

    def raws(self) -> list[bytes]:
        """The digest's bytes; of a composite one, those of each part so far."""


class _Plain(RawHasher, Protocol):
    """A digest of the whole, which a composite is made of."""

    def raw(self) -> bytes:
        """The digest's bytes."""


def hasher(algorithm: ChecksumAlgorithm, parts: str = "") -> RawHasher:
    """A new digest of nothing yet; composite where ``parts`` says the sizes of parts."""
    return _Composite(algorithm, parts) if parts else _plain(algorithm)


def digest(algorithm: ChecksumAlgorithm, data: Bytes, parts: str = "") -> Checksum:
    """The digest of ``data``, which is all there is."""
    whole = hasher(algorithm, parts)
    whole.update(data)
    return whole.checksum()


def spell(algorithm: ChecksumAlgorithm, raw: bytes) -> str:
    """A digest's bytes as S3 writes them: base64, and hex for the MD5 of an ETag."""
    return raw.hex() if algorithm == "MD5" else base64.b64encode(raw).decode()


def _plain(algorithm: ChecksumAlgorithm) -> _Plain:
    match algorithm:
        case "CRC64NVME" | "CRC32C" | "CRC32":
            return _Crc(algorithm)
        case "SHA256" | "SHA1" | "MD5":
            return _Hash(algorithm)
        case _:
            assert_never(algorithm)


class _Crc:
    __slots__ = ("_algorithm", "_compute", "_value", "_width")

    def __init__(self, algorithm: ChecksumAlgorithm) -> None:
        self._algorithm = algorithm
        self._compute, self._width = _crc(algorithm)
        self._value = 0

    def update(self, data: Bytes, /) -> None:
        self._value = self._compute(data, self._value)

    def raw(self) -> bytes:
        return self._value.to_bytes(self._width, "big")

    def raws(self) -> list[bytes]:
        return [self.raw()]

    def checksum(self) -> Checksum:
        return Checksum(self._algorithm, spell(self._algorithm, self.raw()))


class _Hash:
    __slots__ = ("_algorithm", "_hash")

    def __init__(self, algorithm: ChecksumAlgorithm) -> None:
        self._algorithm = algorithm
        # usedforsecurity: MD5 and SHA-1 must work in FIPS mode; they only guard against accidents.
        self._hash = hashlib.new(algorithm.lower(), usedforsecurity=False)

    def update(self, data: Bytes, /) -> None:
        self._hash.update(data)

    def raw(self) -> bytes:
        return self._hash.digest()

    def raws(self) -> list[bytes]:
        return [self.raw()]

    def checksum(self) -> Checksum:
        return Checksum(self._algorithm, spell(self._algorithm, self.raw()))


class _Composite:
    """The digest of the digests of parts.

    "Composite checksums" of "Checking object integrity in Amazon S3" (user guide): the digests'
    bytes, one after the other, are hashed again; ``-`` and their number follow. The ETag of a
    multipart upload, where it is one of MD5s, is made in the same way.

    Content that is shorter or longer than its parts has another number of them than was expected,
    so its checksum equals none that could be.
    """

    __slots__ = ("_algorithm", "_left", "_part", "_parts", "_raws", "_sizes")

    def __init__(self, algorithm: ChecksumAlgorithm, parts: str) -> None:
        self._algorithm = algorithm
        self._parts = parts
        self._sizes = read_parts(parts)
        self._raws: list[bytes] = []
        self._part: _Plain | None = None
        self._left = 0

    def update(self, data: Bytes, /) -> None:
        rest = memoryview(data)
        while rest:
            if self._part is None:
                self._part = _plain(self._algorithm)
                # What is beyond the last part makes one more.
                self._left = next(self._sizes, sys.maxsize)
            taken = rest[: self._left]
            self._part.update(taken)
            self._left -= len(taken)
            rest = rest[len(taken) :]
            if self._left == 0:
                self._raws.append(self._part.raw())
                self._part = None

    def raws(self) -> list[bytes]:
        unfinished = [self._part.raw()] if self._part is not None else []
        return self._raws + unfinished

    def checksum(self) -> Checksum:
        return composed(self._algorithm, self._parts, self.raws())


def composed(algorithm: ChecksumAlgorithm, parts: str, raws: Sequence[bytes]) -> Checksum:
    """The composite checksum of parts with these digests."""
    outer = _plain(algorithm)
    outer.update(b"".join(raws))
    return Checksum(algorithm, f"{spell(algorithm, outer.raw())}-{len(raws)}", parts)


def crc_width(algorithm: ChecksumAlgorithm) -> int:
    """Bytes of a CRC."""
    return _crc(algorithm)[1]


def crc_joined(algorithm: ChecksumAlgorithm, first: int, second: int, size: int) -> int:
    """The CRC of some bytes and ``size`` more, from those of the two."""
    from awscrt import checksums  # noqa: PLC0415 - as below

    match algorithm:
        case "CRC64NVME":
            joined = checksums.combine_crc64nvme
        case "CRC32C":
            joined = checksums.combine_crc32c
        case _:
            joined = checksums.combine_crc32
    value: int = joined(first, second, size)
    return value


@cache
def _crc(algorithm: ChecksumAlgorithm) -> tuple[Callable[[Bytes, int], int], int]:
    """The function that continues a checksum, and the bytes of its value."""
    # awscrt takes 40 ms to import, which commands that hash nothing need not spend.
    from awscrt import checksums  # noqa: PLC0415

    if algorithm == "CRC64NVME":
        return checksums.crc64nvme, 8
    return (checksums.crc32c if algorithm == "CRC32C" else checksums.crc32), 4
