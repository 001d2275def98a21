"""kill -9 while archiving, replacing, extracting, or taking that back, then the same command."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3plan.model.steps import Replaced
from tests.crash.back_and_forth import APPLY, BackAndForth, chosen
from tests.crash.harness import Executioner, executioner
from tests.engine.archiving import plan_archives, plan_extracts, session
from tests.engine.scene import Scene, open_scene, open_versioned
from tests.servers import Server

KILLS = 3
"""Of the short run, in each of both phases."""

PLACES = ("complete", "send part", "archived", "upload", "rename", "remove", "delete", "stream")
"""Places in the program that matter here."""

FILES = {"a.fits": random.Random(1).randbytes(6 << 20), "b/c.fits": b"c" * 5000, "d.fits": b""}
NAMES = ("one", "two")
KEYS = tuple(f"raw/{name}.tar" for name in NAMES)


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
def archiving(seaweed: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackAndForth]:
    directory = tmp_path_factory.mktemp("archives")
    with open_scene(seaweed, directory) as scene, executioner(directory) as made:
        _archives(scene)
        yield BackAndForth(scene, made)


@pytest.fixture(scope="module")
def replacing(seaweed: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackAndForth]:
    directory = tmp_path_factory.mktemp("replacements")
    with open_versioned(seaweed, directory) as scene, executioner(directory) as made:
        _replacement(scene, made)
        yield BackAndForth(scene, made)


@pytest.fixture(scope="module")
def extracting(seaweed: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackAndForth]:
    directory: Path = tmp_path_factory.mktemp("extracts")
    with open_scene(seaweed, directory) as scene, executioner(directory) as made:
        _extraction(scene, made)
        yield BackAndForth(scene, made)


@pytest.mark.slow
def test_a_killed_archive_step_can_be_taken_back_instead(archiving: BackAndForth) -> None:
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
    killed: BackAndForth = request.getfixturevalue(which)
    chance = random.Random(5)
    firsts = chosen(killed.forth, chance, PLACES, KILLS)
    seconds = chosen(killed.back, chance, PLACES, KILLS)
    for first, second in zip(firsts, seconds, strict=True):
        killed.cycle(first, second)


@pytest.mark.crash
@pytest.mark.timeout(0)
@pytest.mark.parametrize("which", ["archiving", "replacing", "extracting"])
def test_killed_at_every_position(which: str, request: pytest.FixtureRequest) -> None:
    killed: BackAndForth = request.getfixturevalue(which)
    killed.sweep(random.Random(6))
