"""The bytes of an archive, part by part, made of its files: each read once, in order, and hashed.

What is in a part was hashed as it was read, so the list of digests in the archive, its index and
the parts that are sent are of the same bytes. A file that is not as it was planned, or that changes
while it is read, ends the making.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from s3plan.errors import DestinationError
from s3plan.localfs.tree import Missing, RootMissingError, Tree
from s3plan.model.archives import IndexMember
from s3plan.model.local import FileStat
from s3plan.model.steps import Item
from s3plan.rules.filetimes import modified_of
from s3plan.rules.tarlayout import Layout, Placed, manifest_line

_ZEROS = bytes(1 << 16)


class SourceChanged(Exception):
    """A file of the archive is not the one that was planned; says what is different."""

    def __init__(self, item: Item, reason: str, message: str) -> None:
        super().__init__(message)
        self.item = item
        self.reason = reason


class RawPart(Struct, frozen=True):
    """Part ``number`` (from 1) of the tar: its bytes from ``first`` on, in a borrowed buffer."""

    number: int
    first: int
    size: int
    is_last: bool
    buffer: bytearray

    @property
    def data(self) -> memoryview:
        """The bytes; not to be used after the buffer was given back."""
        return memoryview(self.buffer)[: self.size]


def open_source(path: Path) -> Tree:
    """The directory whose files go to S3. Raises DestinationError where it is not there."""
    try:
        return Tree.open(path, create=False)
    except RootMissingError as error:
        raise DestinationError(
            "the directory of the files is not there",
            address=str(path),
            expected="a directory",
            found="nothing",
            next_step="mount its disk, then run the same command again",
        ) from error


def check_source(tree: Tree, item: Item) -> FileStat:
    """The stat of an item's file. Raises SourceChanged unless it is as it was planned."""
    stat = tree.stat(item.path)
    if stat is None:
        raise SourceChanged(item, "source-gone", f"{item.path} is gone")
    check_stat(item, stat)
    return stat


class Packer:
    """One archive in the making. Its methods block, and belong to one thread at a time."""

    def __init__(
        self,
        tree: Tree,
        folder: str,
        layout: Layout,
        items: Sequence[Item],
        part: int,
        check_stop: Callable[[], None],
    ) -> None:
        """``part`` is the size of all parts but the last. ``check_stop`` raises to leave off."""
        self._tree = tree
        self._folder = folder
        self._layout = layout
        self._items = items
        self._part = part
        self._check_stop = check_stop
        self._free: list[bytearray] = []
        self.members: list[IndexMember] = []
        """What has been read to its end so far."""

    def parts(self) -> Iterator[RawPart]:
        """Every part in order. Raises SourceChanged; DestinationError for an unreadable file."""
        number, first = 1, 0
        buffer, filled = self._buffer(first), 0
        for piece in self._pieces():
            rest = memoryview(piece)
            while rest:
                taken = rest[: len(buffer) - filled]
                buffer[filled : filled + len(taken)] = taken
                filled += len(taken)
                rest = rest[len(taken) :]
                if filled == len(buffer):
                    is_last = first + filled == self._layout.size
                    yield RawPart(number, first, filled, is_last, buffer)
                    number, first = number + 1, first + filled
                    buffer, filled = self._buffer(first), 0
        assert first == self._layout.size

    def give_back(self, part: RawPart) -> None:
        """The part's bytes are not needed any more."""
        self._free.append(part.buffer)

    def _buffer(self, first: int) -> bytearray:
        wanted = min(self._part, self._layout.size - first)
        while self._free:
            buffer = self._free.pop()
            if len(buffer) == wanted:
                return buffer
        return bytearray(wanted)

    def _pieces(self) -> Iterator[bytes | memoryview]:
        lines: list[bytes] = []
        *members, manifest = self._layout.members
        for placed, item in zip(members, self._items, strict=True):
            self._check_stop()
            yield placed.header
            digest = hashlib.sha256()
            for chunk in self._content(item):
                digest.update(chunk)
                yield chunk
            yield _ZEROS[: placed.padding]
            self._note(placed, item, digest.hexdigest())
            lines.append(manifest_line(digest.hexdigest(), placed.name, self._folder))
        text = b"".join(lines)
        yield manifest.header
        yield text
        yield _ZEROS[: manifest.padding + self._layout.size - self._layout.end]
        self.members.append(
            IndexMember(
                manifest.name, manifest.offset, manifest.size, hashlib.sha256(text).hexdigest()
            )
        )

    def _note(self, placed: Placed, item: Item, digest: str) -> None:
        self.members.append(
            IndexMember(
                placed.name, placed.offset, placed.size, digest, item.modified, item.keywords
            )
        )

    def _content(self, item: Item) -> Iterator[memoryview]:
        """The file's bytes, exactly as many as planned."""
        left = item.size
        try:
            with self._tree.open_read(item.path, drop_cache=False) as file:
                check_stat(item, file.stat)
                for chunk in file.chunks():
                    left -= len(chunk)
                    if left < 0:
                        break
                    yield chunk
                    self._check_stop()
                # The path as well: another file may have been put in this one's place.
                if left or self._tree.stat(item.path) != file.stat:
                    raise SourceChanged(
                        item, "source-changed", f"{item.path} was changed while it was read"
                    )
        except Missing as error:
            raise SourceChanged(item, "source-gone", f"{item.path} is gone") from error


def check_stat(item: Item, stat: FileStat) -> None:
    """Raises SourceChanged unless a file that was found so is as it was planned."""
    if (stat.size, modified_of(stat.mtime_ns)) != (item.size, item.modified):
        raise SourceChanged(item, "source-changed", f"{item.path} was changed after the plan")
