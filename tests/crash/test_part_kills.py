"""kill -9 while a plan in files is written, copied into its run, applied, or taken back."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from s3plan.plan.parts import folder_of, name_of
from s3plan.plan.reading import PlanFile
from tests.crash.harness import Ended, Executioner, executioner
from tests.crash.small_batches import ITEMS_A_PART
from tests.engine.scene import COPY_ONLY, Scene, open_scene
from tests.servers import Server

COUNT = 12
FILES = -(-COUNT // ITEMS_A_PART)
KILLS = 2
"""Of the short run, of each command."""

PLAN = ("plan", "manifest.yaml")
APPLY = ("apply", "--approve")
ROLLBACK = ("rollback", "journal.json", "--approve")
PROJECT = "apiVersion: s3plan/v1\nkind: Project\nspec: {worklistFilesFrom: 2}\n"


@pytest.fixture(scope="module")
def killed(seaweed: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Parted]:
    directory = tmp_path_factory.mktemp("parts")
    with open_scene(seaweed, directory) as scene, executioner(directory) as made:
        yield _Parted(scene, made)


class _Parted:
    """A bucket that is planned in files, downloaded and taken back, over and over."""

    def __init__(self, scene: Scene, made: Executioner) -> None:
        self.scene = scene
        self.executioner = made
        made.files_from = 2
        scene.fill(COUNT)
        scene.manifest(COPY_ONLY)
        (scene.directory / "s3plan.yaml").write_text(PROJECT)
        self.before = scene.objects()
        self.positions: dict[tuple[str, ...], tuple[str, ...]] = {PLAN: self._run(PLAN).positions}
        self.digest = self.plan().digest
        for command in (APPLY, ROLLBACK):
            self.positions[command] = self._run(command).positions
        rollback = PlanFile.open(scene.run().rollback_plan)
        assert len(rollback.parts) == FILES

    def plan(self) -> PlanFile:
        """The plan that is there; every item of it can be read."""
        plan = PlanFile.open(self.scene.directory / "plan.json")
        assert len(list(plan.items(plan.steps[0].id))) == plan.steps[0].totals.items
        return plan

    def replan(self, last: str) -> None:
        """A plan killed at ``last``, of one object more than that before it."""
        self.scene.put("zz-new")
        self.executioner.run(self.scene, *PLAN, last=last)
        left = self.plan()
        assert left.steps[0].totals.items in {COUNT, COUNT + 1}, last
        self._run(PLAN)
        assert self.plan().steps[0].totals.items == COUNT + 1, last
        self.scene.delete("zz-new")
        self._run(PLAN)
        assert self.plan().digest == self.digest, last
        there = {path.name for path in folder_of(self.plan().path).iterdir()}
        assert there == {name_of(part) for part in self.plan().parts}, f"{last}: nothing is left"

    def cycle(self, first: str, second: str) -> None:
        """Apply killed at ``first`` and again, then the rollback at ``second`` and again."""
        self._killed(APPLY, first)
        assert len(self.scene.files()) == COUNT, f"{first}\n{self.said()}"
        self._killed(ROLLBACK, second)
        assert self.scene.files() == {}, f"{second}\n{self.said()}"
        assert self.scene.objects() == self.before

    def _run(self, command: tuple[str, ...]) -> Ended:
        ended = self.executioner.run(self.scene, *command)
        assert ended.code == 0, self.said()
        return ended

    def _killed(self, command: tuple[str, ...], last: str) -> None:
        if self.executioner.run(self.scene, *command, last=last).code is None:
            ended = self.executioner.run(self.scene, *command)
            # Killed after its last record: the plan is consumed, and all is done.
            done = command is APPLY and ended.code == 5 and self.scene.run().state().finished
            assert done or ended.code == 0, f"killed at {last}\n{self.said()}"

    def said(self) -> str:
        return self.executioner.log.read_text()[-3000:]

    def writing(self, command: tuple[str, ...]) -> list[str]:
        """Where files are made durable and get their names."""
        words = ("fsync", "replace", "run folder", "rollback plan")
        return [one for one in self.positions[command] if any(word in one for word in words)]


@pytest.mark.long
@pytest.mark.slow
def test_a_killed_plan_leaves_the_one_before_it_or_the_new_one(killed: _Parted) -> None:
    for last in random.Random(5).sample(killed.writing(PLAN), KILLS):
        killed.replan(last)


@pytest.mark.long
@pytest.mark.slow
def test_runs_of_plans_in_files_end_as_if_nobody_had_disturbed_them(killed: _Parted) -> None:
    """Invariant 4: among others where their files are copied, and where it goes on by position."""
    chance = random.Random(6)
    for first, second in zip(
        chance.sample(killed.writing(APPLY), KILLS),
        chance.sample(killed.positions[ROLLBACK], KILLS),
        strict=True,
    ):
        killed.cycle(first, second)


@pytest.mark.crash
@pytest.mark.timeout(0)
def test_killed_at_every_position_of_a_plan_in_files(killed: _Parted) -> None:
    chance = random.Random(7)
    for last in killed.writing(PLAN):
        killed.replan(last)
    for first in killed.positions[APPLY]:
        killed.cycle(first, chance.choice(killed.positions[ROLLBACK]))
