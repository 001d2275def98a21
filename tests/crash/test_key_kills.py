"""kill -9 while objects get another KMS key in place, or their earlier one again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from s3plan.engine.beforehand import unfinished_runs
from tests.crash.harness import Executioner, executioner
from tests.engine.scene import Scene, open_scene
from tests.faults.proxy import Proxy, proxy_to
from tests.layout.kms import Keys, arn
from tests.layout.moving import fill, look, write_manifest
from tests.servers import Server

COUNT = 9
KILLS = 3
"""Of the short run, in each of both phases."""

PLAN = ("plan", "manifest.yaml")
APPLY = ("apply", "--approve")
ROLLBACK = ("rollback", "journal.json", "--approve")

NEW, OLD, OLDER = map(arn, ("new", "old", "older"))


@pytest.fixture(scope="module")
def killed(seaweed: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Rekeyed]:
    directory = tmp_path_factory.mktemp("keys")
    with (
        open_scene(seaweed, directory) as scene,
        proxy_to(seaweed.endpoint) as proxy,
        executioner(directory) as made,
    ):
        scene.server = replace(seaweed, endpoint=proxy.endpoint)
        made.aws = proxy.endpoint
        yield _Rekeyed(scene, proxy, made)


class _Rekeyed:
    """Objects of two keys that get a third, and of S3's own encryption; over and over."""

    def __init__(self, scene: Scene, proxy: Proxy, made: Executioner) -> None:
        self.scene = scene
        self.executioner = made
        self.keys = Keys()
        proxy.play(*self.keys.rules())
        fill(scene, COUNT)
        self.objects = look(scene)
        names = sorted(self.objects.objects)
        had = (OLD, OLD, OLD, OLDER, OLDER, OLDER, None, None, NEW)
        self.before: dict[str, str | None] = dict(zip(names, had, strict=True))
        # S3's own encryption comes back by a copy alone, which the plan says.
        self.taken_back = {key: known or NEW for key, known in self.before.items()}
        write_manifest(scene, f"{{encryption: 'aws:kms', kmsKey: '{NEW}'}}", scratch=False)
        self.plan()
        self.positions = {}
        for command in (APPLY, ROLLBACK):
            ended = made.run(scene, *command)
            assert ended.code == 0, self.said()
            self.positions[command] = ended.positions

    def plan(self) -> None:
        """A plan of the objects as they were in the beginning."""
        self.keys.keys = dict(self.before)
        assert self.executioner.run(self.scene, *PLAN).code == 0, self.said()

    def cycle(self, first: str, second: str) -> None:
        """Apply killed at ``first`` and again, then the rollback at ``second`` and again."""
        self.plan()
        self._killed(APPLY, first)
        assert self.keys.keys == dict.fromkeys(self.before, NEW), f"{first}\n{self.said()}"
        self._killed(ROLLBACK, second)
        assert self.keys.keys == self.taken_back, f"{second}\n{self.said()}"
        assert look(self.scene) == self.objects

    def abandoned(self, last: str) -> None:
        """Apply killed at ``last`` and rolled back instead."""
        self.plan()
        self.executioner.run(self.scene, *APPLY, last=last)
        ended = self.executioner.run(self.scene, *ROLLBACK)
        # Before its journal has a first line a run did nothing, and there is nothing to take back.
        assert ended.code == 0 or self.keys.keys == self.before, f"{last}\n{self.said()}"
        for key, before in self.before.items():
            now = self.keys.keys[key]
            assert now == before or (before is None and now == NEW), f"{last}\n{self.said()}"
        assert look(self.scene) == self.objects
        for run in unfinished_runs(self.scene.directory):
            # There was nothing to take back, so its plan would go on with it; and the keys are
            # about to be what they were in the beginning, which no user can make them.
            gone = ("runs", "abandon", run.id, "--approve")
            assert self.executioner.run(self.scene, *gone).code == 0, self.said()

    def _killed(self, command: tuple[str, ...], last: str) -> None:
        if self.executioner.run(self.scene, *command, last=last).code is None:
            ended = self.executioner.run(self.scene, *command)
            # Killed after its last record: the plan is consumed, and all is done.
            done = command is APPLY and ended.code == 5 and self.scene.run().state().finished
            assert done or ended.code == 0, f"killed at {last}\n{self.said()}"

    def said(self) -> str:
        return self.executioner.log.read_text()[-3000:]


def _around_an_update(positions: tuple[str, ...], chance: random.Random) -> list[str]:
    updates = [position for position in positions if "update encryption" in position]
    receipts = [position for position in positions if "receipts" in position]
    return [*chance.sample(updates, KILLS - 1), chance.choice(receipts)]


@pytest.mark.long
@pytest.mark.slow
def test_killed_updates_of_keys_end_as_if_nobody_had_disturbed_them(killed: _Rekeyed) -> None:
    """Invariant 4: UpdateObjectEncryption, and its way back."""
    chance = random.Random(5)
    firsts = _around_an_update(killed.positions[APPLY], chance)
    seconds = _around_an_update(killed.positions[ROLLBACK], chance)
    for first, second in zip(firsts, seconds, strict=True):
        killed.cycle(first, second)


@pytest.mark.long
@pytest.mark.slow
def test_killed_updates_can_be_taken_back_instead(killed: _Rekeyed) -> None:
    """A key that was set without a record is looked at: it is the run's, and goes back."""
    killed.abandoned("after update encryption #4")


@pytest.mark.crash
@pytest.mark.timeout(0)
def test_killed_at_every_position_of_an_update_of_keys(killed: _Rekeyed) -> None:
    chance = random.Random(6)
    for first in killed.positions[APPLY]:
        killed.cycle(first, chance.choice(killed.positions[ROLLBACK]))
        killed.abandoned(first)
    for second in killed.positions[ROLLBACK]:
        killed.cycle(chance.choice(killed.positions[APPLY]), second)
