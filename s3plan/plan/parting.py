"""Writing a worklist into Parquet files beside the plan that is sealed; and copying such files."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from s3plan.errors import PlanFileError
from s3plan.model.plan import PlanPart
from s3plan.plan.columns import USED, digest_of, stored, texts, texts_of_table, used
from s3plan.plan.parts import begun_files, begun_name, check_there, folder_of, name_of, part_files
from s3plan.tables import Database

PARTED_FROM = 1_000_000
"""Items from which on a worklist stands in files of its own: of so many, reading a plan takes half
a second."""

_HANDS = 2
_CHUNK = 1 << 20


class Parting:
    """The files of one plan while it is sealed."""

    def __init__(self, plan: Path, database: Database) -> None:
        """The folder is made when the first file is."""
        self._plan = plan
        self._folder = folder_of(plan)
        self._database = database
        self._before = {path.name for path in (*part_files(plan), *begun_files(plan))}
        self._made: set[str] = set()

    @contextmanager
    def kept_if_well(self) -> Iterator[None]:
        """What was made goes again where the block fails; where it ends well, the files of the plan
        before go.
        """
        try:
            yield
        except BaseException:
            self._sweep(self._made - self._before)
            raise
        self._sweep(self._before - self._made)

    def write(self, step: str, count: int, stretch: int) -> Iterator[PlanPart]:
        """The worklist of ``step``, ``count`` items, in files of ``stretch`` each: durable, in
        order.
        """
        self._folder.mkdir(exist_ok=True)
        names = used(self._database.row(USED, {"step": step}))
        with ThreadPoolExecutor(_HANDS, thread_name_prefix="parts") as pool:
            waiting: deque[Future[PlanPart]] = deque()
            try:
                for first in range(0, count, stretch):
                    behind = min(first + stretch, count)
                    waiting.append(pool.submit(self._part, step, names, first, behind))
                    if len(waiting) > _HANDS:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()
        sync_directory(self._folder)

    def _part(self, step: str, names: Sequence[str], first: int, behind: int) -> PlanPart:
        bounds = {"step": step, "first": first, "behind": behind}
        columns = texts(names, self._database.row(texts_of_table(names), bounds))
        written = self._database.write_parquet(stored(names), bounds)
        temporary = self._folder / begun_name()
        try:
            file, size = copy_file(written, temporary)
            part = PlanPart(step, first, behind - first, digest_of(columns), file, size)
            temporary.replace(self._folder / name_of(part))
        finally:
            written.unlink()
            temporary.unlink(missing_ok=True)
        self._made.add(name_of(part))
        return part

    def _sweep(self, names: Collection[str]) -> None:
        for name in names:
            (self._folder / name).unlink(missing_ok=True)
        with suppress(OSError):
            self._folder.rmdir()


def copy_parts(plan: Path, parts: Sequence[PlanPart], target: Path) -> None:
    """Copy the parts of ``plan`` beside ``target``, durable; none of which may be there.

    Raises PlanFileError where one is not as the plan says, OSError where it cannot be written.
    """
    if not parts:
        return
    check_there(plan, parts)
    folder = folder_of(target)
    folder.mkdir()
    for part in parts:
        source = folder_of(plan) / name_of(part)
        found, _ = copy_file(source, folder / name_of(part))
        if found != part.file:
            raise PlanFileError(
                "a file of the plan's worklists was edited or damaged, or is another plan's",
                address=str(source),
                expected=f"SHA-256 {part.file}",
                found=f"SHA-256 {found}",
                next_step="copy the plan and its files again, or make a new plan with s3plan plan",
            )
    sync_directory(folder)


def copy_file(source: Path, target: Path) -> tuple[str, int]:
    """Copy a file to a new one, durable; the SHA-256 of its bytes in hex, and their number."""
    digest = hashlib.sha256()
    size = 0
    with source.open("rb") as there, target.open("xb") as here:
        while chunk := there.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            here.write(chunk)
        here.flush()
        os.fsync(here.fileno())
    return digest.hexdigest(), size


def sync_directory(directory: Path) -> None:
    """Make names durable: without this, a power cut can bring the old ones back."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
