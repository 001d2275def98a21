"""kill -9 while archiving, replacing, extracting, or taking that back, then the same command."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3plan.model.steps import Replaced
from tests.crash.harness import Ended, Executioner, executioner
from tests.engine.archiving import plan_archives, plan_extracts, session
from tests.engine.scene import Scene, Stored, open_scene, open_versioned
from tests.servers import Server

APPLY = ("apply", "--approve")
ROLLBACK = ("rollback", "journal.json", "--approve")
KILLS = 3
"""Of the short run, in each of both phases."""

FILES = {"a.fits": random.Random(1).randbytes(6 << 20), "b/c.fits": b"c" * 5000, "d.fits": b""}
NAMES = ("one", "two")
KEYS = tuple(f"raw/{name}.tar" for name in NAMES)


class _Cycle:
    """A plan that is applied and taken back, over and over."""

    def __init__(self, scene: Scene, made: Executioner) -> None:
        self.scene = scene
        self.executioner = made
        self.before = self.picture()
        self.positions: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.positions[APPLY] = self._undisturbed(APPLY)
        self.after = self.picture()
        self.positions[ROLLBACK] = self._undisturbed(ROLLBACK)
        assert self.picture() == self.before

    def picture(self) -> tuple[dict[str, Stored], dict[str, bytes]]:
        """What anybody sees of S3 and of the destination; an index tells when it was made."""
        nothing = Stored(b"", "", {}, {})
        objects = {
            key: nothing if key.endswith(".jsonl") else stored
            for key, stored in self.scene.objects().items()
        }
        here = self.scene.here
        return objects, {
            str(path.relative_to(here)): path.read_bytes()
            for path in sorted(here.rglob("*"))
            if path.is_file() and ".s3plan" not in path.parts
        }

    def cycle(self, first: str, second: str) -> None:
        """Apply killed at ``first`` and again, then the rollback at ``second`` and again."""
        self._killed(APPLY, first)
        assert self.picture() == self.after, f"{first}\n{self.said()}"
        self._killed(ROLLBACK, second)
        assert self.picture() == self.before, f"{second}\n{self.said()}"
        # Killed between S3's answer and the journal's line, an upload is known to nobody; what the
        # journal knows is completed or aborted.
        left = self.scene.s3.list_multipart_uploads(Bucket=self.scene.bucket).get("Uploads", ())
        known = self.scene.run().journal.read_text()
        assert len(left) <= 1, first
        assert not [one for one in left if one["UploadId"] in known], first
        self.scene.abort_uploads()

    def abandoned(self, last: str) -> None:
        """Apply killed at ``last`` and rolled back instead."""
        self.executioner.run(self.scene, *APPLY, last=last)
        ended = self.executioner.run(self.scene, *ROLLBACK)
        assert ended.code == 0, f"{last}\n{self.said()}"
        assert self.picture() == self.before, f"{last}\n{self.said()}"
        self.scene.abort_uploads()

    def _undisturbed(self, command: tuple[str, ...]) -> tuple[str, ...]:
        ended: Ended = self.executioner.run(self.scene, *command)
        assert ended.code == 0, self.said()
        return ended.positions

    def _killed(self, command: tuple[str, ...], last: str) -> None:
        if self.executioner.run(self.scene, *command, last=last).code is None:
            ended = self.executioner.run(self.scene, *command)
            # Killed after its last record: the plan is consumed, and all is done.
            done = command is APPLY and ended.code == 5 and self.scene.run().state().finished
            assert done or ended.code == 0, f"killed at {last}\n{self.said()}"

    def said(self) -> str:
        return self.executioner.log.read_text()[-3000:]


def _archives(scene: Scene) -> None:
    for name in NAMES:
        session(scene, name, FILES)
    plan_archives(scene, NAMES)


def _replacement(scene: Scene, made: Executioner) -> None:
    """One archive that is there, and a plan to replace it."""
    session(scene, "one", {"old.fits": b"old"})
    plan_archives(scene, ["one"])
    assert made.run(scene, *APPLY).code == 0
    heads = [
        scene.s3.head_object(Bucket=scene.bucket, Key=key)
        for key in (KEYS[0], f"{KEYS[0]}.index.jsonl")
    ]
    session(scene, "one", FILES)
    old = Replaced(
        heads[0]["ETag"].strip('"'),
        heads[0]["ContentLength"],
        heads[0]["VersionId"],
        heads[1]["ETag"].strip('"'),
    )
    plan_archives(scene, ["one"], replaces=old)


def _extraction(scene: Scene, made: Executioner) -> None:
    _archives(scene)
    assert made.run(scene, *APPLY).code == 0
    plan_extracts(scene, KEYS)


@pytest.fixture(scope="module")
def archiving(seaweed: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Cycle]:
    directory = tmp_path_factory.mktemp("archives")
    with open_scene(seaweed, directory) as scene, executioner(directory) as made:
        _archives(scene)
        yield _Cycle(scene, made)


@pytest.fixture(scope="module")
def replacing(seaweed: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Cycle]:
    directory = tmp_path_factory.mktemp("replacements")
    with open_versioned(seaweed, directory) as scene, executioner(directory) as made:
        _replacement(scene, made)
        yield _Cycle(scene, made)


@pytest.fixture(scope="module")
def extracting(seaweed: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Cycle]:
    directory: Path = tmp_path_factory.mktemp("extracts")
    with open_scene(seaweed, directory) as scene, executioner(directory) as made:
        _extraction(scene, made)
        yield _Cycle(scene, made)


def _chosen(positions: tuple[str, ...], chance: random.Random) -> list[str]:
    """One position of each place in the program that matters here, and others at random."""
    kinds: dict[str, list[str]] = {}
    for position in positions:
        kinds.setdefault(position.rpartition(" #")[0], []).append(position)
    places = ("complete", "send part", "archived", "upload", "rename", "remove", "delete", "stream")
    telling = [same for kind, same in kinds.items() if any(place in kind for place in places)]
    chosen = [chance.choice(same) for same in chance.sample(telling, min(KILLS, len(telling)))]
    return chosen + chance.sample(positions, KILLS - len(chosen))


@pytest.mark.slow
def test_a_killed_archive_step_can_be_taken_back_instead(archiving: _Cycle) -> None:
    """D8, invariant 4: an archive without a record is recognised by its content."""
    for last in ("after complete #1", "before journal archived #2", "after send part #2"):
        archiving.abandoned(last)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("which", ["archiving", "replacing", "extracting"])
def test_killed_anywhere_they_end_as_if_nobody_had_disturbed_them(
    which: str, request: pytest.FixtureRequest
) -> None:
    """Invariant 4."""
    killed: _Cycle = request.getfixturevalue(which)
    chance = random.Random(5)
    firsts = _chosen(killed.positions[APPLY], chance)
    seconds = _chosen(killed.positions[ROLLBACK], chance)
    for first, second in zip(firsts, seconds, strict=True):
        killed.cycle(first, second)


@pytest.mark.crash
@pytest.mark.timeout(0)
@pytest.mark.parametrize("which", ["archiving", "replacing", "extracting"])
def test_killed_at_every_position(which: str, request: pytest.FixtureRequest) -> None:
    killed: _Cycle = request.getfixturevalue(which)
    chance = random.Random(6)
    for first in killed.positions[APPLY]:
        killed.cycle(first, chance.choice(killed.positions[ROLLBACK]))
