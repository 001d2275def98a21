"""A tar that goes by once, from its first byte to its last: what it holds, and every digest of it.

Packed ones are told by how they begin, not by their name: gzip by RFC 1952, 2.3.1, zstd by RFC
8878, 3.1.1. What comes after the end of the tar has to be zeros, as tar fills it up: files that are
hidden there would be extracted by some programs and not by others.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator

import zstandard
from msgspec import Struct

from s3plan.model.archives import Compression
from s3plan.rules.tarheaders import BadTar, TarEntry, TarWalk, files_of
from s3plan.rules.tarlayout import MANIFEST, read_manifest

MOST_MANIFEST = 64 << 20
"""Bytes of a list of digests that are kept: 100,000 lines of long names."""

_MAGIC: dict[bytes, Compression] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_LONGEST = max(map(len, _MAGIC))
_AS_GZIP = 31


class ReadTar(Struct, frozen=True):
    """A whole tar. ``digests`` are the SHA-256 of its files, in hex, by name; where a name is there
    twice, the last counts, as it does for tar. ``manifests`` are the lists of digests in it, by the
    folder that they are of.
    """

    compression: Compression
    size: int
    entries: tuple[TarEntry, ...]
    digests: dict[str, str]
    manifests: dict[str, bytes]

    def files(self) -> Iterator[TarEntry]:
        """Its files, each name once, in the tar's order."""
        return files_of(self.entries)

    def unlike_its_manifests(self) -> Iterator[str]:
        """Sentences on files that are not what a list of digests in the tar says, or not there.

        Raises BadTar for a list that cannot be read.
        """
        for folder, text in self.manifests.items():
            try:
                said = read_manifest(text, folder)
            except (ValueError, KeyError, StopIteration) as error:
                raise BadTar(f"{folder}/{MANIFEST} cannot be read: {error}") from error
            for name, digest in said.items():
                if name not in self.digests:
                    yield f"{name} is in {MANIFEST} and not in the tar"
                elif self.digests[name] != digest:
                    yield f"{name} is not what {MANIFEST} says"


class TarStream:
    """Takes the bytes of an archive in their order. Its methods block: hashing takes time."""

    def __init__(self) -> None:
        self._begin = b""
        self._compression: Compression | None = None
        self._unpack: Callable[[bytes], bytes] = bytes
        self._whole: Callable[[], bool] = lambda: True
        self._walk = TarWalk(None)
        self._at = 0
        self._asked = bytearray()
        self._hash = hashlib.sha256()
        self._held = bytearray()
        self._hashed = 0
        self._digests: dict[str, str] = {}
        self._manifests: dict[str, bytes] = {}

    def feed(self, chunk: bytes) -> None:
        """The next bytes. Raises BadTar as soon as they cannot be of a tar."""
        if self._compression is None:
            self._begin += chunk
            if len(self._begin) < _LONGEST:
                return
            chunk, self._begin = self._begin, b""
            self._choose(chunk)
        try:
            self._take(memoryview(self._unpack(bytes(chunk))))
        except (zlib.error, zstandard.ZstdError) as error:
            raise BadTar(f"it cannot be unpacked: {error}") from error

    def end(self) -> ReadTar:
        """What it was. Raises BadTar where it is not whole."""
        if self._compression is None:
            raise BadTar(f"it has {len(self._begin)} bytes")
        if not self._whole():
            raise BadTar("what it is packed with ends early")
        if self._walk.wanted is not None:
            raise BadTar(f"it ends after {self._at:,} bytes, in the middle or without its end")
        return ReadTar(
            self._compression,
            self._at,
            tuple(self._walk.entries),
            self._digests,
            self._manifests,
        )

    def _choose(self, begin: bytes) -> None:
        found = (kind for magic, kind in _MAGIC.items() if begin.startswith(magic))
        self._compression = next(found, "none")
        if self._compression == "gzip":
            members = _GzipMembers()
            self._unpack, self._whole = members.unpack, members.is_whole
        elif self._compression == "zstd":
            frames = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True)
            self._unpack = frames.decompress

    def _take(self, data: memoryview) -> None:
        while data:
            wanted = self._walk.wanted
            if wanted is None:
                if any(data[:1]) or data != bytes(len(data)):
                    raise BadTar(f"something follows its end, at {self._at:,} or later")
                self._at += len(data)
                return
            first, size = wanted
            if self._at < first:
                taken = data[: first - self._at]
                self._content(taken)
                self._at += len(taken)
            else:
                taken = data[: first + size - self._at]
                self._asked += taken
                self._at += len(taken)
                if self._at == first + size:
                    asked = bytes(self._asked)
                    self._asked.clear()
                    self._give(asked)
            data = data[len(taken) :]

    def _give(self, asked: bytes) -> None:
        before = len(self._walk.entries)
        self._walk.give(asked)
        if len(self._walk.entries) > before:
            self._hash, self._hashed = hashlib.sha256(), 0
            self._held.clear()
            if self._walk.entries[-1].kind == "file" and not self._walk.entries[-1].size:
                self._done(self._walk.entries[-1])

    def _content(self, data: memoryview) -> None:
        """Bytes between what the walk asks for: content, then what fills up its last block."""
        if not self._walk.entries:
            return
        entry = self._walk.entries[-1]
        rest = entry.offset + entry.size - self._at
        if rest <= 0 or entry.kind != "file":
            return
        taken = data[:rest]
        self._hash.update(taken)
        self._hashed += len(taken)
        if _is_manifest(entry):
            self._held += taken
        if self._hashed == entry.size:
            self._done(entry)

    def _done(self, entry: TarEntry) -> None:
        self._digests[entry.name] = self._hash.hexdigest()
        if _is_manifest(entry):
            self._manifests[entry.name.rpartition("/")[0]] = bytes(self._held)


class _GzipMembers:
    """Members of a gzip file one after the other (RFC 1952, 2.2); zeros may fill it up."""

    def __init__(self) -> None:
        self._one = zlib.decompressobj(_AS_GZIP)
        self._begun = True

    def unpack(self, chunk: bytes) -> bytes:
        out = b""
        while chunk:
            if not self._begun:
                chunk = chunk.lstrip(b"\0")
                if not chunk:
                    break
                self._one, self._begun = zlib.decompressobj(_AS_GZIP), True
            out += self._one.decompress(chunk)
            chunk = self._one.unused_data
            if self._one.eof:
                self._begun = False
        return out

    def is_whole(self) -> bool:
        return not self._begun or self._one.eof


def _is_manifest(entry: TarEntry) -> bool:
    folder, _, name = entry.name.rpartition("/")
    return name == MANIFEST and bool(folder) and "/" not in folder and entry.size <= MOST_MANIFEST
