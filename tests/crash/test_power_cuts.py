"""Power cuts and yanked disks: what no sync point covers may be gone, and resuming finds it.

There is no real power cut here: the process is killed, and then files, names, removals and tails
of logs are taken as a disk may have lost them (see :mod:`tests.crash.memory`).
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from s3plan.engine.journal import read_journal
from s3plan.model.journal import Receipts, SyncPoint
from s3plan.plan.reading import PlanFile
from tests.crash.harness import Cycle
from tests.engine.scene import WHOLE, Scene

LOSSES = 25
"""Of the short run: files, names, removals and tails."""


def _powerless(cycle: Cycle, losses: int, chance: random.Random) -> None:
    """Cut the power until so much was lost."""
    lost = number = 0
    while lost < losses:
        cycle.plan()
        for phase in cycle.PHASES:
            positions = cycle.positions[phase]
            (last,) = chance.choices(positions, _exposed(positions))
            lost += len(cycle.powerless(phase, last, chance, yank=number % 3 == 2))
        number += 1
        assert number <= losses, "hardly anything is ever lost"


def _exposed(positions: Sequence[str]) -> list[int]:
    """How much is written and not yet synced at each position."""
    exposed, weights = 0, []
    for position in positions:
        exposed = 0 if "after syncfs" in position else exposed + 1
        weights.append(exposed)
    return weights


@pytest.mark.long
@pytest.mark.slow
def test_what_a_power_cut_took_is_found_and_made_again(cycle: Cycle) -> None:
    _powerless(cycle, LOSSES, random.Random(1))


@pytest.mark.long
def test_files_that_lost_their_bytes_are_set_aside_and_fetched_again(cycle: Cycle) -> None:
    """Receipts of the journal say that they are done; no sync point says that they are there."""
    cycle.plan()
    command = cycle.command("download")
    cycle.executioner.run(cycle.scene, *command, last="after journal receipts #1")
    doubtful = _in_doubt(cycle.scene)
    assert doubtful
    for path in doubtful:
        _lose_bytes(path)
    cycle.killed("download", [], but=("set aside",))
    place = cycle.scene.here / ".s3plan/set-aside" / cycle.scene.run().id
    aside = [path for path in place.glob("**/*") if path.is_file()]
    assert len(aside) == len(doubtful)


def test_files_whose_intent_a_power_cut_took_cannot_be(scene: Scene) -> None:
    """An intent is durable before its first request: a name without bytes is known as ours.

    Were the intent lost as well, the file would be a stranger's, and in the way for ever.
    """
    scene.fill(3)
    scene.plan(WHOLE)
    scene.apply()
    journal = scene.run().journal
    lines = journal.read_bytes().splitlines(keepends=True)
    intent = next(number for number, line in enumerate(lines) if b'"intent"' in line)
    journal.write_bytes(b"".join(lines[: intent + 1]))
    for path in scene.copies.rglob("*.txt"):
        _lose_bytes(path)
    assert scene.apply().exit_code == 4
    assert scene.gate().passes


def test_a_rollback_after_a_power_cut_keeps_what_is_not_as_it_was_left(scene: Scene) -> None:
    scene.fill(3)
    scene.apply_to_gate(WHOLE)
    broken, *_ = sorted(scene.copies.rglob("*.txt"))
    _lose_bytes(broken)
    finished = scene.rollback()
    assert finished is not None
    assert finished.exit_code == 7
    assert [problem.outcome for problem in scene.problems()] == ["kept"]
    assert [path for path in scene.copies.rglob("*") if path.is_file()] == [broken]


@pytest.mark.crash
@pytest.mark.timeout(0)
def test_a_thousand_losses(cycle: Cycle) -> None:
    _powerless(cycle, 1000, random.Random(3))


def _in_doubt(scene: Scene) -> list[Path]:
    """Files whose receipts come after the last sync point of the journal."""
    run = scene.run()
    records = list(read_journal(run.journal))
    through = max((r.through for _, r in records if isinstance(r, SyncPoint)), default=0)
    numbers = {
        n for seq, r in records if isinstance(r, Receipts) and seq > through for n in r.items
    }
    items = PlanFile.open(run.plan).items(scene.step("download").id)
    return [scene.here / item.path for item in items if item.n in numbers and item.size]


def _lose_bytes(path: Path) -> None:
    """File systems keep an inode's time, and lose the blocks they had not written."""
    stat = path.stat()
    os.truncate(path, 0)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
