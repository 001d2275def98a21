"""kill -9 while files are put beside archives, or taken away again, then the same command."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3plan import api
from tests.crash.harness import Ended, Executioner, executioner
from tests.engine.scene import Scene, open_scene
from tests.servers import Server
from tests.sessions.test_archiving import LONG_AGO, MANIFEST

COUNT = 12
KILLS = 6
"""Of the short run, in each of both phases."""

APPLY = ("apply", "--approve")
ROLLBACK = ("rollback", "journal.json", "--approve")


@pytest.fixture(scope="module")
def killed(seaweed: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Puts]:
    directory = tmp_path_factory.mktemp("puts")
    with open_scene(seaweed, directory) as scene, executioner(directory) as made:
        yield _Puts(scene, made)


class _Puts:
    """Files that are put into a bucket and taken away again, over and over."""

    def __init__(self, scene: Scene, made: Executioner) -> None:
        self.scene = scene
        self.executioner = made
        (scene.directory / "library").mkdir()
        self.wanted = {}
        for number in range(COUNT):
            path = scene.directory / "notes" / f"2024{number:02}_notes.md"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(f"note {number}".encode() * (number + 1))
            os.utime(path, (LONG_AGO, LONG_AGO))
            self.wanted[f"notes/2024{number:02}.md"] = path.read_bytes()
        more = '  notes: {from: "notes/{session}_notes.md", key: "notes/{session}.md"}\n'
        text = MANIFEST.format(
            endpoint=scene.server.endpoint,
            region=scene.server.region,
            bucket=scene.bucket,
            more=more,
        )
        (scene.directory / "manifest.yaml").write_text(text)
        here = Path.cwd()
        os.chdir(scene.directory)
        try:
            with pytest.MonkeyPatch.context() as patch:
                for name, value in scene.environ.items():
                    patch.setenv(name, value)
                assert api.plan([Path("manifest.yaml")]).plan is not None
        finally:
            os.chdir(here)
        self.positions = {
            command: self._run(command, "").positions for command in (APPLY, ROLLBACK)
        }

    def _run(self, command: tuple[str, ...], last: str) -> Ended:
        ended = self.executioner.run(self.scene, *command, last=last)
        assert ended.code in (0, None), self.said()
        return ended

    def bodies(self) -> dict[str, bytes]:
        return {key: one.body for key, one in self.scene.objects().items()}

    def cycle(self, first: str, second: str) -> None:
        """Apply killed at ``first`` and again, then the rollback at ``second`` and again."""
        self._killed(APPLY, first)
        assert self.bodies() == self.wanted, f"{first}\n{self.said()}"
        self._killed(ROLLBACK, second)
        assert self.bodies() == {}, f"{second}\n{self.said()}"

    def abandoned(self, last: str) -> None:
        """Apply killed at ``last`` and rolled back instead."""
        self.executioner.run(self.scene, *APPLY, last=last)
        self.executioner.run(self.scene, *ROLLBACK)
        assert self.bodies() == {}, f"{last}\n{self.said()}"

    def _killed(self, command: tuple[str, ...], last: str) -> None:
        if self.executioner.run(self.scene, *command, last=last).code is None:
            ended = self.executioner.run(self.scene, *command)
            done = command is APPLY and ended.code == 5 and self.scene.run().state().finished
            assert done or ended.code == 0, f"killed at {last}\n{self.said()}"

    def said(self) -> str:
        return self.executioner.log.read_text()[-3000:]


@pytest.mark.long
@pytest.mark.slow
def test_killed_puts_and_removals_end_as_if_nobody_had_disturbed_them(killed: _Puts) -> None:
    """Invariant 4: what was sent and not recorded is recognised by its content."""
    chance = random.Random(5)
    firsts = chance.sample(killed.positions[APPLY], KILLS)
    seconds = chance.sample(killed.positions[ROLLBACK], KILLS)
    for first, second in zip(firsts, seconds, strict=True):
        killed.cycle(first, second)


@pytest.mark.long
@pytest.mark.slow
def test_a_killed_put_can_be_taken_back_instead(killed: _Puts) -> None:
    chance = random.Random(6)
    for last in chance.sample(killed.positions[APPLY], KILLS):
        killed.abandoned(last)


@pytest.mark.crash
@pytest.mark.timeout(0)
def test_killed_at_every_position_of_a_put(killed: _Puts) -> None:
    chance = random.Random(7)
    for first in killed.positions[APPLY]:
        killed.cycle(first, chance.choice(killed.positions[ROLLBACK]))
