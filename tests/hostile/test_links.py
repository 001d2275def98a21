"""Links planted in the destination, before and during a run: none is followed, nothing leaves."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import pytest

from s3plan import api
from s3plan.errors import DestinationError, ProblemsError
from tests.engine.scene import COPY_ONLY, WHOLE, Scene

pytestmark = pytest.mark.parametrize("server", ["rgw", "moto_server", "seaweed"])

KEYS = ("dir/one.txt", "dir/two.txt", "dir/sub/three.txt", "top.txt", "deep/a/b/c.txt")


@pytest.fixture
def outside(scene: Scene) -> Path:
    """A directory beside the destination with a file that nobody may touch."""
    place = scene.directory / "outside"
    place.mkdir()
    (place / "one.txt").write_text("a stranger's")
    return place


def _fill(scene: Scene) -> None:
    for key in KEYS:
        scene.put(key, f"content of {key}".encode())


def _untouched(outside: Path) -> None:
    assert [path.name for path in outside.iterdir()] == ["one.txt"]
    assert (outside / "one.txt").read_text() == "a stranger's"


def test_a_link_that_stands_where_a_directory_must_be(
    scene: Scene, server: str, outside: Path
) -> None:
    """Between plan and apply: the keys below it fail, the others are downloaded, none deleted."""
    _fill(scene)
    scene.plan(WHOLE)
    scene.copies.mkdir(parents=True)
    (scene.copies / "dir").symlink_to(outside, target_is_directory=True)
    finished = scene.apply()
    assert finished.exit_code == 3
    assert {problem.key for problem in scene.problems()} == {k for k in KEYS if k[:4] == "dir/"}
    _untouched(outside)
    assert sorted(scene.keys()) == sorted(KEYS)


def test_a_link_that_stands_where_a_file_must_be(scene: Scene, server: str, outside: Path) -> None:
    _fill(scene)
    scene.plan(WHOLE)
    scene.copies.mkdir(parents=True)
    (scene.copies / "top.txt").symlink_to(outside / "one.txt")
    (scene.copies / "deep").mkdir()
    (scene.copies / "deep" / "a").symlink_to("nowhere")
    finished = scene.apply()
    assert finished.exit_code == 3
    assert {problem.key for problem in scene.problems()} == {"top.txt", "deep/a/b/c.txt"}
    _untouched(outside)
    assert not (scene.copies / "deep" / "nowhere").exists()
    assert sorted(scene.keys()) == sorted(KEYS)


def test_a_link_that_is_there_when_planning_is_a_problem_or_left_alone(
    scene: Scene, server: str, outside: Path
) -> None:
    _fill(scene)
    scene.copies.mkdir(parents=True)
    (scene.copies / "top.txt").symlink_to(outside / "one.txt")
    with pytest.raises(ProblemsError, match="cannot be planned") as refused:
        scene.plan(WHOLE)
    assert "other files stand where objects are to go" in str(refused.value.problems[0])
    _untouched(outside)


@pytest.mark.long
def test_a_copy_replaced_by_a_link_after_the_gate_stops_its_deletion(
    scene: Scene, server: str, outside: Path
) -> None:
    """Even to a file of the very same bytes: it is not the one that was verified."""
    _fill(scene)
    evidence = scene.apply_to_gate()
    (outside / "one.txt").write_bytes(b"content of top.txt")
    (scene.copies / "top.txt").unlink()
    (scene.copies / "top.txt").symlink_to(outside / "one.txt")
    finished = scene.apply(delete=evidence)
    assert finished.exit_code in (3, 4)
    assert "top.txt" in scene.objects()


def test_a_rollback_removes_no_file_through_a_link(
    scene: Scene, server: str, outside: Path
) -> None:
    _fill(scene)
    scene.plan(COPY_ONLY)
    assert scene.apply().exit_code == 0
    for name in ("one.txt", "two.txt"):
        (scene.copies / "dir" / name).rename(scene.directory / f"kept-{name}")
    (scene.copies / "dir" / "sub").rename(scene.directory / "kept-sub")
    (scene.copies / "dir").rmdir()
    (scene.copies / "dir").symlink_to(outside, target_is_directory=True)
    finished = scene.rollback()
    assert finished is not None
    assert finished.exit_code == 0, "what is not there any more needs no removal"
    _untouched(outside)
    assert (scene.directory / "kept-one.txt").exists()


@pytest.mark.long
@pytest.mark.timeout(120)
def test_directories_that_turn_into_links_while_a_run_writes(
    scene: Scene, server: str, outside: Path
) -> None:
    """A planter swaps a directory for a link and back, all the time, as fast as it can."""
    keys = [f"dir/{number:03}.txt" for number in range(120)]
    for key in keys:
        scene.put(key, f"content of {key}".encode())
    scene.plan(COPY_ONLY)
    place = scene.copies / "dir"
    place.mkdir(parents=True)
    aside = scene.directory / "aside"
    stop = threading.Event()
    swaps = 0

    def plant() -> None:
        nonlocal swaps
        while not stop.is_set():
            with suppress(OSError):
                place.rename(aside)
                place.symlink_to(outside, target_is_directory=True)
                swaps += 1
                place.unlink()
                aside.rename(place)

    planter = threading.Thread(target=plant)
    planter.start()
    try:
        with suppress(DestinationError):
            scene.apply()
    finally:
        stop.set()
        planter.join()
    assert swaps > 20, "the planter was at work"
    _untouched(outside)
    if place.is_symlink():
        place.unlink()
    if aside.exists() and not place.exists():
        aside.rename(place)
    # Undisturbed, the same command brings the rest, or holds: files went away with a directory.
    again = scene.apply() if api.status().outcome != "done" else None
    assert again is None or again.exit_code in (0, 3, 4)
    for key in keys:
        copy = scene.copies / key
        assert not copy.exists() or copy.read_bytes() == f"content of {key}".encode()
    assert sorted(scene.keys()) == keys, "nothing was deleted"
