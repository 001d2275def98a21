"""Frames of compressed archives: in a row one file of every tool, one by one readable."""

from __future__ import annotations

import gzip
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from s3plan.model.archives import Compression
from s3plan.rules.frames import SMALLEST_PART, pack, unpack

PIECES = [bytes(3 << 20), random.Random(1).randbytes(1 << 20), b"end" * 100, b""]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_each_frame_is_unpacked_by_itself(compression: Compression) -> None:
    for data in PIECES:
        frame = bytes(pack(compression, data, 0))
        for least in (1, 5, len(data) + 100, 300_001):
            if compression == "none" and least:
                continue
            frame = bytes(pack(compression, data, least))
            assert len(frame) >= least
            assert unpack(compression, frame, len(data)) == data
            assert bytes(pack(compression, data, least)) == frame
        assert unpack(compression, frame, len(data)) == data
        with pytest.raises(ValueError, match=r"holds|unpacked"):
            unpack(compression, frame, len(data) + 1)


def test_gzip_and_zstd_read_them_as_one_file(tmp_path: Path) -> None:
    """D2: a compressed archive is an ordinary one."""
    whole = b"".join(PIECES)
    packed = b"".join(pack("gzip", data, SMALLEST_PART) for data in PIECES)
    assert gzip.decompress(packed) == whole
    path = tmp_path / "a.gz"
    path.write_bytes(packed)
    out = subprocess.run(["gzip", "-dc", path], capture_output=True, check=True).stdout
    assert out == whole
    if shutil.which("zstd"):
        path = tmp_path / "a.zst"
        path.write_bytes(b"".join(pack("zstd", data, SMALLEST_PART) for data in PIECES))
        out = subprocess.run(["zstd", "-dcq", path], capture_output=True, check=True).stdout
        assert out == whole


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_broken_frame_is_told(compression: Compression) -> None:
    frame = bytearray(pack(compression, b"content" * 1000, 0))
    frame[len(frame) // 2] ^= 0xFF
    with pytest.raises(ValueError, match="frame"):
        unpack(compression, bytes(frame), 7000)
