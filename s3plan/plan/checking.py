"""The one pass over the text of a plan file that proves it whole, and finds its worklists."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from pathlib import Path
from sys import maxsize
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct

from s3plan.errors import PlanFileError
from s3plan.model.plan import PARTED_FORMAT, PLAN_FORMAT, PlanEnd, PlanHeader, PlanPart
from s3plan.model.steps import Step, Verifying
from s3plan.plan.digest import PlanDigest, step_id_of
from s3plan.plan.parts import MOST_ITEMS
from s3plan.plan.textlines import blocks, decode, refuse

FORMAT_FAMILY = PLAN_FORMAT.rpartition("/")[0] + "/"

_ASKED = b'{"type":"asked",'
_END = b'{"type":"end",'
_ITEM_OF = b'{"type":"item","step":"'


class AnyHeader(Struct):
    """As much of a header as every version of the format has."""

    type: str
    format: str
    tool: str = "unknown"


@dataclass(frozen=True, slots=True)
class Section:
    """Where the items of one step stand in the text: byte offset, first line, how many.

    ``marks`` are places among them, some thousands apart: how many items come before, and the byte
    offset; so that reading may begin anywhere without all that comes before.
    """

    offset: int
    line: int
    items: int
    marks: tuple[tuple[int, int], ...] = ()

    def near(self, start: int) -> tuple[int, int]:
        """The last mark at or before item ``start``."""
        place = bisect_right(self.marks, (start, maxsize)) - 1
        return self.marks[place] if place >= 0 else (0, self.offset)


class Check:
    """The one pass over a plan file; its methods follow the order of the file."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path = path
        self._blocks = blocks(path, stream, 1)
        self._sections: dict[str, Section] = {}
        self._marks: dict[str, list[tuple[int, int]]] = {}
        self.parts: dict[str, list[PlanPart]] = {}
        self._steps: list[Step] = []
        self._ids: set[str] = set()
        self._worklists: dict[str, str | None] = {}
        self._verifications: set[str] = set()
        self._own_worklists: set[str] = set()
        self.asked = Section(0, 0, 0)
        self._end: PlanEnd | None = None
        self._current: str | None = None
        self._prefix = b""
        self._header: PlanHeader | None = None
        self._digest: PlanDigest | None = None

    def read(self) -> tuple[PlanHeader, tuple[Step, ...], dict[str, Section], str]:
        last = 0
        for offset, first, lines in self._blocks:
            last = first + len(lines) - 1
            self._block(offset, first, lines)
        header, digest, end = self._header, self._digest, self._end
        if header is None or digest is None:
            refuse(self._path, 1, "the plan file is empty", expected="a header line")
        if end is None:
            refuse(self._path, last, "the plan file is cut off", expected="an end record")
        if end.lines != last:
            refuse(
                self._path,
                last,
                "lines are missing from the plan file, or were added",
                expected=f"{end.lines} lines",
                found=f"{last} lines",
            )
        for step in self._steps:
            section = self._sections.get(step.worklist or "")
            parts = self.parts.get(step.worklist or "", ())
            found = section.items if section else sum(part.items for part in parts)
            if found != step.totals.items:
                refuse(
                    self._path,
                    section.line if section else last,
                    f"items of step {step.id} are missing, or were added",
                    expected=f"{step.totals.items} items",
                    found=f"{found} items",
                )
        if digest.value() != end.digest:
            refuse(
                self._path,
                last,
                "the plan file was edited or damaged: its content has another digest",
                expected=end.digest,
                found=digest.value(),
            )
        sections = {
            step: replace(section, marks=tuple(self._marks[step]))
            for step, section in self._sections.items()
        }
        return header, tuple(self._steps), sections, end.digest

    def _block(self, offset: int, first: int, lines: list[bytes]) -> None:
        index = 0
        while index < len(lines):
            line = lines[index]
            number = first + index
            if self._end is not None:
                refuse(self._path, number, "something follows the end record")
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
                refuse(self._path, number, "something stands among what was asked for")
            elif line.startswith(b'{"type":"item"'):
                run = self._items_from(lines, index)
                where = offset + sum(map(len, lines[:index])) + index
                self._add_items(lines[index:run], where, number, self._digest)
                index = run
            else:
                self._record(line, number, self._digest)
                index += 1

    def _begin(self, line: bytes, number: int) -> None:
        probe = decode(msgspec.json.Decoder(AnyHeader), line, self._path, number)
        if probe.type != "header" or not probe.format.startswith(FORMAT_FAMILY):
            refuse(
                self._path,
                number,
                "this is not a plan file",
                expected=f"a header with format {PLAN_FORMAT}",
                found=f"type {probe.type!r}, format {probe.format!r}",
            )
        if probe.format not in (PLAN_FORMAT, PARTED_FORMAT):
            raise PlanFileError(
                "the plan file has a format that this s3plan does not read",
                address=f"{self._path}:{number}",
                expected=f"{PLAN_FORMAT} or {PARTED_FORMAT}",
                found=f"{probe.format}, written by s3plan {probe.tool}",
                next_step=f"use s3plan {probe.tool} or newer, or make a new plan",
            )
        self._header = decode(msgspec.json.Decoder(PlanHeader), line, self._path, number)
        self._digest = PlanDigest(
            self._header.target, self._header.own_limits, self._header.notified
        )

    def _record(self, line: bytes, number: int, digest: PlanDigest) -> None:
        record = decode(_RECORD, line, self._path, number)
        if isinstance(record, PlanEnd):
            self._end = record
            return
        if isinstance(record, PlanPart):
            self._add_part(record, number, digest)
            return
        if self._current is not None or self.parts:
            refuse(self._path, number, "a step stands among the items", found=record.id)
        stands = decode(_ANYTHING, line, self._path, number)
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
            refuse(
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
                refuse(
                    self._path,
                    number,
                    f"step {step.id} leans on a step that does not come before it",
                    found=str(named),
                )
        for need in step.needs:
            # Items are handed over by their numbers: they must be those of one worklist.
            if need.mode == "each" and self._worklists[need.step] != step.worklist:
                refuse(
                    self._path,
                    number,
                    f"step {step.id} takes items from a step with another worklist",
                    expected=str(step.worklist),
                    found=str(self._worklists[need.step]),
                )
        if step.gate and step.gate.evidence not in self._verifications:
            refuse(
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
            known = self._is_to_come(step)
            if known and lines[index].startswith(prefix):
                self._current, self._prefix = step, prefix
        prefix = self._prefix
        run = index
        while run < len(lines) and lines[run].startswith(prefix):
            run += 1
        return run

    def _is_to_come(self, step: str) -> bool:
        """Whether items of that step may begin here: in lines or in parts, and all together."""
        return step in self._own_worklists and step not in self._sections and step not in self.parts

    def _add_part(self, part: PlanPart, number: int, digest: PlanDigest) -> None:
        known = self.parts.get(part.step, [])
        last = next(reversed(self.parts), None)
        if (known and last != part.step) or not (known or self._is_to_come(part.step)):
            refuse(self._path, number, "a part belongs to no step, or its step's items are apart")
        expected = known[-1].first + known[-1].items if known else 0
        if part.first != expected or part.items > MOST_ITEMS:
            refuse(
                self._path,
                number,
                "a part of a worklist is missing, or was added",
                expected=f"at most {MOST_ITEMS:,} items from item {expected:,} on",
                found=f"{part.items:,} items from item {part.first:,} on",
            )
        if self._header is None or self._header.format != PARTED_FORMAT:
            refuse(self._path, number, f"only a plan of format {PARTED_FORMAT} has parts")
        self._current = None
        self.parts.setdefault(part.step, []).append(part)
        digest.part(part)

    def _add_items(self, lines: list[bytes], offset: int, number: int, digest: PlanDigest) -> None:
        step = self._current
        if step is None:
            refuse(self._path, number, "an item belongs to no step, or its step's items are apart")
        known = self._sections.get(step, Section(offset, number, 0))
        self._marks.setdefault(step, []).append((known.items, offset))
        self._sections[step] = replace(known, items=known.items + len(lines))
        digest.items(b"\n".join(lines) + b"\n")

    def _add_asked(self, lines: list[bytes], offset: int, number: int, digest: PlanDigest) -> None:
        known = self.asked if self.asked.items else Section(offset, number, 0)
        self.asked = Section(known.offset, known.line, known.items + len(lines))
        digest.items(b"\n".join(lines) + b"\n")


_RECORD: msgspec.json.Decoder[Step | PlanPart | PlanEnd] = msgspec.json.Decoder(
    Step | PlanPart | PlanEnd
)
_ANYTHING: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
"""A line as it stands: what a typed decoder skips, such as unknown members, is decoded here too."""
