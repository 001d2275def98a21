"""kill -9 while a job of S3 Batch Operations is made, confirmed and waited for, or taken back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress

import pytest

from s3plan.engine.state import ItemState
from tests.batch.fake import BatchOperations, batch_operations
from tests.batch.jobs import SCRATCH, plan_jobs, prefixed
from tests.crash.harness import Ended, Executioner, executioner
from tests.engine.scene import Scene, open_scene
from tests.servers import Server

COUNT = 12

APPLY = ("apply", "--approve", "--runner", "s3-batch")
ROLLBACK = ("rollback", "journal.json", "--approve")


@pytest.fixture(scope="module")
def killed(seaweed: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Jobs]:
    directory = tmp_path_factory.mktemp("jobs")
    with (
        open_scene(seaweed, directory) as scene,
        batch_operations(scene.s3) as service,
        executioner(directory) as made,
    ):
        yield _Jobs(scene, service, made)


class _Jobs:
    """A bucket that a job copies within itself and a rollback takes back, over and over."""

    def __init__(self, scene: Scene, service: BatchOperations, made: Executioner) -> None:
        self.scene = scene
        self.service = service
        self.executioner = made
        with suppress(scene.s3.exceptions.ClientError):  # it is there already
            scene.s3.create_bucket(Bucket=SCRATCH)
        scene.fill(COUNT)
        self.before = scene.objects()
        copies = {prefixed(key): stored for key, stored in self.before.items()}
        self.after = self.before | copies
        plan_jobs(scene, service)
        self._run(APPLY, "")  # which probes the endpoint, once
        self._run(ROLLBACK, "")
        self.positions = {
            command: self._run(command, "").positions for command in (APPLY, ROLLBACK)
        }

    def _run(self, command: tuple[str, ...], last: str) -> Ended:
        ended = self.executioner.run(self.scene, *command, last=last)
        assert ended.code in (0, None), self.said()
        return ended

    def cycle(self, first: str, second: str) -> None:
        """Apply killed at ``first`` and again, then the rollback at ``second`` and again."""
        known = len(self.service.jobs)
        self._killed(APPLY, first)
        assert self.scene.objects() == self.after, f"{first}\n{self.said()}"
        state = self.scene.run().state()
        assert state.step(self.scene.step("copy").id).count(ItemState.VERIFIED) == COUNT, first
        made = list(self.service.jobs.values())[known:]
        assert [job.status for job in made] == ["Complete"], f"{first}: one job, once"
        self._killed(ROLLBACK, second)
        assert self.scene.objects() == self.before, f"{second}\n{self.said()}"

    def abandoned(self, last: str) -> None:
        """Apply killed at ``last`` and rolled back instead."""
        self.executioner.run(self.scene, *APPLY, last=last)
        self.executioner.run(self.scene, *ROLLBACK)
        running = {job.status for job in self.service.jobs.values()} - {"Complete", "Cancelled"}
        assert not running & {"Ready", "Active"}, last
        assert self.scene.objects() == self.before, f"{last}\n{self.said()}"

    def _killed(self, command: tuple[str, ...], last: str) -> None:
        if self.executioner.run(self.scene, *command, last=last).code is None:
            ended = self.executioner.run(self.scene, *command)
            # Killed after its last record: the plan is consumed, and all is done.
            done = command is APPLY and ended.code == 5 and self.scene.run().state().finished
            assert done or ended.code == 0, f"killed at {last}\n{self.said()}"

    def said(self) -> str:
        return self.executioner.log.read_text()[-3000:]


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("word", ["create job", "confirm job"])
def test_killed_around_a_job_it_goes_on_with_the_same_one(killed: _Jobs, word: str) -> None:
    """Invariant 4: no second job, whatever of it was lost."""
    killed.cycle(f"after {word} #1", killed.positions[ROLLBACK][-1])
    killed.abandoned(f"after {word} #1")


@pytest.mark.crash
@pytest.mark.timeout(0)
def test_killed_at_every_position_of_a_job(killed: _Jobs) -> None:
    chance = random.Random(5)
    for first in killed.positions[APPLY]:
        killed.cycle(first, chance.choice(killed.positions[ROLLBACK]))
        killed.abandoned(first)
