"""kill -9 while copying within S3, or while taking the copies back, then the same command."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from s3plan.engine.state import ItemState
from tests.crash.harness import Ended, Executioner, executioner
from tests.engine.copying import by_type, plan_copies
from tests.engine.scene import Scene, open_scene
from tests.servers import Server

COUNT = 24
KILLS = 8
"""Of the short run, in each of both phases."""

APPLY = ("apply", "--approve")
ROLLBACK = ("rollback", "journal.json", "--approve")


@pytest.fixture(scope="module")
def killed(seaweed: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Copies]:
    directory = tmp_path_factory.mktemp("copies")
    with open_scene(seaweed, directory) as scene, executioner(directory) as made:
        yield _Copies(scene, made)


class _Copies:
    """A bucket that is copied within itself and taken back, over and over."""

    def __init__(self, scene: Scene, made: Executioner) -> None:
        self.scene = scene
        self.executioner = made
        scene.fill(COUNT)
        self.before = scene.objects()
        self.after = self.before | {by_type(key): body for key, body in self.before.items()}
        plan_copies(scene)
        self.positions = {
            command: self._run(command, "").positions for command in (APPLY, ROLLBACK)
        }

    def _run(self, command: tuple[str, ...], last: str) -> Ended:
        ended = self.executioner.run(self.scene, *command, last=last)
        assert ended.code in (0, None), self.said()
        return ended

    def cycle(self, first: str, second: str) -> None:
        """Apply killed at ``first`` and again, then the rollback at ``second`` and again."""
        self._killed(APPLY, first)
        assert self.scene.objects() == self.after, f"{first}\n{self.said()}"
        state = self.scene.run().state()
        step = self.scene.step("copy")
        known = state.step(step.id)
        assert known.count(ItemState.VERIFIED) == COUNT, first
        self._killed(ROLLBACK, second)
        assert self.scene.objects() == self.before, f"{second}\n{self.said()}"

    def abandoned(self, last: str) -> None:
        """Apply killed at ``last`` and rolled back instead."""
        self.executioner.run(self.scene, *APPLY, last=last)
        self.executioner.run(self.scene, *ROLLBACK)
        assert self.scene.objects() == self.before, f"{last}\n{self.said()}"

    def _killed(self, command: tuple[str, ...], last: str) -> None:
        if self.executioner.run(self.scene, *command, last=last).code is None:
            ended = self.executioner.run(self.scene, *command)
            # Killed after its last record: the plan is consumed, and all is done.
            done = command is APPLY and ended.code == 5 and self.scene.run().state().finished
            assert done or ended.code == 0, f"killed at {last}\n{self.said()}"

    def said(self) -> str:
        return self.executioner.log.read_text()[-3000:]


def _chosen(positions: tuple[str, ...], chance: random.Random, count: int) -> list[str]:
    """One position of each place in the program, and others at random."""
    kinds: dict[str, list[str]] = {}
    for position in positions:
        kinds.setdefault(position.rpartition(" #")[0], []).append(position)
    chosen = [chance.choice(same) for same in kinds.values() if "copy" in same[0]]
    rest = [position for position in positions if position not in chosen]
    chosen += chance.sample(rest, max(0, min(len(rest), count - len(chosen))))
    return chosen[:count]


@pytest.mark.long
@pytest.mark.slow
def test_killed_copies_and_removals_end_as_if_nobody_had_disturbed_them(killed: _Copies) -> None:
    """Invariant 4."""
    chance = random.Random(3)
    firsts = _chosen(killed.positions[APPLY], chance, KILLS)
    seconds = _chosen(killed.positions[ROLLBACK], chance, KILLS)
    for first, second in zip(firsts, seconds, strict=False):
        killed.cycle(first, second)


@pytest.mark.slow
def test_a_killed_copy_step_can_be_taken_back_instead(killed: _Copies) -> None:
    """Copies without a record are recognised by their content."""
    for last in ("after copy object #3", "before journal copied #1", "torn journal receipts #2"):
        killed.abandoned(last)


@pytest.mark.crash
@pytest.mark.timeout(0)
def test_killed_at_every_position_of_a_copy(killed: _Copies) -> None:
    chance = random.Random(4)
    for first in killed.positions[APPLY]:
        killed.cycle(first, chance.choice(killed.positions[ROLLBACK]))
