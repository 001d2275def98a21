"""Reading a plan file: one pass proves it whole and finds its worklists, which stream afterwards.

A plan file is untrusted input: it may be cut, edited or made by another version. Whatever is wrong
with it is a PlanFileError that names the line. Memory does not grow with the number of items.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Never, TypeVar

import msgspec
from msgspec import Struct

from s3plan.errors import PlanFileError
from s3plan.model.plan import PLAN_FORMAT, PlanEnd, PlanHeader
from s3plan.model.steps import Item, Step, Verifying
from s3plan.model.worklist import Asked
from s3plan.plan import compression
from s3plan.plan.digest import PlanDigest, step_id_of

_BLOCK = 1024 * 1024
_LONGEST_LINE = 16 * 1024 * 1024
_ASKED = b'{"type":"asked",'
_END = b'{"type":"end",'
_ITEM_OF = b'{"type":"item","step":"'
_FORMAT_FAMILY = PLAN_FORMAT.rpartition("/")[0] + "/"

T = TypeVar("T")


class ItemRow(Struct, frozen=True, gc=False):
    """As much of an item as a summary needs; ten million of them are read in seconds."""

    n: int
    key: str
    path: str
    size: int
    storage_class: str = "STANDARD"


class _AnyHeader(Struct):
    """As much of a header as every version of the format has."""

    type: str
    format: str
    tool: str = "unknown"


@dataclass(frozen=True, slots=True)
class _Section:
    """Where the items of one step stand in the text: byte offset, first line, how many."""

    offset: int
    line: int
    items: int


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A sealed plan whose digest has been checked: header and steps in memory, items on disk."""

    path: Path
    header: PlanHeader
    steps: tuple[Step, ...]
    digest: str
    _sections: Mapping[str, _Section] = field(repr=False)
    _stamp: tuple[int, int, int, int] = field(repr=False)
    _asked: _Section = field(default=_Section(0, 0, 0), repr=False)

    @classmethod
    def open(cls, path: Path) -> PlanFile:
        """Read and check a whole plan file. Raises PlanFileError."""
        with compression.opened(path) as stream:
            stamp = _stamp(path)
            reader = _Reader(path, stream)
            header, steps, sections, digest = reader.read()
            return cls(path, header, steps, digest, sections, stamp, reader.asked)

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
        section = None if worklist is None else self._sections.get(worklist)
        if worklist is None or section is None or start >= section.items:
            return
        with self._opened(section) as stream:
            lines = islice(_lines(self.path, stream, section.line), start, section.items)
            yield from self._decoded(worklist, lines, start, section)

    def asked(self) -> Iterator[Asked]:
        """What the plan was asked to be for, in the order given; nothing where it is for all.

        Raises PlanFileError when the file changed since it was opened, or a line is damaged.
        """
        if not self._asked.items:
            return
        decoder = msgspec.json.Decoder(Asked)
        read = 0
        with self._opened(self._asked) as stream:
            lines = islice(_lines(self.path, stream, self._asked.line), self._asked.items)
            for expected, (number, line) in enumerate(lines):
                asked = _decode(decoder, line, self.path, number)
                if asked.n != expected:
                    _refuse(self.path, number, "an entry of what was asked for is out of place")
                yield asked
                read += 1
        self._check_end(self._asked, read)

    def rows(self, step: str) -> Iterator[list[ItemRow]]:
        """The worklist of a step in lists, as much of each item as a summary needs.

        Raises PlanFileError when the file changed since it was opened, or an item is damaged.
        """
        worklist = self.step(step).worklist
        section = None if worklist is None else self._sections.get(worklist)
        if section is None:
            return
        decoder = msgspec.json.Decoder(ItemRow)
        left = section.items
        with self._opened(section) as stream:
            for _, number, lines in _blocks(self.path, stream, section.line):
                mine = lines[:left]
                try:
                    yield decoder.decode_lines(b"\n".join(mine))
                except msgspec.MsgspecError as error:
                    _refuse(self.path, number, "an item cannot be read", found=str(error))
                left -= len(mine)
                if not left:
                    return
        self._check_end(section, section.items - left)

    @contextmanager
    def _opened(self, section: _Section) -> Iterator[BinaryIO]:
        """The text from the first item of a section, if the file is still the one that was read."""
        with compression.opened(self.path) as stream:
            if _stamp(self.path) != self._stamp:
                raise PlanFileError(
                    "the plan file changed while it was in use",
                    address=str(self.path),
                    next_step="look at it with s3plan show, then approve it again",
                )
            compression.skip(stream, section.offset)
            yield stream

    def _decoded(
        self, worklist: str, lines: Iterator[tuple[int, bytes]], start: int, section: _Section
    ) -> Iterator[Item]:
        decoder = msgspec.json.Decoder(Item)
        expected = start
        for number, line in lines:
            item = _decode(decoder, line, self.path, number)
            if item.n != expected or item.step != worklist or item.size < 0:
                _refuse(
                    self.path,
                    number,
                    "an item is out of place",
                    expected=f"item {expected} of {worklist}",
                    found=f"item {item.n} of {item.step}",
                )
            expected += 1
            yield item
        self._check_end(section, expected)

    def _check_end(self, section: _Section, read: int) -> None:
        """A damaged compressed file may give its text once, and less of it the next time."""
        if read < section.items:
            _refuse(
                self.path,
                section.line + read,
                "the plan file ends before its worklist does",
                expected=f"{section.items:,} items",
                found=f"{read:,}",
            )


class _Reader:
    """The one pass over a plan file; its methods follow the order of the file."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path = path
        self._blocks = _blocks(path, stream, 1)
        self._sections: dict[str, _Section] = {}
        self._steps: list[Step] = []
        self._ids: set[str] = set()
        self._worklists: dict[str, str | None] = {}
        self._verifications: set[str] = set()
        self._own_worklists: set[str] = set()
        self.asked = _Section(0, 0, 0)
        self._end: PlanEnd | None = None
        self._current: str | None = None
        self._prefix = b""
        self._header: PlanHeader | None = None
        self._digest: PlanDigest | None = None

    def read(self) -> tuple[PlanHeader, tuple[Step, ...], dict[str, _Section], str]:
        last = 0
        for offset, first, lines in self._blocks:
            last = first + len(lines) - 1
            self._block(offset, first, lines)
        header, digest, end = self._header, self._digest, self._end
        if header is None or digest is None:
            _refuse(self._path, 1, "the plan file is empty", expected="a header line")
        if end is None:
            _refuse(self._path, last, "the plan file is cut off", expected="an end record")
        if end.lines != last:
            _refuse(
                self._path,
                last,
                "lines are missing from the plan file, or were added",
                expected=f"{end.lines} lines",
                found=f"{last} lines",
            )
        for step in self._steps:
            section = self._sections.get(step.worklist or "")
            found = section.items if section else 0
            if found != step.totals.items:
                _refuse(
                    self._path,
                    section.line if section else last,
                    f"items of step {step.id} are missing, or were added",
                    expected=f"{step.totals.items} items",
                    found=f"{found} items",
                )
        if digest.value() != end.digest:
            _refuse(
                self._path,
                last,
                "the plan file was edited or damaged: its content has another digest",
                expected=end.digest,
                found=digest.value(),
            )
        return header, tuple(self._steps), self._sections, end.digest

    def _block(self, offset: int, first: int, lines: list[bytes]) -> None:
        index = 0
        while index < len(lines):
            line = lines[index]
            number = first + index
            if self._end is not None:
                _refuse(self._path, number, "something follows the end record")
            if self._digest is None:
                self._begin(line, number)
                index += 1
            elif line.startswith(_ASKED):
                run = index + 1
                while run < len(lines) and lines[run].startswith(_ASKED):
                    run += 1
                where = offset + sum(map(len, lines[:index])) + index
                self._add_asked(lines[index:run], where, number, self._digest)
                index = run
            elif self.asked.items and not line.startswith(_END):
                _refuse(self._path, number, "something stands among what was asked for")
            elif line.startswith(b'{"type":"item"'):
                run = self._items_from(lines, index)
                where = offset + sum(map(len, lines[:index])) + index
                self._add_items(lines[index:run], where, number, self._digest)
                index = run
            else:
                self._step_or_end(line, number, self._digest)
                index += 1

    def _begin(self, line: bytes, number: int) -> None:
        probe = _decode(msgspec.json.Decoder(_AnyHeader), line, self._path, number)
        if probe.type != "header" or not probe.format.startswith(_FORMAT_FAMILY):
            _refuse(
                self._path,
                number,
                "this is not a plan file",
                expected=f"a header with format {PLAN_FORMAT}",
                found=f"type {probe.type!r}, format {probe.format!r}",
            )
        if probe.format != PLAN_FORMAT:
            raise PlanFileError(
                "the plan file has a format that this s3plan does not read",
                address=f"{self._path}:{number}",
                expected=PLAN_FORMAT,
                found=f"{probe.format}, written by s3plan {probe.tool}",
                next_step=f"use s3plan {probe.tool} or newer, or make a new plan",
            )
        self._header = _decode(msgspec.json.Decoder(PlanHeader), line, self._path, number)
        self._digest = PlanDigest(
            self._header.target, self._header.own_limits, self._header.notified
        )

    def _step_or_end(self, line: bytes, number: int, digest: PlanDigest) -> None:
        record = _decode(_STEP_OR_END, line, self._path, number)
        if isinstance(record, PlanEnd):
            self._end = record
            return
        if self._current is not None:
            _refuse(self._path, number, "a step stands among the items", found=record.id)
        stands = _decode(_ANYTHING, line, self._path, number)
        self._check(record, stands["action"], number)
        digest.step(stands)
        self._steps.append(record)
        self._ids.add(record.id)
        self._worklists[record.id] = record.worklist
        if isinstance(record.action, Verifying):
            self._verifications.add(record.id)
        if record.worklist == record.id:
            self._own_worklists.add(record.id)

    def _check(self, step: Step, action: dict[str, Any], number: int) -> None:
        """Refuse a step that is not made from its content, or leans on what is not before it."""
        earlier = self._ids
        identity = step_id_of(step.verb, action, step.subject)
        if step.id in earlier or step.id != identity:
            _refuse(
                self._path,
                number,
                "a step's id does not belong to it",
                expected=identity,
                found=step.id,
            )
        for named in (
            *(need.step for need in step.needs),
            *((step.gate.evidence,) if step.gate else ()),
            *((step.worklist,) if step.worklist not in {None, step.id} else ()),
        ):
            if named not in earlier:
                _refuse(
                    self._path,
                    number,
                    f"step {step.id} leans on a step that does not come before it",
                    found=str(named),
                )
        for need in step.needs:
            # Items are handed over by their numbers: they must be those of one worklist.
            if need.mode == "each" and self._worklists[need.step] != step.worklist:
                _refuse(
                    self._path,
                    number,
                    f"step {step.id} takes items from a step with another worklist",
                    expected=str(step.worklist),
                    found=str(self._worklists[need.step]),
                )
        if step.gate and step.gate.evidence not in self._verifications:
            _refuse(
                self._path,
                number,
                f"the gate of step {step.id} asks for evidence from a step that makes none",
                found=step.gate.evidence,
            )

    def _items_from(self, lines: list[bytes], index: int) -> int:
        """The index after the last line of the run of one step's items that starts at ``index``."""
        if not (self._current and lines[index].startswith(self._prefix)):
            self._current = None
        if self._current is None:
            name, quote, _ = lines[index].removeprefix(_ITEM_OF).partition(b'"')
            step = name.decode(errors="replace")
            prefix = _ITEM_OF + name + quote + b","
            known = step in self._own_worklists and step not in self._sections
            if known and lines[index].startswith(prefix):
                self._current, self._prefix = step, prefix
        prefix = self._prefix
        run = index
        while run < len(lines) and lines[run].startswith(prefix):
            run += 1
        return run

    def _add_items(self, lines: list[bytes], offset: int, number: int, digest: PlanDigest) -> None:
        step = self._current
        if step is None:
            _refuse(self._path, number, "an item belongs to no step, or its step's items are apart")
        known = self._sections.get(step, _Section(offset, number, 0))
        self._sections[step] = _Section(known.offset, known.line, known.items + len(lines))
        digest.items(b"\n".join(lines) + b"\n")

    def _add_asked(self, lines: list[bytes], offset: int, number: int, digest: PlanDigest) -> None:
        known = self.asked if self.asked.items else _Section(offset, number, 0)
        self.asked = _Section(known.offset, known.line, known.items + len(lines))
        digest.items(b"\n".join(lines) + b"\n")


_STEP_OR_END: msgspec.json.Decoder[Step | PlanEnd] = msgspec.json.Decoder(Step | PlanEnd)
_ANYTHING: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
"""A line as it stands: what a typed decoder skips, such as unknown members, is decoded here too."""


def is_plan(path: Path) -> bool:
    """Whether ``path`` starts like a plan file of any version."""
    try:
        with compression.opened(path) as stream:
            _, line = next(_lines(path, stream, 1))
            return _decode(msgspec.json.Decoder(_AnyHeader), line, path, 1).format.startswith(
                _FORMAT_FAMILY
            )
    except (PlanFileError, StopIteration):
        return False


def _blocks(path: Path, stream: BinaryIO, number: int) -> Iterator[tuple[int, int, list[bytes]]]:
    """Complete lines in lists, each with the offset and number of its first line."""
    offset = 0
    rest = b""
    while chunk := stream.read(_BLOCK):
        data = rest + chunk
        cut = data.rfind(b"\n") + 1
        if cut:
            lines = data[: cut - 1].split(b"\n")
            yield offset, number, lines
            number += len(lines)
            offset += cut
        rest = data[cut:]
        if len(rest) > _LONGEST_LINE:
            _refuse(path, number, f"a line is longer than {_LONGEST_LINE} bytes")
    if rest:
        _refuse(path, number, "the last line is cut off", expected="a newline at its end")


def _lines(path: Path, stream: BinaryIO, number: int) -> Iterator[tuple[int, bytes]]:
    for _, first, lines in _blocks(path, stream, number):
        yield from enumerate(lines, first)


def _decode(decoder: msgspec.json.Decoder[T], line: bytes, path: Path, number: int) -> T:
    try:
        return decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PlanFileError(
            "a line of the plan file cannot be read",
            address=f"{path}:{number}",
            found=str(error),
            next_step="copy the file again, or make a new plan with s3plan plan",
        ) from error


def _refuse(
    path: Path, number: int, what: str, *, expected: str | None = None, found: str | None = None
) -> Never:
    raise PlanFileError(
        what,
        address=f"{path}:{number}",
        expected=expected,
        found=found,
        next_step="copy the file again, or make a new plan with s3plan plan",
    )


def _stamp(path: Path) -> tuple[int, int, int, int]:
    """What differs when a file is replaced or edited."""
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
