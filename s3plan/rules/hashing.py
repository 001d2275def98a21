"""Digests of content in the algorithms of S3 and in its spelling; nothing here reads files."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from functools import cache
from typing import Protocol, assert_never

from s3plan.model.objects import Checksum, ChecksumAlgorithm

Bytes = bytes | bytearray | memoryview


class Hasher(Protocol):
    """A digest in the making. Not for two threads at once."""

    def update(self, data: Bytes, /) -> None:
        """Take in the next bytes."""

    def checksum(self) -> Checksum:
        """The digest of everything so far; more may follow."""


def hasher(algorithm: ChecksumAlgorithm) -> Hasher:
    """A new digest of nothing yet."""
    match algorithm:
        case "CRC64NVME" | "CRC32C" | "CRC32":
            return _Crc(algorithm)
        case "SHA256" | "SHA1" | "MD5":
            return _Hash(algorithm)
        case _:
            assert_never(algorithm)


def digest(algorithm: ChecksumAlgorithm, data: Bytes) -> Checksum:
    """The digest of ``data``, which is all there is."""
    whole = hasher(algorithm)
    whole.update(data)
    return whole.checksum()


class _Crc:
    __slots__ = ("_algorithm", "_compute", "_value", "_width")

    def __init__(self, algorithm: ChecksumAlgorithm) -> None:
        self._algorithm = algorithm
        self._compute, self._width = _crc(algorithm)
        self._value = 0

    def update(self, data: Bytes, /) -> None:
        self._value = self._compute(data, self._value)

    def checksum(self) -> Checksum:
        value = base64.b64encode(self._value.to_bytes(self._width, "big")).decode()
        return Checksum(self._algorithm, value)


class _Hash:
    __slots__ = ("_algorithm", "_hash")

    def __init__(self, algorithm: ChecksumAlgorithm) -> None:
        self._algorithm = algorithm
        # usedforsecurity: MD5 and SHA-1 must work in FIPS mode; they only guard against accidents.
        self._hash = hashlib.new(algorithm.lower(), usedforsecurity=False)

    def update(self, data: Bytes, /) -> None:
        self._hash.update(data)

    def checksum(self) -> Checksum:
        if self._algorithm == "MD5":
            return Checksum("MD5", self._hash.hexdigest())
        return Checksum(self._algorithm, base64.b64encode(self._hash.digest()).decode())


@cache
def _crc(algorithm: ChecksumAlgorithm) -> tuple[Callable[[Bytes, int], int], int]:
    """The function that continues a checksum, and the bytes of its value."""
    # awscrt takes 40 ms to import, which commands that hash nothing need not spend.
    from awscrt import checksums  # noqa: PLC0415

    if algorithm == "CRC64NVME":
        return checksums.crc64nvme, 8
    return (checksums.crc32c if algorithm == "CRC32C" else checksums.crc32), 4
