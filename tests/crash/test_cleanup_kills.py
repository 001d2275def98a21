"""kill -9 while the leftovers of a layout are removed, then the same command."""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from s3plan.rules.shadow import Role, Shadow, is_shadow
from tests.crash.harness import Ended, Executioner, executioner
from tests.engine.scene import Scene, open_scene
from tests.servers import Server

COUNT = 8
KILLS = 6
"""Of the short run."""

APPLY = ("apply", "--approve")

_MANIFEST = """\
apiVersion: s3plan/v1
kind: Connection
metadata: {{name: default}}
spec: {{endpoint: "{endpoint}", region: {region}, limits: {{connections: 4}}}}
---
apiVersion: s3plan/v1
kind: LayoutCleanup
metadata: {{name: cleanup}}
spec: {{select: {{bucket: {bucket}}}, olderThan: "2030-01-01", beforeDelete: told}}
"""
_ROLES: tuple[Role, ...] = ("new", "old")


@pytest.fixture(scope="module")
def killed(seaweed: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Cleanup]:
    directory = tmp_path_factory.mktemp("cleanup")
    with open_scene(seaweed, directory) as scene, executioner(directory) as made:
        yield _Cleanup(scene, made)


class _Cleanup:
    """A bucket with leftovers that are removed and put there again, over and over."""

    def __init__(self, scene: Scene, made: Executioner) -> None:
        self.scene = scene
        self.executioner = made
        self.turns = itertools.count()
        scene.fill(COUNT)
        self.objects = scene.objects()
        server = scene.server
        self._write(
            "manifest.yaml",
            _MANIFEST.format(endpoint=server.endpoint, region=server.region, bucket=scene.bucket),
        )
        # A command for each, which a kill may run twice, and never skips.
        code = "import os; open('told', 'a').write(os.environ['S3PLAN_FORM'] + chr(10))"
        told = {"run": [sys.executable, "-S", "-c", code]}
        project = {
            "apiVersion": "s3plan/v1",
            "kind": "Project",
            "spec": {"commands": {"told": told}},
        }
        self._write("s3plan.yaml", yaml.safe_dump(project))
        self._prepare()
        ended = self._run("")
        assert ended.code == 0, self.said()
        self.positions = ended.positions

    def _write(self, name: str, text: str) -> None:
        (self.scene.directory / name).write_text(text)

    @property
    def told(self) -> Path:
        return self.scene.directory / "told"

    def _prepare(self) -> None:
        self.shadows = {
            Shadow("", role, key, "0" * 16).name for key in self.objects for role in _ROLES
        }
        # Others each time: leftovers of the same bytes and second would make the same plan again,
        # and a plan is used once.
        body = f"left over {next(self.turns)}".encode()
        for key in self.shadows:
            self.scene.put(key, body)
        self.told.unlink(missing_ok=True)
        planned = self.executioner.run(self.scene, "plan", "manifest.yaml")
        assert planned.code == 0, self.said()

    def _run(self, last: str) -> Ended:
        return self.executioner.run(self.scene, *APPLY, last=last)

    def cycle(self, last: str) -> None:
        """Killed at ``last``, and the same command again."""
        self._prepare()
        if self._run(last).code is None:
            left = set(filter(is_shadow, self.scene.keys()))
            heard = set(self.told.read_text().split()) if self.told.exists() else set()
            assert self.shadows - left <= heard, (
                f"{last}: deleted without being told\n{self.said()}"
            )
            ended = self._run("")
            done = ended.code == 5 and self.scene.run().state().finished
            assert done or ended.code == 0, f"killed at {last}\n{self.said()}"
        assert self.scene.objects() == self.objects, f"{last}\n{self.said()}"

    def said(self) -> str:
        return self.executioner.log.read_text()[-3000:]


@pytest.mark.long
@pytest.mark.slow
def test_killed_cleanups_end_as_if_nobody_had_disturbed_them(killed: _Cleanup) -> None:
    """Invariant 4, C28: nothing but leftovers goes, and none before its command ended well."""
    chance = random.Random(5)
    deleting = [position for position in killed.positions if "delete objects" in position]
    for last in (*chance.sample(deleting, 3), *chance.sample(killed.positions, KILLS - 3)):
        killed.cycle(last)


@pytest.mark.crash
@pytest.mark.timeout(0)
def test_killed_at_every_position_of_a_cleanup(killed: _Cleanup) -> None:
    for last in killed.positions:
        killed.cycle(last)
