"""Worklists in Parquet files beside a plan: their names, and each checked before it is read.

``plan.json`` has its files in ``plan.json.parts/``. A file's name tells its step, its first item
and the beginning of its bytes' SHA-256, so that files of two plans never take each other's place,
and a plan is replaced in one instant: its files are there before it is, and those of the plan
before it go afterwards.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from s3plan.errors import PlanFileError
from s3plan.model.plan import PlanPart
from s3plan.model.steps import Item
from s3plan.plan.columns import Stretch, digest_of, known, texts, texts_of_file
from s3plan.tables.parquet import ParquetFolder

T = TypeVar("T", bound=Struct)

MOST_ITEMS = 30_720
"""Items of a part at most: a quarter of a row group of DuckDB's tables."""

_SUFFIX = ".parts"
_NAME = re.compile(r"[a-z]+(?:-[a-z]+)*-[0-9a-f]{8}-[0-9]{12}-[0-9a-f]{16}\.parquet")
_BEGUN = re.compile(r"\.[0-9a-f]{16}\.tmp")
_CHUNK = 1 << 20

_RECENT = 3
"""Parts that stay in memory: one pass has one and the next, and another pass is seldom far."""

_BEFORE_NEXT = 4
"""The next part is opened once the fourth part of this one was taken."""


def folder_of(plan: Path) -> Path:
    """Where the parts of a plan stand."""
    return plan.with_name(plan.name + _SUFFIX)


def name_of(part: PlanPart) -> str:
    """The file of a part."""
    return f"{part.step}-{part.first:012}-{part.file[:16]}.parquet"


def is_part(name: str) -> bool:
    """Whether a file is named as a part is."""
    return _NAME.fullmatch(name) is not None


def part_files(plan: Path) -> list[Path]:
    """The files beside a plan that are named as parts are, whether or not they are the plan's."""
    return [one for one in _entries(plan) if is_part(one.name)]


def begun_name() -> str:
    """A name for a part until it is known what is in it."""
    return f".{secrets.token_hex(8)}.tmp"


def begun_files(plan: Path) -> list[Path]:
    """What a process that was killed left of parts it was writing."""
    return [one for one in _entries(plan) if _BEGUN.fullmatch(one.name)]


def _entries(plan: Path) -> list[Path]:
    folder = folder_of(plan)
    return list(folder.iterdir()) if folder.is_dir() else []


def check_there(plan: Path, parts: Sequence[PlanPart]) -> None:
    """Refuse a plan whose files are not all there, and as long as they were.

    Raises PlanFileError that names the first one, and says what to do.
    """
    folder = folder_of(plan)
    for part in parts:
        path = folder / name_of(part)
        try:
            there = path.stat()
        except OSError as error:
            raise PlanFileError(
                "a file of the plan's worklists is missing",
                address=str(path),
                expected=f"{len(parts):,} files in {folder.name}, of this very plan",
                found=error.strerror or str(error),
                next_step=f"copy the folder {folder.name} to where {plan.name} is: it belongs to"
                " the plan; or make a new plan with s3plan plan",
            ) from error
        if not stat.S_ISREG(there.st_mode) or there.st_size != part.size:
            raise _damaged(path, f"a file of {part.size:,} bytes", f"{there.st_size:,} bytes")


class PartFiles:
    """The files of one plan, opened one after the other; any thread may ask."""

    def __init__(self, plan: Path) -> None:
        """Nothing is opened yet."""
        self._folder = folder_of(plan)
        self._files = ParquetFolder(self._folder.absolute())
        self._lock = threading.Lock()
        self._recent: OrderedDict[PlanPart, Stretch] = OrderedDict()

    def stretches(
        self, parts: Sequence[PlanPart], start: int
    ) -> Iterator[tuple[PlanPart, Stretch, int, int]]:
        """Items from ``start`` on: each part, checked, and the places from and up to which to read.

        The next part is opened by a thread while the last of a part are read.
        """
        following: Future[Stretch] | None = None
        for index, part in enumerate(parts):
            begin = max(0, start - part.first)
            if begin >= part.items:
                continue
            stretch = following.result() if following is not None else self.opened(part)
            middle = max(begin, part.items // _BEFORE_NEXT)
            if begin < middle:
                yield part, stretch, begin, middle
            following = (
                self._pool.submit(self.opened, parts[index + 1]) if index + 1 < len(parts) else None
            )
            if middle < part.items:
                yield part, stretch, middle, part.items

    def items(self, parts: Sequence[PlanPart], start: int) -> Iterator[Item]:
        """The same as items."""
        for part, stretch, begin, end in self.stretches(parts, start):
            yield from stretch.items(part.step, begin, end)

    def chosen(self, parts: Sequence[PlanPart], kind: type[T]) -> Iterator[list[T]]:
        """All items as ``kind``, a Struct whose fields are columns of theirs, in lists."""
        for _, stretch, begin, end in self.stretches(parts, 0):
            yield stretch.chosen(kind, begin, end)

    def opened(self, part: PlanPart) -> Stretch:
        """A part whose items are those that the plan's digest covers. Raises PlanFileError."""
        with self._lock:
            stretch = self._recent.pop(part, None) or self._read(part)
            self._recent[part] = stretch
            while len(self._recent) > _RECENT:
                self._recent.popitem(last=False)
            return stretch

    def _read(self, part: PlanPart) -> Stretch:
        path = self._folder / name_of(part)
        # Before anything decodes it: damage is told as damage.
        found = file_digest(path)
        if found != part.file:
            raise _damaged(path, f"SHA-256 {part.file}", f"SHA-256 {found}")
        try:
            names = known(self._files.columns(path.absolute()))
            row = self._files.row(
                texts_of_file(names), {"path": str(path.absolute()), "most": part.items + 1}
            )
            columns = texts(names, row)
            if digest_of(columns) != part.digest:
                raise _damaged(path, f"items of digest {part.digest}", digest_of(columns))
            stretch = Stretch(columns)
        except (msgspec.MsgspecError, ValueError) as error:
            raise _damaged(path, "items", str(error)) from error
        if stretch.numbers != list(range(part.first, part.first + part.items)):
            expected = f"items {part.first:,} to {part.first + part.items - 1:,} in their order"
            raise _damaged(path, expected, f"{len(stretch):,} items with other numbers")
        return stretch

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, thread_name_prefix="parts")


def file_digest(path: Path) -> str:
    """The SHA-256 of a part's bytes in hex. Raises PlanFileError where it cannot be read."""
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                found.update(chunk)
    except OSError as error:
        raise _damaged(path, "a file that can be read", error.strerror or str(error)) from error
    return found.hexdigest()


def _damaged(path: Path, expected: str, found: str) -> PlanFileError:
    return PlanFileError(
        "a file of the plan's worklists was edited or damaged, or is another plan's",
        address=str(path),
        expected=expected,
        found=found,
        next_step=f"copy {path.parent.name} and the plan again, or make a new plan with"
        " s3plan plan",
    )
