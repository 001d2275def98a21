"""kill -9 while the table of a grouping is kept aside, rewritten or put back, and while the
project's own test of it runs.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.harness import Executioner, executioner
from tests.engine.scene import Scene, open_scene
from tests.engine.test_tables import MANIFEST
from tests.servers import Server

APPLY = ("apply", "--approve")
ROLLBACK = ("rollback", "journal.json", "--approve")

PROJECT = """\
apiVersion: s3plan/v1
kind: Project
spec: {commands: {check: {run: [grep, -q, /audio/, output.csv]}}}
"""

KILLS = 5
"""Of the short run, in each of both phases."""


class _Table:
    """Two people and their table, regrouped and taken back, over and over."""

    def __init__(self, scene: Scene, made: Executioner) -> None:
        self.scene = scene
        self.executioner = made
        for key in ("1/Ann/talk.mp3", "1/Ann/film.mp4", "2/Björn/cv.pdf"):
            scene.put(key, key.encode())
        (scene.directory / "manifest.yaml").write_text(
            MANIFEST.format(
                endpoint=scene.server.endpoint, region=scene.server.region, bucket=scene.bucket
            )
            + "  tests: {catalog: [check]}\n"
        )
        (scene.directory / "s3plan.yaml").write_text(PROJECT)
        head = f"https://{scene.bucket}.s3.amazonaws.com"
        self.path.write_bytes(
            f"row_id,s3_audio_url,s3_all_files\r\n1,{head}/1/Ann/talk.mp3,\r\n2,,\r\n".encode()
        )
        self.before = self._seen()
        assert made.run(scene, "plan", "manifest.yaml").code == 0, self._said()
        ended = made.run(scene, *APPLY)
        assert ended.code == 0, self._said()
        self.after = self._seen()
        assert self.after != self.before
        self.positions: dict[tuple[str, ...], list[str]] = {
            APPLY: _around_the_table(ended.positions)
        }
        ended = made.run(scene, *ROLLBACK)
        assert (ended.code, self._seen()) == (0, self.before), self._said()
        self.positions[ROLLBACK] = _around_the_table(ended.positions)

    @property
    def path(self) -> Path:
        return self.scene.directory / "output.csv"

    def cycle(self, first: str, second: str) -> None:
        """Apply killed at ``first`` and again, then the rollback at ``second`` and again."""
        self._killed(APPLY, first)
        assert self._seen() == self.after, f"{first}\n{self._said()}"
        self._killed(ROLLBACK, second)
        assert self._seen() == self.before, f"{second}\n{self._said()}"
        self._nothing_half_written(f"{first}, {second}")

    def abandoned(self, last: str) -> None:
        """Apply killed at ``last`` and rolled back instead."""
        self.executioner.run(self.scene, *APPLY, last=last)
        self.executioner.run(self.scene, *ROLLBACK)
        assert self._seen() == self.before, f"{last}\n{self._said()}"
        self._nothing_half_written(last)

    def _killed(self, command: tuple[str, ...], last: str) -> None:
        if self.executioner.run(self.scene, *command, last=last).code is None:
            # At no instant the table is anything but whole: as it was, or as it is to be.
            table = self.path.read_bytes()
            assert table in (self.before[0], self.after[0]), last
            ended = self.executioner.run(self.scene, *command)
            done = command is APPLY and ended.code == 5 and self.scene.run().state().finished
            assert done or ended.code == 0, f"killed at {last}\n{self._said()}"

    def _seen(self) -> tuple[bytes, object]:
        return self.path.read_bytes(), self.scene.objects()

    def _nothing_half_written(self, told: str) -> None:
        """Copies of personal data that nobody knows of."""
        directory = self.scene.directory
        left = [path.name for path in (*directory.iterdir(), *directory.glob("backups/*"))]
        left = [name for name in left if name.endswith(".tmp")]
        assert left == [], f"{told}\n{self._said()}"
        for backup in directory.glob("backups/*.csv"):
            assert backup.read_bytes() == self.before[0], told

    def _said(self) -> str:
        return self.executioner.log.read_text()[-3000:]


def _around_the_table(positions: tuple[str, ...]) -> list[str]:
    """Those at which the table, a backup of it or the journal's word on it is written, or the word
    on its test.
    """
    words = ("table", "link file", "fsync", "replace", "file-rewritten", "command-ran", "step")
    return [one for one in positions if any(word in one for word in words)]


@pytest.fixture(scope="module")
def table(seaweed: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Table]:
    directory = tmp_path_factory.mktemp("tables")
    with open_scene(seaweed, directory) as scene, executioner(directory) as made:
        yield _Table(scene, made)


@pytest.mark.long
@pytest.mark.slow
def test_a_killed_rewrite_and_its_undo_end_as_if_nobody_had_disturbed_them(table: _Table) -> None:
    """B46, B49, invariant 4: the table is whole at every instant."""
    chance = random.Random(5)
    firsts = ["before table #1", "after table #1", "torn journal file-rewritten #1"]
    firsts.append("before journal command-ran #1")
    firsts += chance.sample(table.positions[APPLY], KILLS - len(firsts))
    seconds = ["before table #1", "after table #1"]
    seconds += chance.sample(table.positions[ROLLBACK], KILLS - len(seconds))
    for first, second in zip(firsts, seconds, strict=True):
        table.cycle(first, second)


@pytest.mark.long
@pytest.mark.slow
def test_a_killed_rewrite_can_be_taken_back_instead(table: _Table) -> None:
    for last in ("after new table #1", "after link file #1", "before table #1", "after table #1"):
        table.abandoned(last)


@pytest.mark.crash
@pytest.mark.timeout(0)
def test_killed_at_every_position_around_the_table(table: _Table) -> None:
    chance = random.Random(6)
    for first in table.positions[APPLY]:
        table.cycle(first, chance.choice(table.positions[ROLLBACK]))
        table.abandoned(first)
    for second in table.positions[ROLLBACK]:
        table.cycle(chance.choice(table.positions[APPLY]), second)
