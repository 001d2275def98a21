"""What is said to be durable is: sync points speak for every disk, and names outlast power cuts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from s3plan.engine.context import Context
from s3plan.engine.evidence import EvidenceWriter
from s3plan.engine.journal import JournalWriter
from s3plan.engine.runs import Run, create_journal, link_latest, new_run
from s3plan.engine.state import RunState
from s3plan.errors import DestinationError
from s3plan.plan.seal import seal
from s3plan.tables import Database
from tests.plan.worklists import HEADER

_UNUSED = cast("Any", None)


@contextmanager
def _context(tmp_path: Path, destinations: list[Path]) -> Iterator[Context]:
    with JournalWriter(create_journal(tmp_path / "journal.json")) as journal:
        context = Context(
            run=_UNUSED,
            plan=_UNUSED,
            state=RunState(),
            journal=journal,
            store=_UNUSED,
            observer=lambda _: None,
            clock=lambda: datetime.now(UTC),
            scratch=tmp_path,
            guard=_UNUSED,
        )
        for path in destinations:
            path.mkdir()
            context.destination(str(path))
        yield context
        context.close()


def test_a_sync_point_is_written_once_every_destination_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One record covers all receipts, so the first disk may not speak for the second."""
    with _context(tmp_path, [tmp_path / "one", tmp_path / "two"]) as context:
        _, second = context.destinations()

        def fail() -> None:
            raise DestinationError("the second disk is gone")

        monkeypatch.setattr(second.syncer, "sync", fail)
        for _ in range(2):  # a write-back error is told once; what comes after must not pass
            with pytest.raises(DestinationError, match="second disk"):
                asyncio.run(context.sync())
            monkeypatch.setattr(second.syncer, "sync", lambda: None)
        assert context.stopping
    assert not (tmp_path / "journal.json").read_bytes(), "a sync point was written"


def test_a_sync_that_fails_beside_another_one_stops_that_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel tells the error to whoever asks first, and "all is well" to whoever asks next."""
    told: list[str] = []

    def once() -> None:
        told.append("asked")
        if len(told) == 1:
            raise DestinationError("blocks were lost")

    async def both(context: Context) -> tuple[object, object]:
        return await asyncio.gather(context.sync(), context.sync(), return_exceptions=True)

    with _context(tmp_path, [tmp_path / "one"]) as context:
        (only,) = context.destinations()
        monkeypatch.setattr(only.syncer, "sync", once)
        results = asyncio.run(both(context))
    assert [type(result) for result in results] == [DestinationError] * 2
    assert not (tmp_path / "journal.json").read_bytes(), "a sync point was written"


def test_every_directory_of_a_new_run_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that was synced is of no use below a directory that a power cut took."""
    synced = _synced(monkeypatch)
    with Database(tmp_path / "tables") as database:
        plan = seal((), database, HEADER, tmp_path / "plan.json")
    run = new_run(tmp_path, plan, datetime.now(UTC))
    assert {run.folder, run.folder.parent, tmp_path / ".s3plan", tmp_path} <= synced
    assert run.plan in synced
    synced.clear()
    run.journal.touch()
    link_latest(tmp_path, run)
    assert tmp_path in synced


def test_the_name_of_evidence_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deletion that has begun cannot go on without its evidence."""
    synced = _synced(monkeypatch)
    run = Run(tmp_path)
    path = run.evidence("verify-1")
    path.parent.mkdir()
    with EvidenceWriter(path, "sha256:0", "photos") as writer:
        writer.seal()
    assert path.parent in synced


def _synced(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """Paths that were given to fsync from now on."""
    paths: set[Path] = set()
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        fsync(descriptor)
        paths.add(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", noting)
    return paths
