"""Reading a plan file: one pass proves it whole and finds its worklists, which stream afterwards.

A plan file is untrusted input: it may be cut, edited or made by another version. Whatever is wrong
with it is a PlanFileError that names the line. Memory does not grow with the number of items. A
worklist in files beside the plan is read through the same methods: each file is checked when it is
opened, and none of its items comes out before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from s3plan.errors import PlanFileError
from s3plan.model.plan import PlanHeader, PlanPart
from s3plan.model.steps import Item, Step
from s3plan.model.worklist import Asked
from s3plan.plan import compression
from s3plan.plan.checking import FORMAT_FAMILY, AnyHeader, Check, Section
from s3plan.plan.parts import MOST_ITEMS, PartFiles, check_there, part_files
from s3plan.plan.textlines import blocks, decode, numbered, refuse

_SHORTEST_ITEM = len('{"type":"item","step":"x","n":0,"key":"","path":"","size":0,"etag":""}')
"""Bytes that an item takes in a plan at least; a bound for how many a plan can have."""


class ItemRow(Struct, frozen=True, gc=False):
    """As much of an item as a summary needs; ten million of them are read in seconds."""

    n: int
    key: str
    path: str
    size: int
    storage_class: str = "STANDARD"


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A sealed plan whose digest has been checked: header and steps in memory, items on disk."""

    path: Path
    header: PlanHeader
    steps: tuple[Step, ...]
    digest: str
    _sections: Mapping[str, Section] = field(repr=False)
    _stamp: tuple[int, int, int, int] = field(repr=False)
    _asked: Section = field(default=Section(0, 0, 0), repr=False)
    _parted: Mapping[str, tuple[PlanPart, ...]] = field(default_factory=dict, repr=False)
    _files: PartFiles | None = field(default=None, repr=False, compare=False)

    @classmethod
    def open(cls, path: Path) -> PlanFile:
        """Read and check a whole plan file, and that the files of its worklists are there.

        Raises PlanFileError.
        """
        with compression.opened(path) as stream:
            stamp = _stamp(path)
            check = Check(path, stream)
            header, steps, sections, digest = check.read()
        parted = {step: tuple(parts) for step, parts in check.parts.items()}
        check_there(path, [part for parts in parted.values() for part in parts])
        files = PartFiles(path) if parted else None
        return cls(path, header, steps, digest, sections, stamp, check.asked, parted, files)

    def step(self, step: str) -> Step:
        """The step with that id. Raises PlanFileError when the plan has none."""
        for known in self.steps:
            if known.id == step:
                return known
        raise PlanFileError(
            f"the plan has no step {step}",
            address=str(self.path),
            expected="one of " + ", ".join(known.id for known in self.steps),
        )

    def items(self, step: str, start: int = 0) -> Iterator[Item]:
        """The worklist of a step from item ``start``, whichever step it is stored under.

        Raises PlanFileError when the file changed since it was opened, or an item is damaged.
        """
        worklist = self.step(step).worklist
        parts = self._parted.get(worklist or "", ())
        if self._files is not None and parts:
            yield from self._files.items(parts, start)
            return
        section = None if worklist is None else self._sections.get(worklist)
        if worklist is None or section is None or start >= section.items:
            return
        before, offset = section.near(start)
        with self._opened(offset) as stream:
            lines = numbered(self.path, stream, section.line + before)
            mine = islice(lines, start - before, section.items - before)
            yield from self._decoded(worklist, mine, start, section)

    def asked(self) -> Iterator[Asked]:
        """What the plan was asked to be for, in the order given; nothing where it is for all.

        Raises PlanFileError when the file changed since it was opened, or a line is damaged.
        """
        if not self._asked.items:
            return
        decoder = msgspec.json.Decoder(Asked)
        read = 0
        with self._opened(self._asked.offset) as stream:
            lines = islice(numbered(self.path, stream, self._asked.line), self._asked.items)
            for expected, (number, line) in enumerate(lines):
                asked = decode(decoder, line, self.path, number)
                if asked.n != expected:
                    refuse(self.path, number, "an entry of what was asked for is out of place")
                yield asked
                read += 1
        self._check_end(self._asked, read)

    def rows(self, step: str) -> Iterator[list[ItemRow]]:
        """The worklist of a step in lists, as much of each item as a summary needs.

        Raises PlanFileError when the file changed since it was opened, or an item is damaged.
        """
        worklist = self.step(step).worklist
        parts = self._parted.get(worklist or "", ())
        if self._files is not None and parts:
            yield from self._files.chosen(parts, ItemRow)
            return
        section = None if worklist is None else self._sections.get(worklist)
        if section is None:
            return
        decoder = msgspec.json.Decoder(ItemRow)
        left = section.items
        with self._opened(section.offset) as stream:
            for _, number, lines in blocks(self.path, stream, section.line):
                mine = lines[:left]
                try:
                    yield decoder.decode_lines(b"\n".join(mine))
                except msgspec.MsgspecError as error:
                    refuse(self.path, number, "an item cannot be read", found=str(error))
                left -= len(mine)
                if not left:
                    return
        self._check_end(section, section.items - left)

    @property
    def parts(self) -> tuple[PlanPart, ...]:
        """The files beside the plan that its worklists stand in; none where all are in it."""
        return tuple(part for parts in self._parted.values() for part in parts)

    @contextmanager
    def _opened(self, offset: int) -> Iterator[BinaryIO]:
        """The text from a place on, if the file is still the one that was read."""
        with compression.opened(self.path) as stream:
            if _stamp(self.path) != self._stamp:
                raise PlanFileError(
                    "the plan file changed while it was in use",
                    address=str(self.path),
                    next_step="look at it with s3plan show, then approve it again",
                )
            compression.skip(stream, offset)
            yield stream

    def _decoded(
        self, worklist: str, lines: Iterator[tuple[int, bytes]], start: int, section: Section
    ) -> Iterator[Item]:
        decoder = msgspec.json.Decoder(Item)
        expected = start
        for number, line in lines:
            item = decode(decoder, line, self.path, number)
            if item.n != expected or item.step != worklist or item.size < 0:
                refuse(
                    self.path,
                    number,
                    "an item is out of place",
                    expected=f"item {expected} of {worklist}",
                    found=f"item {item.n} of {item.step}",
                )
            expected += 1
            yield item
        self._check_end(section, expected)

    def _check_end(self, section: Section, read: int) -> None:
        """A damaged compressed file may give its text once, and less of it the next time."""
        if read < section.items:
            refuse(
                self.path,
                section.line + read,
                "the plan file ends before its worklist does",
                expected=f"{section.items:,} items",
                found=f"{read:,}",
            )


def is_plan(path: Path) -> bool:
    """Whether ``path`` starts like a plan file of any version."""
    try:
        with compression.opened(path) as stream:
            _, line = next(numbered(path, stream, 1))
            return decode(msgspec.json.Decoder(AnyHeader), line, path, 1).format.startswith(
                FORMAT_FAMILY
            )
    except (PlanFileError, StopIteration):
        return False


def most_items(path: Path) -> int:
    """More items than the plan at ``path`` can have, from the sizes of its files alone. OSError."""
    return path.stat().st_size // _SHORTEST_ITEM + len(part_files(path)) * MOST_ITEMS


def _stamp(path: Path) -> tuple[int, int, int, int]:
    """What differs when a file is replaced or edited."""
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
