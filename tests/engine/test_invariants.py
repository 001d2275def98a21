"""What must hold before anything is deleted, each broken on purpose."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from s3plan.errors import (
    DestinationError,
    EndpointError,
    ListingError,
    LockedError,
    PlanFileError,
    PlanningError,
    ProblemsError,
    StaleError,
)
from s3plan.localfs.locks import Holder, hold
from s3plan.localfs.tree import Tree
from s3plan.model.events import GateReached, RunFinished
from s3plan.model.local import Space
from s3plan.store import Bucket
from tests.engine.scene import COPY_ONLY, OBJECTS_ONLY, WHOLE, Scene

KEYS = ("a.txt", "dir/b.txt", "dir/c.bin")


@pytest.fixture
def filled(scene: Scene) -> Scene:
    for key in KEYS:
        scene.put(key, f"content of {key}".encode())
    return scene


def _held(scene: Scene, finished: RunFinished) -> None:
    """The gate did not open, and everything is where it was."""
    assert (finished.outcome, finished.exit_code) == ("held", 4)
    assert not scene.gate().passes
    assert set(scene.keys()) >= set(KEYS)


def _gate_text(scene: Scene) -> str:
    return "\n".join(scene.gate().problems)


# -- S3 changed ---------------------------------------------------------------------------------


def test_an_object_overwritten_after_the_gate_is_found_and_nothing_is_deleted(
    filled: Scene,
) -> None:
    evidence = filled.apply_to_gate()
    filled.put("a.txt", b"content of A.txt")
    _held(filled, filled.apply(delete=evidence))
    assert "1 changed in S3 since the plan: a.txt" in _gate_text(filled)


def test_an_object_that_appeared_after_the_gate_holds_the_deletion(filled: Scene) -> None:
    evidence = filled.apply_to_gate()
    filled.put("dir/new.txt", b"new")
    _held(filled, filled.apply(delete=evidence))
    assert "1 in S3 but not in the plan: dir/new.txt" in _gate_text(filled)
    assert set(filled.keys()) == {*KEYS, "dir/new.txt"}


def test_an_object_overwritten_between_the_last_look_and_the_deletion_survives(
    filled: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence = filled.apply_to_gate()
    delete_many = Bucket.delete_many

    async def late(self: Bucket, targets: Any) -> Any:
        filled.put("a.txt", b"written in the window")
        return await delete_many(self, targets)

    monkeypatch.setattr(Bucket, "delete_many", late)
    finished = filled.apply(delete=evidence)
    assert (finished.exit_code, finished.drifted) == (3, 1)
    assert filled.keys() == ["a.txt"], "what was verified is gone, what was not is there"
    assert filled.bucket_exists()


def test_an_object_that_appears_after_the_last_look_keeps_the_bucket(
    filled: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence = filled.apply_to_gate()
    delete_many = Bucket.delete_many

    async def late(self: Bucket, targets: Any) -> Any:
        result = await delete_many(self, targets)
        filled.put("late.txt", b"late")
        return result

    monkeypatch.setattr(Bucket, "delete_many", late)
    finished = filled.apply(delete=evidence)
    assert finished.exit_code == 4
    assert filled.keys() == ["late.txt"]


def test_an_object_gone_before_its_download_is_drifted(filled: Scene) -> None:
    filled.plan(WHOLE)
    filled.delete("a.txt")
    finished = filled.apply()
    assert (finished.exit_code, finished.drifted) == (3, 1)
    assert [p.key for p in filled.problems()] == ["a.txt"]
    assert "gone from S3" in filled.problems()[0].message
    assert filled.keys() == ["dir/b.txt", "dir/c.bin"], "nothing is deleted"


def test_an_object_changed_before_its_download_is_drifted(filled: Scene) -> None:
    filled.plan(WHOLE)
    filled.put("a.txt", b"content of A.txt")
    finished = filled.apply()
    assert (finished.exit_code, finished.drifted) == (3, 1)
    assert not (filled.copies / "a.txt").exists()
    assert set(filled.keys()) == set(KEYS)


# -- the copies changed -------------------------------------------------------------------------


def _change(path: Path) -> None:
    path.write_bytes(path.read_bytes()[::-1])


def _truncate(path: Path) -> None:
    os.truncate(path, 3)


def _replace_by_a_link(path: Path) -> None:
    elsewhere = path.with_name("elsewhere")
    path.rename(elsewhere)
    path.symlink_to(elsewhere.name)


@pytest.mark.parametrize("harm", [_change, _truncate, Path.unlink, _replace_by_a_link])
def test_a_copy_harmed_after_the_gate_is_found_before_the_first_deletion(
    filled: Scene, harm: Any
) -> None:
    evidence = filled.apply_to_gate()
    harm(filled.copies / "dir" / "b.txt")
    _held(filled, filled.apply(delete=evidence))
    assert "dir/b.txt" in _gate_text(filled)


def test_a_whole_tree_removed_after_the_gate_is_found_before_the_first_deletion(
    filled: Scene,
) -> None:
    evidence = filled.apply_to_gate()
    shutil.rmtree(filled.copies)
    _held(filled, filled.apply(delete=evidence))
    assert filled.gate().figures["missing"] == len(KEYS)


def test_a_destination_whose_disk_is_gone_is_not_made_anew(scene: Scene) -> None:
    scene.put("a.txt")
    disk = scene.directory / "disk"
    disk.mkdir()
    manifest = scene.manifest(WHOLE)
    manifest.write_text(manifest.read_text().replace("./here", "./disk/here"))
    scene.plan()
    scene.apply()
    evidence = scene.gate().evidence
    shutil.rmtree(disk)
    with pytest.raises(DestinationError, match="does not exist"):
        scene.apply(delete=evidence)
    assert not disk.exists(), "files would land where the disk is to be mounted"
    assert scene.keys() == ["a.txt"]


def test_a_file_that_was_only_touched_is_read_again_and_the_deletion_goes_on(
    filled: Scene,
) -> None:
    evidence = filled.apply_to_gate()
    os.utime(filled.copies / "a.txt")
    finished = filled.apply(delete=evidence)
    assert finished.exit_code == 0
    (gate,) = filled.gates()
    assert gate.evidence == evidence, "made again, and the same"
    assert not filled.bucket_exists()


def test_silent_corruption_is_found_when_the_gate_is_made_again(filled: Scene) -> None:
    evidence = filled.apply_to_gate()
    _corrupt_silently(filled.copies / "a.txt")
    _evidence_file(filled).unlink()
    _held(filled, filled.apply(delete=evidence))
    assert filled.gate().figures["mismatched"] == 1


def test_silent_corruption_before_the_gate_is_found_by_reading_back(
    filled: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.plan(WHOLE)
    write_new = Tree.write_new

    def corrupting(self: Tree, path: str, data: Any, mtime_ns: int) -> Any:
        stat = write_new(self, path, data, mtime_ns)
        if path.endswith("a.txt"):
            _corrupt_silently(self.root / path)
        return stat

    monkeypatch.setattr(Tree, "write_new", corrupting)
    _held(filled, filled.apply())
    assert filled.gate().figures["mismatched"] == 1


def test_what_stat_alone_cannot_see(filled: Scene) -> None:
    """Between gate and deletion files are held against device, inode, size and time, not read.

    Whoever rewrites a copy in place and puts its time back within that window is not seen: this
    is the limit of design.md's invariant 1, written down so that a change of it is deliberate.
    """
    evidence = filled.apply_to_gate()
    _corrupt_silently(filled.copies / "a.txt")
    assert filled.apply(delete=evidence).exit_code == 0


def _corrupt_silently(path: Path) -> None:
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_mtime_ns == stat.st_mtime_ns


def test_a_file_that_belongs_to_no_object_holds_the_gate(filled: Scene) -> None:
    filled.copies.mkdir(parents=True)
    (filled.copies / "stray.txt").write_bytes(b"mine")
    filled.plan(WHOLE)
    _held(filled, filled.apply())
    assert "1 in the destination but of no object" in _gate_text(filled)
    assert "stray.txt" in _gate_text(filled)


def test_what_a_desktop_leaves_behind_does_not_hold_the_gate(filled: Scene) -> None:
    (filled.copies / "dir").mkdir(parents=True)
    (filled.copies / ".DS_Store").write_bytes(b"x")
    (filled.copies / "dir" / "._b.txt").write_bytes(b"x")
    filled.apply_to_gate()
    assert filled.gate().passes


# -- listing, evidence, approval ----------------------------------------------------------------


@pytest.mark.parametrize("page", [0, 1])
def test_a_listing_page_that_fails_stops_the_deletion(
    filled: Scene, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    evidence = filled.apply_to_gate()
    pages = Bucket.pages

    async def failing(self: Bucket, **options: Any) -> AsyncIterator[Any]:
        number = 0
        async for found in pages(self, **(options | {"max_keys": 1})):
            if number == page:
                raise ListingError("page failed", address=f"s3://{self.name}")
            number += 1
            yield found

    monkeypatch.setattr(Bucket, "pages", failing)
    finished = filled.apply(delete=evidence)
    assert finished.exit_code == 3
    assert "page failed" in finished.message
    monkeypatch.undo()
    monkeypatch.chdir(filled.directory)
    assert set(filled.keys()) == set(KEYS)


def _evidence_file(scene: Scene) -> Path:
    (path,) = (scene.run().folder / "evidence").iterdir()
    return path


def _edit(path: Path) -> None:
    path.write_text(path.read_text().replace("a.txt", "A.txt"))


def _shorten(path: Path) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


@pytest.mark.parametrize("harm", [_edit, _shorten, Path.unlink])
def test_evidence_that_is_gone_or_was_edited_is_made_again(filled: Scene, harm: Any) -> None:
    evidence = filled.apply_to_gate()
    before = _evidence_file(filled).read_bytes()
    harm(_evidence_file(filled))
    finished = filled.apply()
    assert finished.exit_code == 4, "no approval yet"
    assert filled.gate().evidence == evidence
    assert _evidence_file(filled).read_bytes() == before
    assert filled.apply(delete=evidence).exit_code == 0


def test_an_approval_of_other_evidence_is_held(filled: Scene) -> None:
    filled.apply_to_gate()
    finished = filled.apply(delete="0123456789abcdef")
    assert finished.exit_code == 4
    assert "other evidence" in finished.message
    assert set(filled.keys()) == set(KEYS)
    filled.s3.head_bucket(Bucket=filled.bucket)


def test_the_prompt_shows_the_figures_and_a_no_deletes_nothing(filled: Scene) -> None:
    filled.plan(WHOLE)
    shown: list[GateReached] = []

    def no(gate: GateReached) -> bool:
        shown.append(gate)
        return False

    finished = filled.apply(ask=no)
    assert finished.exit_code == 4
    assert [gate.figures["verified"] for gate in shown] == [len(KEYS)]
    assert set(filled.keys()) == set(KEYS)


def test_what_changes_while_the_prompt_is_open_stops_the_deletion(filled: Scene) -> None:
    filled.plan(WHOLE)

    def slow_yes(_: Any) -> bool:
        filled.put("dir/new.txt", b"new")
        return True

    _held(filled, filled.apply(ask=slow_yes))


def test_a_yes_at_the_prompt_deletes(filled: Scene) -> None:
    filled.plan(WHOLE)
    assert filled.apply(ask=lambda _: True).exit_code == 0
    assert not filled.bucket_exists()


# -- stale and locked ---------------------------------------------------------------------------


def test_the_digest_of_another_plan_is_stale(filled: Scene) -> None:
    filled.plan(WHOLE)
    with pytest.raises(StaleError, match="not the one that was approved") as caught:
        filled.apply(digest="sha256:" + "0" * 12)
    assert caught.value.exit_code == 5
    assert not (filled.directory / "journal.json").exists()


def test_a_consumed_plan_is_stale(filled: Scene) -> None:
    filled.plan(COPY_ONLY)
    assert filled.apply().exit_code == 0
    with pytest.raises(StaleError, match="consumed"):
        filled.apply()


def test_a_plan_of_another_host_is_stale(filled: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(socket, "gethostname", lambda: "elsewhere.example")
        filled.plan(WHOLE)
    with pytest.raises(StaleError, match="another host") as caught:
        filled.apply()
    assert caught.value.expected == "host elsewhere.example"


def test_another_endpoint_is_stale_before_the_first_request(filled: Scene) -> None:
    """The header names the target beside the connection; the two must agree at apply."""
    filled.plan(WHOLE)
    path = filled.directory / "plan.json"
    lines = path.read_text().splitlines(keepends=True)
    header = json.loads(lines[0])
    header["connection"]["endpoint"] = "http://127.0.0.1:9"
    path.write_text(json.dumps(header) + "\n" + "".join(lines[1:]))
    with pytest.raises(StaleError, match="another account, endpoint or region"):
        filled.apply()


def test_a_second_apply_is_locked_out_and_told_by_whom(filled: Scene) -> None:
    filled.apply_to_gate()
    for lock in (filled.here / ".s3plan" / "lock", filled.run().lock):
        holder = Holder("here", 4711, "2026-11-20T00:00:00.000Z", "journal.json")
        with hold(lock, holder), pytest.raises(LockedError, match="4711") as caught:
            filled.apply()
        assert caught.value.exit_code == 6


def test_two_applies_of_two_directories_for_one_bucket_do_not_run_at_once(filled: Scene) -> None:
    """Another destination and another run: only the lock of the bucket is shared."""
    filled.plan(WHOLE)
    state = Path(filled.environ["XDG_STATE_HOME"])
    filled.apply()
    (bucket_lock,) = (state / "s3plan" / "locks").iterdir()
    holder = Holder("here", 4712, "2026-11-20T00:00:00.000Z", "journal.json")
    with hold(bucket_lock, holder), pytest.raises(LockedError, match="4712"):
        filled.apply()


# -- what S3 does not tell ----------------------------------------------------------------------


def test_tags_that_may_not_be_read_hold_the_deletion(
    moto_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    moto_scene.put("a.txt")

    async def refused(self: Bucket, key: str, **_: object) -> dict[str, str]:
        raise EndpointError("tags refused", address=f"s3://{self.name}/{key}")

    monkeypatch.setattr(Bucket, "tags", refused)
    moto_scene.plan(OBJECTS_ONLY)
    finished = moto_scene.apply()
    assert finished.exit_code == 4
    assert "tags" in _gate_text(moto_scene)
    assert moto_scene.keys() == ["a.txt"]


def test_a_destination_that_is_too_small_is_a_planning_error(
    filled: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tree, "space", lambda self: Space(bytes=10, inodes=None))
    with pytest.raises(ProblemsError) as caught:
        filled.plan(WHOLE)
    (problem,) = caught.value.problems
    assert isinstance(problem, PlanningError)
    assert "do not fit" in problem.what
    assert (problem.found, problem.address) == ("10 bytes free", str(filled.here))
    assert not (filled.directory / "plan.json").exists()


def test_a_plan_that_was_edited_is_refused(filled: Scene) -> None:
    filled.plan(WHOLE)
    path = filled.directory / "plan.json"
    path.write_text(path.read_text().replace("dir/b.txt", "dir/B.txt"))
    with pytest.raises(PlanFileError, match="digest"):
        filled.apply()
    assert set(filled.keys()) == set(KEYS)
