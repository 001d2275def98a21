"""Run folders: ``.s3plan/runs/<id>/`` below the working directory, and the link to the latest.

A folder never moves and nothing in it is overwritten. ``journal.json`` in the working directory is
a link to the journal of the latest apply.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from s3plan.engine.journal import read_journal
from s3plan.engine.state import RunState, fold
from s3plan.errors import JournalError, PlanFileError
from s3plan.localfs.appendlog import AppendLog
from s3plan.localfs.refusals import next_step_of
from s3plan.model.plan import Stage
from s3plan.plan import compression
from s3plan.plan.parting import copy_parts
from s3plan.plan.reading import PlanFile, most_items

STATE_DIRECTORY = ".s3plan"
JOURNAL_LINK = "journal.json"

_JOURNAL_START = b'{"seq":1,"type":"run",'

STAGES: tuple[Stage, ...] = ("sources", "catalog", "copies", "backup")
"""In the order in which a rollback of the whole takes them back."""


class Back(Struct, frozen=True):
    """Where the rollback of a run, or of one stage of it, has its plan and its journal."""

    plan: Path
    journal: Path


class Run(Struct, frozen=True):
    """One run's folder and the names in it."""

    folder: Path

    @property
    def id(self) -> str:
        """Time of start and four random bytes, sortable by time."""
        return self.folder.name

    @property
    def plan(self) -> Path:
        """The plan as it was approved."""
        return self.folder / "plan.json"

    @property
    def journal(self) -> Path:
        """The journal of the apply."""
        return self.folder / "journal.json"

    @property
    def rollback_plan(self) -> Path:
        """What the rollback of this run does."""
        return self.folder / "rollback-plan.json"

    @property
    def rollback_journal(self) -> Path:
        """The journal of the rollback of this run."""
        return self.folder / "rollback.json"

    def back(self, stage: Stage | None = None) -> Back:
        """The rollback of the whole run, or that of one stage."""
        if stage is None:
            return Back(self.rollback_plan, self.rollback_journal)
        name = f"rollback-{stage}"
        return Back(self.folder / f"{name}-plan.json", self.folder / f"{name}.json")

    def back_state(self, stage: Stage | None) -> RunState:
        """The fold of the journal of such a rollback."""
        places = self.back(stage)
        return self._fold(places.journal, places.plan)

    def taken_back(self, *stages: Stage) -> bool:
        """Whether a rollback of the whole or of one of ``stages`` has begun."""
        return any(self.back(stage).journal.exists() for stage in (None, *stages))

    @property
    def soak(self) -> Path:
        """What was seen, and signed, after the run."""
        return self.folder / "soak.json"

    @property
    def lock(self) -> Path:
        """Held by the process that works on this run."""
        return self.folder / "lock"

    def statuses(self, journal: Path) -> Path:
        """Where it is told from time to time how the run of that journal stands."""
        return self.folder / (
            "status.jsonl" if journal == self.journal else f"{journal.stem}-status.jsonl"
        )

    def evidence(self, step: str) -> Path:
        """Where a verification step writes what it found, item by item."""
        return self.folder / "evidence" / f"{step}.jsonl"

    def state(self) -> RunState:
        """The fold of the journal."""
        return self._fold(self.journal, self.plan)

    def rollback_state(self) -> RunState:
        """The fold of the journal of the whole rollback."""
        return self.back_state(None)

    def _fold(self, journal: Path, plan: Path) -> RunState:
        try:
            room = most_items(plan)
        except OSError as error:
            raise JournalError(
                f"the plan beside the journal cannot be read: {error.strerror}",
                address=str(plan),
                next_step="restore the run folder from a copy",
            ) from error
        state = fold(read_journal(journal, most_items=room))
        if state.header is not None and state.header.run != self.id:
            raise JournalError(
                "the journal belongs to another run",
                address=str(journal),
                expected=f"run {self.id}",
                found=f"run {state.header.run}",
                next_step="put every journal back into the run folder it comes from",
            )
        return state


def timestamp(now: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"


_RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")


def is_run_id(text: str) -> bool:
    """Whether ``text`` has the form of a run's id, and so is safe as a directory's name."""
    return _RUN_ID.fullmatch(text) is not None


def run_named(directory: Path, run: str) -> Run:
    """The place of the run ``run`` below ``directory``, whether or not it is there."""
    return Run(directory / STATE_DIRECTORY / "runs" / run)


def new_run(directory: Path, plan: PlanFile, now: datetime) -> Run:
    """Make a folder with a copy of ``plan`` in it, as plain text. Raises as :func:`make_run`."""
    name = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    return make_run(run_named(directory, name), plan)


def make_run(run: Run, plan: PlanFile) -> Run:
    """Make the folder of ``run`` with a copy of ``plan`` in it. JournalError if that fails, and
    PlanFileError where a file of the plan's is not as the plan says: no run was begun then.
    """
    try:
        (run.folder / "evidence").mkdir(parents=True)
        # A compressed plan is known by its name, and here it gets another one.
        with run.plan.open("xb") as target:
            for chunk in compression.text_of(plan.path):
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        copy_parts(plan.path, plan.parts, run.plan)
        for made in (run.folder, *run.folder.parents[:3]):
            _sync_directory(made)
    except PlanFileError:
        shutil.rmtree(run.folder, ignore_errors=True)
        raise
    except OSError as error:
        raise JournalError(
            f"the run folder cannot be made: {error.strerror}",
            address=str(run.folder),
            next_step=next_step_of(error, "make the working directory writable"),
        ) from error
    return run


def begin_rebuilding(directory: Path, run: str, plan: PlanFile) -> Run:
    """The folder of a run that was lost, apart from all others until it is whole. JournalError."""
    place = Run(directory / STATE_DIRECTORY / "rebuilding" / run)
    shutil.rmtree(place.folder, ignore_errors=True)  # of a process that was killed
    return make_run(place, plan)


def end_rebuilding(directory: Path, rebuilt: Run) -> Run:
    """Give a rebuilt run its place among the others. Raises JournalError if that fails."""
    run = run_named(directory, rebuilt.id)
    try:
        run.folder.parent.mkdir(parents=True, exist_ok=True)
        rebuilt.folder.rename(run.folder)
        with suppress(OSError):
            rebuilt.folder.parent.rmdir()
        _sync_directory(run.folder.parent)
    except OSError as error:
        raise JournalError(
            f"the run cannot be put in its place: {error.strerror}",
            address=str(run.folder),
            next_step=next_step_of(error, "make the working directory writable"),
        ) from error
    return run


def runs_in(directory: Path) -> Iterator[Run]:
    """All runs below ``directory``, oldest first; folders without a journal are not runs yet."""
    folder = directory / STATE_DIRECTORY / "runs"
    if folder.is_dir():
        for entry in sorted(folder.iterdir()):
            run = Run(entry)
            if run.journal.is_file():
                yield run


def run_of(journal: Path) -> Run:
    """The run that a journal (or a link to it, or its folder) belongs to."""
    try:
        path = journal.resolve(strict=True)
    except OSError as error:
        raise JournalError(
            "there is no journal here",
            address=str(journal),
            next_step="name the journal of a run, or run `s3plan apply` first",
        ) from error
    run = Run(path if path.is_dir() else path.parent)
    if not run.journal.is_file():
        raise JournalError(
            "this file is not in a run folder",
            address=str(journal),
            expected="journal.json in a folder below .s3plan/runs",
            next_step="name the journal where s3plan wrote it; run folders never move",
        )
    return run


def is_journal(path: Path) -> bool:
    """Whether the file at ``path`` begins as a journal does, of whatever version."""
    try:
        with path.open("rb") as file:
            return file.read(len(_JOURNAL_START)) == _JOURNAL_START
    except OSError:
        return False


def check_plan(plan: PlanFile, digest: str) -> None:
    """Refuse the plan of a run folder if it is not the one that a journal or a person named."""
    if plan.digest != digest:
        raise JournalError(
            "the plan beside the journal is not the one that was approved",
            address=str(plan.path),
            expected=digest,
            found=plan.digest,
            next_step="restore the run folder from a copy",
        )


def link_latest(directory: Path, run: Run) -> None:
    """Point ``journal.json`` at the run's journal. A file of that name that is ours by no sign
    is left alone and refused.
    """
    link = directory / JOURNAL_LINK
    if link.exists() and not link.is_symlink():
        raise JournalError(
            "a file named journal.json is in the way of the link to the run's journal",
            address=str(link),
            next_step="move it elsewhere, then run the same command again",
        )
    target = os.path.relpath(run.journal, directory)
    try:
        try:
            # By way of the run's folder: a process that is killed leaves nothing in the way.
            _replace_link(link, target, run.folder / "link")
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            # The run folders are on a disk of their own.
            _replace_link(link, target, directory / f".{JOURNAL_LINK}.{run.id}")
        _sync_directory(directory)
    except OSError as error:
        raise JournalError(
            f"the link to the run's journal cannot be made: {error.strerror}",
            address=str(link),
            next_step=next_step_of(error, "make the working directory writable"),
        ) from error


def _replace_link(link: Path, target: str, temporary: Path) -> None:
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)


def create_journal(path: Path) -> AppendLog:
    """A new journal; durable with its directory. Raises JournalError if it cannot be made."""
    try:
        return AppendLog.create(path)
    except OSError as error:
        raise JournalError(
            f"the journal cannot be made: {error.strerror}",
            address=str(path),
            next_step=next_step_of(error, "make the working directory writable"),
        ) from error


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
