"""What a tar holds, told by its headers alone: for archives that nobody wrote an index of.

A walk asks for bytes by their place and is given them, in rising order; it never asks for the
content of a file. So it is the same walk whether single ranges are fetched or the whole goes by.
Headers are those of ustar, PAX ("pax Interchange Format", POSIX.1-2024, pax) and GNU tar ("Basic
Tar Format", https://www.gnu.org/software/tar/manual/html_node/Standard.html).

A tar that ends early, or a header that is not one, is no tar: nothing is guessed.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Generator, Iterable, Iterator
from typing import Literal

from msgspec import Struct, json

from s3plan.rules.tarlayout import BLOCK, MOST_MEMBERS

MOST_EXTENSION = 1 << 20
"""Bytes of the headers that come before a header: names and times are some hundreds."""

EntryKind = Literal["file", "directory", "link", "special", "sparse", "unknown"]
"""``special`` are devices and pipes; ``sparse`` are files that are not stored as they are."""

Span = tuple[int, int]
"""The first byte, and how many."""

_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_KINDS: dict[bytes, EntryKind] = {
    tarfile.DIRTYPE: "directory",
    tarfile.LNKTYPE: "link",
    tarfile.SYMTYPE: "link",
    tarfile.CHRTYPE: "special",
    tarfile.BLKTYPE: "special",
    tarfile.FIFOTYPE: "special",
    tarfile.GNUTYPE_SPARSE: "sparse",
}
_LAST = 60_000_000_000.0
"""Seconds; before and after that a calendar has no years."""

_GLOBAL = b"g"
_PAX = (b"x", b"X")
_RECORD = re.compile(rb"([1-9][0-9]{0,9}) ")


class BadTar(ValueError):
    """These bytes are not a whole tar; says where and why."""


class TarEntry(Struct, frozen=True):
    """A file or whatever else a header tells of. ``mtime`` is seconds since 1970."""

    name: str
    kind: EntryKind
    offset: int
    size: int
    mtime: float


class TarWalk:
    """One walk through a tar of ``size`` bytes, or of a size that shows at its end (None)."""

    def __init__(self, size: int | None) -> None:
        self.entries: list[TarEntry] = []
        """What has been found so far, in the tar's order."""
        self._size = size
        self._walk = self._steps()
        self.wanted: Span | None = None
        """The bytes that are needed next; None at the end, from which on only zeros may follow."""
        self.ends_at = 0
        """Where the tar's own end is, once nothing is wanted."""
        self._proceed(None)

    def give(self, data: bytes) -> None:
        """The bytes that were wanted. Raises BadTar."""
        self._proceed(data)

    def _proceed(self, data: bytes | None) -> None:
        try:
            self.wanted = self._walk.send(data) if data is not None else next(self._walk)
        except StopIteration:
            self.wanted = None

    def _steps(self) -> Generator[Span, bytes, None]:
        at = 0
        shared: dict[str, str] = {}
        while True:
            own: dict[str, str] = dict(shared)
            header, at = yield from self._header(at, ended=True)
            if header is None:
                self.ends_at = at
                return
            while header.type in (
                *_PAX,
                _GLOBAL,
                tarfile.GNUTYPE_LONGNAME,
                tarfile.GNUTYPE_LONGLINK,
            ):
                if header.size > MOST_EXTENSION:
                    raise BadTar(f"the header at {at - BLOCK:,} has {header.size:,} bytes of text")
                self._check_end(at, header.size)
                text = (yield at, header.size) if header.size else b""
                at += header.size + -header.size % BLOCK
                if header.type == _GLOBAL:
                    shared |= _records(text)
                    own |= shared
                elif header.type in _PAX:
                    own |= _records(text)
                elif header.type == tarfile.GNUTYPE_LONGNAME:
                    own["path"] = _text(text.partition(b"\0")[0])
                header, at = yield from self._header(at, ended=False)
                assert header is not None
            entry = _entry(header, own, at)
            self._check_end(at, entry.size)
            self.entries.append(entry)
            if len(self.entries) > MOST_MEMBERS:
                raise BadTar(f"more than {MOST_MEMBERS:,} entries")
            at += entry.size + -entry.size % BLOCK

    def _header(
        self, at: int, *, ended: bool
    ) -> Generator[Span, bytes, tuple[tarfile.TarInfo | None, int]]:
        """The header at ``at``; None for the two blocks of zeros that may end the tar there."""
        self._check_end(at, BLOCK)
        block = yield at, BLOCK
        if not any(block):
            if not ended:
                raise BadTar(f"at {at:,} a header is missing that the one before announces")
            self._check_end(at + BLOCK, BLOCK)
            if any((yield at + BLOCK, BLOCK)):
                raise BadTar(f"a single block of zeros at {at:,}, and more after it")
            return None, at + 2 * BLOCK
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape"), at + BLOCK
        except tarfile.HeaderError as error:
            raise BadTar(f"at {at:,} is no header of a tar: {error}") from error

    def _check_end(self, at: int, size: int) -> None:
        if size < 0:
            raise BadTar(f"the header before {at:,} tells a size below 0")
        if self._size is not None and at + size > self._size:
            raise BadTar(f"it ends at {self._size:,}, and {at + size:,} bytes are announced")


def files_of(entries: Iterable[TarEntry]) -> Iterator[TarEntry]:
    """The files, each name once: where one is there twice, the last counts, as it does for tar."""
    last = {entry.name: entry for entry in entries}
    return (entry for entry in last.values() if entry.kind == "file")


def digest_of_entries(entries: Iterable[TarEntry]) -> str:
    """The SHA-256, in hex, over all that the headers tell: equal for equal headers."""
    running = hashlib.sha256()
    for one in entries:
        told = (one.name, one.kind, one.offset, one.size, one.mtime)
        running.update(json.encode(told) + b"\n")
    return running.hexdigest()


def _entry(header: tarfile.TarInfo, own: dict[str, str], at: int) -> TarEntry:
    try:
        size = int(own.get("size", header.size))
        mtime = float(own.get("mtime", header.mtime))
    except ValueError as error:
        raise BadTar(f"the header before {at:,} tells no size or time: {error}") from error
    if not abs(mtime) < _LAST:
        raise BadTar(f"the header before {at:,} tells no time: {mtime}")
    name = own.get("path", header.name)
    kind: EntryKind = "file" if header.type in _FILES else _KINDS.get(header.type, "unknown")
    if any(key.startswith("GNU.sparse.") for key in own):
        kind = "sparse"
    if kind == "file" and name.endswith("/"):
        kind = "directory"  # as tar wrote them before there were types
    if kind in ("directory", "link", "special"):
        # Whatever size they tell, nothing follows (POSIX: "no data blocks").
        size = 0
    if not _is_text(name):
        name, kind = name.encode("utf-8", "backslashreplace").decode(), "unknown"
    return TarEntry(name.rstrip("/"), kind, at, size, mtime)


def _records(text: bytes) -> dict[str, str]:
    """The records of a PAX header: length, a space, keyword=value, a newline."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text) and text[at]:
        told = _RECORD.match(text, at)
        end = at + int(told[1]) if told else 0
        if told is None or end > len(text) or text[end - 1 : end] != b"\n" or end <= told.end():
            raise BadTar("a PAX header has a record that is none")
        key, equals, value = text[told.end() : end - 1].partition(b"=")
        if not equals:
            raise BadTar("a PAX header has a record without a value")
        found[_text(key)] = _text(value)
        at = end
    return found


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return bool(name)
