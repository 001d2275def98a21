"""A tar that goes by once, from its first byte to its last: what it holds, and every digest of it.

Packed ones are told by how they begin, not by their name: gzip by RFC 1952, 2.3.1, zstd by RFC
8878, 3.1.1. What comes after the end of the tar has to be zeros, as tar fills it up: files that are
hidden there would be extracted by some programs and not by others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from msgspec import Struct, json

from s3plan.model.archives import Compression
from s3plan.rules.tarheaders import BadTar, TarEntry, TarWalk, files_of
from s3plan.rules.tarlayout import MANIFEST, read_manifest
from s3plan.rules.unpacking import BadPacking, Unpacker

MOST_MANIFEST = 64 << 20
"""Bytes of a list of digests that are kept: 100,000 lines of long names."""

_MAGIC: dict[bytes, Compression] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_LONGEST = max(map(len, _MAGIC))

MOST_TIMES = 100
"""How many times its size a packed archive may unpack to, where nobody knows better. What cameras
write shrinks to a third; gzip can make a thousandth of zeros, and zstd a thirty-thousandth."""


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


def digest_of_tar(tar: ReadTar) -> str:
    """The SHA-256, in hex, over all that the headers tell and the content of every file."""
    running = hashlib.sha256()
    for one in tar.entries:
        told = (one.name, one.kind, one.offset, one.size, one.mtime, tar.digests.get(one.name))
        running.update(json.encode(told) + b"\n")
    return running.hexdigest()


def most_of(size: int, known: int = 0) -> int:
    """Bytes that an archive of ``size`` may unpack to, of which ``known`` are no surprise."""
    return max(size * MOST_TIMES, 2 * known) + (1 << 20)


class TarStream:
    """Takes the bytes of an archive in their order. Its methods block: hashing takes time."""

    def __init__(self, most: int) -> None:
        """A tar of more bytes than ``most`` is refused."""
        self._most = most
        self._begin = b""
        self._compression: Compression = "none"
        self._unpacker: Unpacker | None = None
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
        if self._unpacker is None:
            self._begin += chunk
            if len(self._begin) < _LONGEST:
                return
            chunk, self._begin = self._begin, b""
            found = (kind for magic, kind in _MAGIC.items() if chunk.startswith(magic))
            self._compression = next(found, "none")
            self._unpacker = Unpacker(self._compression, self._take)
        try:
            self._unpacker.feed(chunk)
        except BadPacking as error:
            raise BadTar(str(error)) from error

    def end(self) -> ReadTar:
        """What it was. Raises BadTar where it is not whole."""
        if self._unpacker is None:
            raise BadTar(f"it has {len(self._begin)} bytes")
        try:
            self._unpacker.end()
        except BadPacking as error:
            raise BadTar(str(error)) from error
        if self._walk.wanted is not None:
            raise BadTar(f"it ends after {self._at:,} bytes, in the middle or without its end")
        return ReadTar(
            self._compression,
            self._at,
            tuple(self._walk.entries),
            self._digests,
            self._manifests,
        )

    def _take(self, data: memoryview) -> None:
        if self._at + len(data) > self._most:
            raise BadTar(f"it holds more than {self._most:,} bytes, which is more than it may")
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


def _is_manifest(entry: TarEntry) -> bool:
    folder, _, name = entry.name.rpartition("/")
    return name == MANIFEST and bool(folder) and "/" not in folder and entry.size <= MOST_MANIFEST
