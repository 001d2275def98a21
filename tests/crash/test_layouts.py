"""kill -9 while objects move to another layout, or are taken back; then the same command."""

from __future__ import annotations

import random
from collections.abc import Iterator
from shutil import rmtree

import pytest

from s3plan.rules.shadow import is_shadow
from tests.crash.harness import Ended, Executioner, executioner
from tests.engine.scene import Scene, Stored, open_scene, open_versioned
from tests.layout.moving import fill, knows, look, write_manifest
from tests.servers import Server

COUNT = 5
KILLS = 4
"""Of the short run, in each of both phases."""

PLAN = ("plan", "manifest.yaml")
APPLY = ("apply", "--approve")
ROLLBACK = ("rollback", "journal.json", "--approve")


@pytest.fixture(
    scope="module", params=["unversioned", pytest.param("versioned", marks=pytest.mark.crash)]
)
def killed(
    request: pytest.FixtureRequest, seaweed: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[_Layouts]:
    directory = tmp_path_factory.mktemp("layouts")
    opened = open_versioned if request.param == "versioned" else open_scene
    with opened(seaweed, directory) as scene, executioner(directory) as made:
        yield _Layouts(scene, made)


class _Layouts:
    """Objects that are moved to another layout and back, over and over."""

    def __init__(self, scene: Scene, made: Executioner) -> None:
        self.scene = scene
        self.executioner = made
        fill(scene, COUNT)
        scene.put_in_parts("o/parts", (b"p" * (5 << 20), b"end"), Metadata={"owner": "ann"})
        knows(scene, "put-if-match", "complete-if-match", "copy-if-none-match")
        write_manifest(scene)
        self.before = look(scene).objects
        self.after = {key: _moved(stored) for key, stored in self.before.items()}
        self.plan()
        self.positions = {
            command: self._run(command, "").positions for command in (APPLY, ROLLBACK)
        }

    def plan(self) -> None:
        """A plan of the objects as they are now, and of nothing that earlier cycles left."""
        seen: set[str] = set()
        for version in self.scene.versions():
            if is_shadow(version.key) or version.key in seen:
                where = {"Bucket": self.scene.bucket, "Key": version.key}
                if version.version_id != "null":
                    where["VersionId"] = version.version_id
                self.scene.s3.delete_object(**where)
            seen.add(version.key)
        rmtree(self.scene.directory / ".s3plan", ignore_errors=True)
        self._run(PLAN, "")

    def cycle(self, first: str, second: str) -> None:
        """Apply killed at ``first`` and again, then the rollback at ``second`` and again."""
        self.plan()
        self._killed(APPLY, first)
        assert look(self.scene).objects == self.after, f"{first}\n{self.said()}"
        self._killed(ROLLBACK, second)
        assert look(self.scene).objects == self.before, f"{second}\n{self.said()}"
        self._check_uploads()

    def abandoned(self, last: str) -> None:
        """Apply killed at ``last`` and rolled back instead."""
        self.plan()
        self.executioner.run(self.scene, *APPLY, last=last)
        self.executioner.run(self.scene, *ROLLBACK)
        assert look(self.scene).objects == self.before, f"{last}\n{self.said()}"

    def _check_uploads(self) -> None:
        """None is left with parts. One that was begun, and whose beginning was not written down by
        then, is nobody's and holds nothing.
        """
        s3, bucket = self.scene.s3, self.scene.bucket
        for left in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", ()):
            where = {"Bucket": bucket, "Key": left["Key"], "UploadId": left["UploadId"]}
            assert not s3.list_parts(**where).get("Parts")
        self.scene.abort_uploads()

    def _run(self, command: tuple[str, ...], last: str) -> Ended:
        ended = self.executioner.run(self.scene, *command, last=last)
        assert ended.code in (0, None), self.said()
        return ended

    def _killed(self, command: tuple[str, ...], last: str) -> None:
        if self.executioner.run(self.scene, *command, last=last).code is None:
            ended = self.executioner.run(self.scene, *command)
            # Killed after its last record: the plan is consumed, and all is done.
            done = command is APPLY and ended.code == 5 and self.scene.run().state().finished
            assert done or ended.code == 0, f"killed at {last}\n{self.said()}"

    def said(self) -> str:
        return self.executioner.log.read_text()[-3000:]


def _moved(stored: Stored) -> Stored:
    metadata = {**stored.metadata, "layout-version": "2"}
    return Stored(stored.body, stored.content_type, metadata, stored.tags, stored.cache_control)


def _chosen(positions: tuple[str, ...], chance: random.Random, count: int) -> list[str]:
    """Around writes to S3, and others at random."""
    kinds: dict[str, list[str]] = {}
    for position in positions:
        kinds.setdefault(position.rpartition(" #")[0], []).append(position)
    writes = ("upload", "copy object", "complete")
    chosen = [chance.choice(s) for kind, s in kinds.items() if kind.endswith(writes)]
    rest = [position for position in positions if position not in chosen]
    return [*chosen, *chance.sample(rest, count)][: max(count, len(chosen))]


@pytest.mark.long
@pytest.mark.slow
def test_killed_swaps_end_as_if_nobody_had_disturbed_them(killed: _Layouts) -> None:
    """Invariant 4, E44: at stage, verification and swap, and on the way back."""
    chance = random.Random(5)
    firsts = _chosen(killed.positions[APPLY], chance, KILLS)
    seconds = _chosen(killed.positions[ROLLBACK], chance, KILLS)
    for first, second in zip(firsts, seconds, strict=False):
        killed.cycle(first, second)


@pytest.mark.long
@pytest.mark.slow
def test_a_killed_cutover_can_be_taken_back_instead(killed: _Layouts) -> None:
    """New forms without a record are recognised by what was staged."""
    for last in ("after upload #3", "before journal copied #3"):
        killed.abandoned(last)


@pytest.mark.crash
@pytest.mark.timeout(0)
def test_killed_at_every_position_of_a_layout_and_its_undo(killed: _Layouts) -> None:
    firsts, seconds = killed.positions[APPLY], killed.positions[ROLLBACK]
    chance = random.Random(6)
    count = max(len(firsts), len(seconds))
    # Each position of both, in pairs that do not belong together.
    pairs = zip(_filled_up(firsts, count, chance), _filled_up(seconds, count, chance), strict=True)
    for first, second in pairs:
        killed.cycle(first, second)


@pytest.mark.crash
@pytest.mark.timeout(0)
def test_killed_at_every_position_of_a_layout_and_taken_back_instead(killed: _Layouts) -> None:
    for last in killed.positions[APPLY]:
        killed.abandoned(last)


def _filled_up(positions: tuple[str, ...], count: int, chance: random.Random) -> list[str]:
    """All of them in any order, and some twice where they are fewer than ``count``."""
    more = chance.choices(positions, k=count - len(positions))
    return chance.sample((*positions, *more), count)
