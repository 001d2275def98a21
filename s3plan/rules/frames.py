"""Pieces of a compressed archive that unpack one by one; in a row they are one ordinary file.

A gzip file may consist of members one after the other (RFC 1952, 2.2), a zstd file of frames (RFC
8878, 3). So a part of an upload is made anew without the parts before it, and a member of the tar
is read without all that comes before it. A part of an upload must not be smaller than 5 MiB unless
it is the last (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html): what shrinks
more than that is filled up, gzip with empty stored blocks (RFC 1951, 3.2.4), zstd with a skippable
frame (RFC 8878, 3.1.2).
"""

from __future__ import annotations

import zlib
from typing import assert_never

import zstandard

from s3plan.model.archives import Compression

SMALLEST_PART = 5 << 20
"""Bytes of each part of an upload but the last, at least."""

_GZIP_LEVEL = 6
_ZSTD_LEVEL = 3
_AS_GZIP = 31
_EMPTY_BLOCK = b"\x00\x00\x00\xff\xff"
_SKIPPABLE = 0x184D2A50
_SKIPPABLE_HEADER = 8

SUFFIXES: dict[Compression, str] = {"none": ".tar", "gzip": ".tar.gz", "zstd": ".tar.zst"}
"""How the key of an archive ends."""


def pack(compression: Compression, data: bytes | memoryview, least: int) -> bytes | memoryview:
    """The frame of ``data``, filled up to ``least`` bytes. Names and times are not in it."""
    match compression:
        case "none":
            return data
        case "gzip":
            return _gzip(data, least)
        case "zstd":
            return _zstd(data, least)
        case _:
            assert_never(compression)


def unpack(compression: Compression, frame: bytes, size: int) -> bytes:
    """The ``size`` bytes of a frame. Raises ValueError where they are not in it."""
    try:
        match compression:
            case "none":
                data = frame
            case "gzip":
                data = zlib.decompressobj(_AS_GZIP).decompress(frame, size + 1)
            case "zstd":
                data = zstandard.ZstdDecompressor().decompress(frame, max_output_size=size)
            case _:
                assert_never(compression)
    except (zlib.error, zstandard.ZstdError) as error:
        raise ValueError(f"the frame cannot be unpacked: {error}") from error
    if len(data) != size:
        raise ValueError(f"the frame holds {len(data):,} bytes instead of {size:,}")
    return data


def _gzip(data: bytes | memoryview, least: int) -> bytes:
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _AS_GZIP)
    # After a full flush the next block begins at a byte.
    body = packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.flush(zlib.Z_FINISH)
    missing = least - len(body) - len(end)
    return body + _EMPTY_BLOCK * max(0, -(-missing // len(_EMPTY_BLOCK))) + end


def _zstd(data: bytes | memoryview, least: int) -> bytes:
    packed = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compress(data)
    missing = least - len(packed)
    if missing <= 0:
        return packed
    filler = max(0, missing - _SKIPPABLE_HEADER)
    return packed + _SKIPPABLE.to_bytes(4, "little") + filler.to_bytes(4, "little") + bytes(filler)
