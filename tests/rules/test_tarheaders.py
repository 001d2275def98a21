"""Tars of other programs, told by their headers and read as they go by; what is none is refused."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from collections.abc import Iterable, Mapping
from hashlib import sha256

import pytest
import zstandard

from s3plan.rules.tarheaders import BadTar, TarEntry, TarWalk
from s3plan.rules.tarstream import ReadTar, TarStream

FILES = {
    "night/a.fits": random.Random(1).randbytes(5000),
    f"night/{'long' * 40}/é.fits": b"b" * 512,
    "night/empty": b"",
    "night/z": random.Random(2).randbytes(70_000),
}
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def made(files: Mapping[str, bytes], form: int = tarfile.PAX_FORMAT, **others: bytes) -> bytes:
    """A tar as Python's tarfile writes it; ``others`` are members of those types, by name."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, kind in others.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "../../etc/passwd"
            tar.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1_700_000_000.25 if form else 1_700_000_000
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def walked(data: bytes) -> tuple[list[TarEntry], int]:
    """What ranges tell, and how many bytes of the tar that took."""
    walk, read = TarWalk(len(data)), 0
    while walk.wanted is not None:
        first, size = walk.wanted
        walk.give(data[first : first + size])
        read += size
    return walk.entries, read


def streamed(data: bytes, piece: int = 1000) -> ReadTar:
    stream = TarStream(1 << 30)
    for at in range(0, len(data), piece):
        stream.feed(data[at : at + piece])
    return stream.end()


@pytest.mark.parametrize("form", FORMATS)
def test_headers_tell_what_is_where(form: str) -> None:
    """D44: the members of a tar without an index; of its content nothing is read."""
    files = {name: data for name, data in FILES.items() if form != "ustar" or len(name) < 100}
    data = made(files, FORMATS[form])
    entries, read = walked(data)
    assert [(entry.name, entry.kind) for entry in entries] == [(name, "file") for name in files]
    for entry in entries:
        assert data[entry.offset : entry.offset + entry.size] == files[entry.name]
        assert int(entry.mtime) == 1_700_000_000
    assert read < 8000 < sum(map(len, files.values()))


@pytest.mark.parametrize("piece", [1, 511, 512, 513, 100_000])
def test_what_goes_by_is_hashed(piece: int) -> None:
    digests = {name: sha256(data).hexdigest() for name, data in FILES.items()}
    tar = made(FILES)
    found = streamed(tar, piece)
    assert (found.digests, found.size, found.compression) == (digests, len(tar), "none")
    zipped = gzip.compress(tar[:20_000]) + gzip.compress(tar[20_000:]) + bytes(5)
    assert streamed(zipped, piece).digests == digests
    pack = zstandard.ZstdCompressor().compress
    filler = b"\x50\x2a\x4d\x18\x04\x00\x00\x00fill"
    assert streamed(pack(tar[:3000]) + filler + pack(tar[3000:]), piece).digests == digests


def cut(data: bytes) -> Iterable[bytes]:
    """Ends that a broken transfer leaves: within headers, contents, and between members."""
    return (data[:end] for end in (0, 3, 100, 512, 700, 1536, 6000, 40_000, len(data) // 2))


def test_what_is_not_whole_is_no_tar() -> None:
    """D42: truncated at any place, also where a member ends."""
    tar = made(FILES)
    for whole in (tar, gzip.compress(tar), zstandard.ZstdCompressor().compress(tar)):
        for part in cut(whole):
            with pytest.raises(BadTar):
                streamed(part)
    for part in cut(tar):
        with pytest.raises(BadTar):
            walked(part)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"x" * 2000, "no header"),
        (made(FILES) + made({"hidden": b"x"}), "follows its end"),
        (bytes(512) + made(FILES), "a single block of zeros at 0"),
        (b"\x1f\x8b" + b"x" * 2000, "unpacked"),
    ],
)
def test_what_is_no_tar_is_said(data: bytes, why: str) -> None:
    with pytest.raises(BadTar, match=why):
        streamed(data)


def test_every_broken_header_is_found() -> None:
    """A header has a sum of its own: no bit of it can change unseen."""
    tar = made({"night/a": b"a" * 600, "night/b": b"b"}, tarfile.USTAR_FORMAT)
    chance = random.Random(3)
    for _ in range(200):
        at = chance.choice((0, 512 + 1024)) + chance.randrange(500)
        broken = bytearray(tar)
        broken[at] ^= 1 << chance.randrange(7)
        with pytest.raises(BadTar):
            walked(bytes(broken))


def test_links_and_devices_are_no_files() -> None:
    """D44: they are told of, and never written."""
    tar = made(
        {"night/a": b"a"}, link=tarfile.SYMTYPE, hard=tarfile.LNKTYPE, device=tarfile.CHRTYPE
    )
    kinds = {entry.name: entry.kind for entry in walked(tar)[0]}
    assert kinds == {"link": "link", "hard": "link", "device": "special", "night/a": "file"}
    assert [entry.name for entry in streamed(tar).files()] == ["night/a"]


def test_a_list_of_digests_in_the_tar_counts() -> None:
    """What the archive says of itself must be so."""
    line = f"{sha256(b'a').hexdigest()}  a\n".encode()
    good = streamed(made({"night/a": b"a", "night/SHA256SUMS": line}))
    assert list(good.unlike_its_manifests()) == []
    other = streamed(
        made({"night/a": b"b", "night/SHA256SUMS": line + line.replace(b"a\n", b"c\n")})
    )
    assert list(other.unlike_its_manifests()) == [
        "night/a is not what SHA256SUMS says",
        "night/c is in SHA256SUMS and not in the tar",
    ]
    with pytest.raises(BadTar, match="cannot be read"):
        list(streamed(made({"n/SHA256SUMS": b"\xff no digest"})).unlike_its_manifests())


def test_headers_that_ask_for_memory_are_refused() -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = b"x", 5 << 30
    with pytest.raises(BadTar, match="bytes of text"):
        streamed(info.tobuf(tarfile.USTAR_FORMAT))
