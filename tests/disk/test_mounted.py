"""Real disks that are full, read-only, gone, or another one: s3plan stops and loses nothing.

Each test ends the same way: once the disk is repaired the same command reaches the state of a run
that nothing disturbed.
"""

from __future__ import annotations

import importlib
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.errors import DestinationError, IncompleteError, ProblemsError, S3PlanError
from s3plan.localfs.tree import Tree
from s3plan.store import Bucket
from tests.disk.conftest import Mounts, ballast
from tests.engine.scene import OBJECTS_ONLY, WHOLE, Scene, approval_in

COUNT = 8
LARGE = 100_000


def _content(number: int) -> bytes:
    return f"content {number}".encode() * (LARGE // 10)


def _long(value: Any) -> Any:
    """A variation for `make test-disk`."""
    return pytest.param(value, marks=pytest.mark.disk)


@pytest.fixture
def filled(scene: Scene) -> Scene:
    scene.fill(COUNT, _content)
    return scene


def _goes_on(scene: Scene) -> None:
    """The same command, with the disk repaired, ends as if nothing had happened."""
    wanted = {f"d{n % 3}/object-{n:04}.txt": _content(n) for n in range(COUNT)}
    held = scene.apply()
    assert (held.outcome, held.exit_code) == ("held", 4), (held, scene.problems())
    _, _, evidence = approval_in(str(held.next_step)).partition("@")
    finished = scene.apply(delete=evidence)
    assert finished.exit_code == 0, (finished, scene.problems())
    assert scene.keys() == []
    assert scene.files() == wanted
    assert {key: row.verdict for key, (row, _) in scene.catalogue().items()} == dict.fromkeys(
        wanted, "verified"
    )
    taken_back = scene.rollback()
    assert taken_back is not None
    assert taken_back.exit_code == 0
    assert {key: stored.body for key, stored in scene.objects().items()} == wanted


def _stopped(scene: Scene, **options: Any) -> str:
    """The run stopped with exit 1 or 3, says what to do, and no object is gone; all it said."""
    code, said = _ended(scene, **options)
    assert code in (1, 3), said
    assert "next: " in said
    assert len(scene.keys()) == COUNT
    return said


def _ended(scene: Scene, **options: Any) -> tuple[int, str]:
    """How an apply ended, as an error or with a summary: its exit code and all it said."""
    try:
        finished = scene.apply(**options)
    except S3PlanError as error:
        return error.exit_code, str(error)
    return finished.exit_code, f"{finished.message}; next: {finished.next_step}"


# -- no room ------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [_long(0), 20_000, _long(LARGE * 3), _long(LARGE * 5)])
def test_a_full_disk_in_the_middle_of_downloads(
    filled: Scene, mounts: Mounts, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    mounts.memory(filled.here, size="3m")
    filled.plan(WHOLE)

    def fill() -> None:
        with suppress(OSError):  # the other disk thread may be quicker to take the last block
            ballast(filled.here, room)

    with monkeypatch.context() as patch:
        _after_two_files(patch, fill)
        said = _stopped(filled)
    assert "No space left on device" in said
    assert "make room" in said
    fetched = len(filled.files())
    said = _stopped(filled)
    assert "does not fit" in said, "the same command looks before it fetches anything"
    assert "make room" in said
    assert len(filled.files()) == fetched
    (filled.here / "ballast").unlink()
    _goes_on(filled)


@pytest.mark.disk
def test_a_full_disk_in_the_middle_of_a_large_object(scene: Scene, mounts: Mounts) -> None:
    """Its room is reserved before the first byte comes."""
    mounts.memory(scene.here, size="8m")
    scene.put("large.bin", b"x" * 4_000_000)
    scene.plan(WHOLE)
    weight = ballast(scene.here, 2_000_000)
    finished = scene.apply()
    assert finished.exit_code == 3
    assert "make room" in finished.message
    assert scene.files() == {}
    weight.unlink()
    assert scene.apply().exit_code == 4
    assert scene.files() == {"large.bin": b"x" * 4_000_000}


@pytest.mark.long
@pytest.mark.parametrize("pages", [_long(0), 1, _long(2), 3, _long(4)])
def test_a_full_disk_under_the_journal(filled: Scene, mounts: Mounts, pages: int) -> None:
    """Plan copy, journal, evidence: whichever is the first that does not fit, nothing is sent
    that the journal does not know.
    """
    state = filled.directory / ".s3plan"
    mounts.memory(state, size="1m")
    filled.plan(OBJECTS_ONLY)
    weight = ballast(state, pages * 4096)
    said = _stopped(filled, ask=lambda _: True)
    assert "No space left on device" in said
    assert "make room" in said
    weight.unlink()
    _goes_on(filled)


@pytest.mark.parametrize("pages", [0, _long(1), _long(2)])
def test_a_full_disk_under_the_journal_of_a_deletion(
    filled: Scene, mounts: Mounts, pages: int
) -> None:
    state = filled.directory / ".s3plan"
    mounts.memory(state, size="1m")
    evidence = filled.apply_to_gate(OBJECTS_ONLY)
    weight = ballast(state, pages * 4096)
    code, said = _ended(filled, delete=evidence)
    assert code == 0 or (code in (1, 3) and "make room" in said), said
    assert len(filled.files()) == COUNT
    weight.unlink()
    if filled.keys():
        assert filled.apply(delete=evidence).exit_code == 0
    assert (len(filled.files()), filled.keys()) == (COUNT, [])


@pytest.mark.long
def test_a_disk_without_inodes(filled: Scene, mounts: Mounts) -> None:
    mounts.memory(filled.here, size="3m", nr_inodes=40)
    filled.plan(WHOLE)
    (filled.here / "crumbs").mkdir()
    spare = os.statvfs(filled.here).f_ffree - 8
    for number in range(spare):
        (filled.here / "crumbs" / str(number)).touch()
    said = _stopped(filled)
    assert "inodes" in said
    mounts.again(filled.here, "nr_inodes=400")
    _goes_on(filled)


def test_a_disk_with_too_few_inodes_is_a_planning_error(filled: Scene, mounts: Mounts) -> None:
    mounts.memory(filled.here, size="3m", nr_inodes=5)
    with pytest.raises(ProblemsError) as caught:
        filled.plan(WHOLE)
    assert "inodes" in str(caught.value.problems[0].expected)


# -- read-only, gone, another one ---------------------------------------------------------------


@pytest.mark.long
def test_a_disk_that_became_read_only(filled: Scene, mounts: Mounts) -> None:
    mounts.memory(filled.here, size="3m")
    filled.plan(WHOLE)
    mounts.again(filled.here, "ro")
    said = _stopped(filled)
    assert "a read-only filesystem" in said
    assert "mount it writable" in said
    mounts.again(filled.here, "rw")
    _goes_on(filled)


def _after_two_files(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """Call ``act`` once, when the third small file is about to be written."""
    write_new = Tree.write_new
    written: list[str] = []

    def counting(self: Tree, path: str, data: Any, mtime_ns: int) -> Any:
        if not path.startswith(".s3plan"):
            written.append(path)
            if len(written) == 3:
                act()
        return write_new(self, path, data, mtime_ns)

    monkeypatch.setattr(Tree, "write_new", counting)


@pytest.mark.long
def test_a_disk_unplugged_in_the_middle_of_downloads_and_back(
    filled: Scene, mounts: Mounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = filled.directory / "disk"
    mounts.plug(disk, filled.here)
    filled.plan(WHOLE)
    with monkeypatch.context() as patch:
        _after_two_files(patch, lambda: mounts.unplug(filled.here))
        said = _stopped(filled)
    assert "mount the disk of the destination again" in said
    # The mount point is an empty directory now: nothing may be written below it, by any command.
    said = _stopped(filled)
    assert "mount its disk" in said
    with pytest.raises(DestinationError, match="its marker is gone"):
        filled.plan()
    assert list(filled.here.iterdir()) == []
    mounts.plug(disk, filled.here)
    _goes_on(filled)


@pytest.mark.disk
def test_a_disk_unplugged_after_the_gate_and_back(filled: Scene, mounts: Mounts) -> None:
    disk = filled.directory / "disk"
    mounts.plug(disk, filled.here)
    evidence = filled.apply_to_gate()
    mounts.unplug(filled.here)
    said = _stopped(filled, delete=evidence)
    assert "mount its disk" in said
    assert list(filled.here.iterdir()) == []
    mounts.plug(disk, filled.here)
    _goes_on(filled)


@pytest.mark.long
@pytest.mark.parametrize("used", [_long(False), True], ids=["empty", "used"])
def test_another_disk_at_the_same_place_after_the_gate(
    filled: Scene, mounts: Mounts, used: bool
) -> None:
    disk, other = filled.directory / "disk", filled.directory / "other"
    mounts.plug(disk, filled.here)
    evidence = filled.apply_to_gate()
    mounts.unplug(filled.here)
    other.mkdir()
    if used:
        # A disk that s3plan knows as well, even with all these files: a copy of the first.
        shutil.copytree(disk, other, dirs_exist_ok=True)
        marker = other / ".s3plan" / "destination.json"
        text = marker.read_text()
        marker.write_text(text.replace('"id":"', '"id":"f'))
    mounts.plug(other, filled.here)
    said = _stopped(filled, delete=evidence)
    assert "mount" in said
    if used:
        assert "of another disk" in said
    mounts.unplug(filled.here)
    mounts.plug(disk, filled.here)
    _goes_on(filled)


def test_a_disk_unplugged_in_the_middle_of_a_deletion(
    filled: Scene, mounts: Mounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No copy can be looked at any more, so no further page is deleted."""
    disk = filled.directory / "disk"
    mounts.plug(disk, filled.here)
    evidence = filled.apply_to_gate(OBJECTS_ONLY)
    delete_many = Bucket.delete_many

    async def unplugging(self: Bucket, targets: Any) -> Any:
        if filled.here in mounts.points:
            mounts.unplug(filled.here)
        return await delete_many(self, targets)

    module = importlib.import_module("s3plan.engine.handlers.delete")
    monkeypatch.setattr(module, "IN_FLIGHT", 1)
    monkeypatch.setattr(Bucket.pages, "__defaults__", ("", "", 2))
    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "delete_many", unplugging)
        with pytest.raises(IncompleteError, match="not at its path"):
            filled.apply(delete=evidence)
    assert COUNT - 4 <= len(filled.keys()) <= COUNT - 2, "one page or two were under way"
    mounts.plug(disk, filled.here)
    assert filled.apply(delete=evidence).exit_code == 0
    assert (len(filled.files()), filled.keys()) == (COUNT, [])


# -- without mounting ---------------------------------------------------------------------------


@pytest.mark.disk
def test_a_destination_that_was_moved_in_the_middle_and_back(
    filled: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = filled.directory / "away"
    filled.plan(WHOLE)
    with monkeypatch.context() as patch:
        _after_two_files(patch, lambda: filled.here.rename(away))
        said = _stopped(filled)
    assert "mount the disk of the destination again" in said
    said = _stopped(filled)
    assert "mount its disk" in said
    assert not filled.here.exists(), "it is not made anew where a disk is to be mounted"
    away.rename(filled.here)
    _goes_on(filled)


def test_a_destination_that_is_begun_anew_on_purpose(filled: Scene) -> None:
    """The refusal names the command that clears it."""
    filled.plan(OBJECTS_ONLY)
    filled.apply()
    shutil.rmtree(filled.here)
    with pytest.raises(DestinationError) as caught:
        filled.plan()
    (command,) = [part for part in str(caught.value.next_step).split(": ") if "mkdir" in part]
    assert command == f"mkdir -p {filled.here / '.s3plan'}"
    (filled.here / ".s3plan").mkdir(parents=True)
    # The run itself does not go on there: it is of the old destination.
    with pytest.raises(DestinationError, match="began with") as caught:
        filled.apply()
    assert f"s3plan runs abandon {filled.run().id}" in str(caught.value.next_step)
    api.abandon_run(filled.run().id, approver="tester")
    filled.plan()
    assert filled.apply().exit_code == 4
    assert len(filled.files()) == COUNT


@pytest.mark.disk
def test_a_marker_that_is_damaged_is_refused(filled: Scene) -> None:
    evidence = filled.apply_to_gate()
    marker = filled.here / ".s3plan" / "destination.json"
    good = marker.read_bytes()
    for bad in (b"", b"{", good.replace(b"destination/1", b"destination/2")):
        marker.write_bytes(bad)
        assert "marker cannot be read" in _stopped(filled, delete=evidence)
    marker.write_bytes(good)
    assert filled.apply(delete=evidence).exit_code == 0


def test_planning_writes_no_marker(filled: Scene) -> None:
    filled.here.mkdir()
    assert api.plan([filled.manifest(WHOLE)]).plan is not None
    assert list(filled.here.iterdir()) == []
    assert not (Path(filled.environ["XDG_STATE_HOME"]) / "s3plan" / "destinations").exists()
