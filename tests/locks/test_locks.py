"""Two runs never work on one thing; the second is told by whom, and a dead one holds nothing."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.engine import lockstatus
from s3plan.errors import IncompleteError, LockedError, StaleError, UsageError
from s3plan.localfs.locks import Holder, Lock, hold, holder_of
from s3plan.store import Bucket
from tests.engine.scene import COPY_ONLY, OBJECTS_ONLY, WHOLE, Ran, Scene, approval_in

COUNT = 12


def _long(value: Any) -> Any:
    """A variation for `make test-disk`."""
    return pytest.param(value, marks=pytest.mark.disk)


@pytest.fixture
def filled(scene: Scene) -> Scene:
    scene.fill(COUNT, lambda number: f"{number}".encode() * 20_000)
    return scene


@contextmanager
def _busy(scene: Scene) -> Iterator[int]:
    """Another process that works on the scene's plan for a while; its pid."""
    process = scene.start("apply", "--approve")
    try:
        deadline = time.monotonic() + 20
        while not (scene.copies.exists() and any(scene.copies.rglob("*.txt"))):
            assert process.poll() is None, "it ended too early"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _slow(scene: Scene, spec: str = WHOLE) -> None:
    """A plan whose apply takes some seconds."""
    scene.plan(spec, requests=4)


def _other_directory(scene: Scene, destination: str | None = None) -> Path:
    """A second working directory with the same manifest, and maybe another destination."""
    other = scene.directory.parent / "other"
    other.mkdir()
    text = (scene.directory / "manifest.yaml").read_text()
    (other / "manifest.yaml").write_text(text.replace("./here", destination or str(scene.here), 1))
    return other


def _in(directory: Path, scene: Scene, *arguments: str) -> Ran:
    first, scene.directory = scene.directory, directory
    try:
        return scene.s3plan(*arguments)
    finally:
        scene.directory = first


def _locked_out(ran: Ran, pid: int, journal: Path) -> None:
    assert ran.code == 6, ran
    assert f"process {pid} on {socket.gethostname()} since 2" in ran.err
    assert str(journal) in ran.err
    assert "s3plan lock status" in ran.err


def test_two_applies_on_one_journal(filled: Scene) -> None:
    _slow(filled)
    with _busy(filled) as pid:
        _locked_out(filled.s3plan("apply", "--approve"), pid, filled.directory)
        _locked_out(filled.s3plan("rollback", "journal.json", "--approve"), pid, filled.directory)
    _ends(filled)


@pytest.mark.disk
def test_two_applies_on_one_destination(filled: Scene) -> None:
    """Another bucket, another directory: only the place is the same."""
    second = f"{filled.bucket}-second"
    filled.s3.create_bucket(Bucket=second)
    filled.s3.put_object(Bucket=second, Key="a.txt", Body=b"a")
    _slow(filled)
    other = _other_directory(filled)
    manifest = other / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace(filled.bucket, second))
    assert _in(other, filled, "plan", "manifest.yaml").code == 0
    with _busy(filled) as pid:
        ran = _in(other, filled, "apply", "--approve")
        _locked_out(ran, pid, filled.directory)
        assert str(filled.here / ".s3plan" / "lock") in ran.err
    # Its holder is dead: the lock is free at once.
    assert _in(other, filled, "apply", "--approve").code == 4
    filled.s3.delete_object(Bucket=second, Key="a.txt")
    filled.s3.delete_bucket(Bucket=second)


@pytest.mark.disk
def test_two_applies_on_one_bucket_from_two_directories(filled: Scene) -> None:
    _slow(filled)
    other = _other_directory(filled, "./there")
    assert _in(other, filled, "plan", "manifest.yaml").code == 0
    with _busy(filled) as pid:
        _locked_out(_in(other, filled, "apply", "--approve"), pid, filled.directory)
    assert not (other / "there").exists(), "nothing was begun"
    _ends(filled)


def _ends(scene: Scene) -> None:
    """The run whose process was killed is taken over by the same command, and ends."""
    held = scene.s3plan("apply", "--approve")
    assert held.code == 4, held
    done = scene.s3plan("apply", "--approve", "--approve-delete", approval_in(held.out + held.err))
    assert done.code == 0, done
    assert not scene.bucket_exists()
    assert len(scene.files()) == COUNT


@pytest.mark.long
def test_status_names_the_holder_and_a_living_one_is_not_robbed(filled: Scene) -> None:
    _slow(filled)
    assert filled.s3plan("lock", "status").out.strip() == "No locks are held."
    with _busy(filled) as pid:
        shown = filled.s3plan("lock", "status")
        assert shown.code == 0
        assert shown.out.count(f"held by process {pid} on") == 3
        assert f"bucket {filled.bucket}: " in shown.out
        assert f"destination {filled.here}: " in shown.out
        assert f"run {filled.run().id}: " in shown.out
        lock = filled.here / ".s3plan" / "lock"
        ran = filled.s3plan("lock", "break", str(lock), "--approve")
        assert ran.code == 6
        assert "Ctrl-C" in ran.err
        assert lock.exists()
    assert filled.s3plan("lock", "status").out.strip() == "No locks are held."
    assert filled.s3plan("lock", "break", str(lock), "--approve").code == 64


@pytest.mark.disk
def test_breaking_asks_first(filled: Scene) -> None:
    ran = filled.s3plan("lock", "break", "some/lock")
    assert ran.code == 4
    assert "s3plan lock break some/lock --approve" in ran.err


# -- looked at again before every write -----------------------------------------------------------


def _gate_then(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]
) -> IncompleteError:
    """Delete two objects a page; after the first page ``act``; how that ended."""
    evidence = scene.apply_to_gate(OBJECTS_ONLY)
    delete_many = Bucket.delete_many
    sent: list[int] = []

    async def acting(self: Bucket, targets: Any) -> Any:
        sent.append(len(targets))
        result = await delete_many(self, targets)
        if len(sent) == 1:
            act()
        return result

    module = importlib.import_module("s3plan.engine.handlers.delete")
    with monkeypatch.context() as patch:
        patch.setattr(module, "IN_FLIGHT", 1)
        patch.setattr(Bucket.pages, "__defaults__", ("", "", 2))
        patch.setattr(Bucket, "delete_many", acting)
        with pytest.raises(IncompleteError) as caught:
            scene.apply(delete=evidence)
    assert caught.value.exit_code == 3
    assert COUNT - 4 <= len(scene.keys()) <= COUNT - 2, "no further page was deleted"
    assert "s3plan apply" in str(caught.value.next_step)
    return caught.value


def _finish(scene: Scene) -> None:
    """The same command goes on; the approval is in the journal."""
    assert scene.apply().exit_code == 0
    assert (scene.keys(), len(scene.files())) == ([], COUNT)


@pytest.mark.parametrize("which", [_long("bucket"), "destination", _long("run")])
def test_a_lock_that_is_broken_in_the_middle_stops_the_deletion(
    filled: Scene, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    def act() -> None:
        state = Path(filled.environ["XDG_STATE_HOME"]) / "s3plan" / "locks"
        {
            "bucket": next(iter(state.iterdir())) if state.exists() else Path(),
            "destination": filled.here / ".s3plan" / "lock",
            "run": filled.run().lock,
        }[which].unlink()

    error = _gate_then(filled, monkeypatch, act)
    assert "a lock of this run was broken" in error.what
    assert "s3plan lock status" in str(error.next_step)
    _finish(filled)


def test_a_run_folder_that_is_moved_in_the_middle_stops_the_deletion(
    filled: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = filled.directory / "away"

    def act() -> None:
        filled.run().folder.rename(away)

    error = _gate_then(filled, monkeypatch, act)
    assert "its directory moved" in error.what
    assert list((filled.directory / ".s3plan" / "runs").iterdir()) == []
    away.rename(filled.directory / (filled.directory / "journal.json").readlink().parent)
    _finish(filled)


def test_a_journal_that_somebody_else_writes_stops_the_deletion_and_stays_whole(
    filled: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[bytes] = []

    def act() -> None:
        journal = filled.run().journal
        copies.append(journal.read_bytes())
        with journal.open("ab") as file:
            file.write(b'{"seq":')

    error = _gate_then(filled, monkeypatch, act)
    assert "another process" in error.what
    found = filled.run().journal.read_bytes()
    assert found == copies[0] + b'{"seq":', "nothing was written behind a stranger's line"
    _finish(filled)


def test_a_lock_lost_while_files_come_stops_the_download(
    filled: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("s3plan.engine.handlers.download")
    filled.plan(COPY_ONLY)
    get = Bucket.get
    asked: list[str] = []

    async def acting(self: Bucket, key: str, **options: Any) -> Any:
        asked.append(key)
        if len(asked) == 1:
            filled.run().lock.unlink()
        return await get(self, key, **options)

    with monkeypatch.context() as patch:
        patch.setattr(module, "INTENT_RANGE", 2)
        patch.setattr(Bucket, "get", acting)
        with pytest.raises(IncompleteError, match="a lock of this run was broken"):
            filled.apply()
    assert len(asked) < COUNT
    assert filled.apply().exit_code == 0
    assert len(filled.files()) == COUNT


# -- the lock itself ------------------------------------------------------------------------------


def test_a_broken_lock_is_noticed_and_the_next_one_is_another(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    me = Holder("here", os.getpid(), "now", "journal")
    with hold(path, me) as lock:
        assert isinstance(lock, Lock)
        assert lock.is_held()
        path.unlink()
        assert not lock.is_held()
        with hold(path, me) as second:
            assert second.is_held()
            assert not lock.is_held()


@pytest.mark.long
@pytest.mark.parametrize("host", ["elsewhere", "here"])
def test_only_a_holder_that_cannot_be_reached_is_robbed(
    filled: Scene, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """A network filesystem may hold a lock for a machine that vanished."""
    filled.apply_to_gate()
    lock = filled.here / ".s3plan" / "lock"
    name = socket.gethostname() if host == "here" else host
    with hold(lock, Holder(name, os.getpid(), "2026-11-20T00:00:00.000Z", "j.json")) as held:
        if host == "here":
            with pytest.raises(LockedError, match="alive"):
                api.break_lock(str(lock))
            assert held.is_held()
            return
        (shown,) = api.locks()
        assert (shown.address, shown.is_alive) == (str(lock), None)
        with pytest.raises(LockedError, match="another run"):
            filled.apply()
        api.break_lock(str(lock))
        assert not held.is_held()
        assert filled.apply().exit_code == 4
    with pytest.raises(UsageError, match="nobody holds"):
        api.break_lock(str(lock))
    assert holder_of(lock) is None


def test_a_plan_that_is_not_there_has_no_leases(scene: Scene) -> None:
    assert lockstatus.plan_of_latest(scene.directory) is None


# -- runs -----------------------------------------------------------------------------------------


@pytest.mark.long
def test_runs_are_listed_and_one_is_given_up(filled: Scene) -> None:
    assert filled.s3plan("runs", "list").out.strip() == "No runs here."
    filled.apply_to_gate()
    run = filled.run()
    listed = filled.s3plan("runs", "list")
    assert f"{run.id}  apply held; {filled.bucket}; started 2" in listed.out
    assert "next: s3plan apply" in listed.out

    asked = filled.s3plan("runs", "abandon", run.id)
    assert asked.code == 4
    assert f"s3plan runs abandon {run.id} --approve" in asked.err
    given_up = filled.s3plan("runs", "abandon", run.id[:18], "--approve")
    assert given_up.code == 0, given_up
    assert f"{run.id}  apply abandoned" in filled.s3plan("runs", "list").out
    assert filled.s3plan("runs", "abandon", run.id, "--approve").code == 5
    assert filled.s3plan("runs", "abandon", "2020", "--approve").code == 1

    # The same plan begins a new run, which uses the files of the old one.
    assert filled.apply().exit_code == 4
    assert filled.run().id != run.id


def test_a_run_that_was_given_up_can_be_taken_back(filled: Scene) -> None:
    before = filled.objects()
    filled.apply_to_gate()
    api.abandon_run(filled.run().id, approver="tester")
    finished = filled.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert (filled.files(), filled.objects()) == ({}, before)


@pytest.mark.disk
def test_a_run_that_works_is_not_given_up(filled: Scene) -> None:
    _slow(filled)
    with _busy(filled) as pid:
        ran = filled.s3plan("runs", "abandon", filled.run().id, "--approve")
        assert ran.code == 6
        assert f"process {pid}" in ran.err
        assert f"running: {socket.gethostname()}, pid {pid}" in filled.s3plan("runs", "list").out
    assert filled.s3plan("runs", "abandon", filled.run().id, "--approve").code == 0


@pytest.mark.disk
def test_a_run_whose_rollback_has_begun_is_not_given_up(
    filled: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.apply_to_gate()
    process = filled.start("rollback", "journal.json", "--approve")
    while not filled.run().rollback_journal.exists() and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if filled.run().state().rolled_back is not None:
        pytest.skip("the rollback was quicker than the kill")
    with pytest.raises(StaleError, match="rollback"):
        api.abandon_run(filled.run().id, approver="tester")


@pytest.mark.disk
def test_a_journal_that_cannot_be_read_is_listed_with_the_reason(filled: Scene) -> None:
    filled.apply_to_gate()
    run = filled.run()
    lines = run.journal.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"', b"'", 1)
    run.journal.write_bytes(b"".join(lines))
    listed = filled.s3plan("runs", "list")
    assert listed.code == 0
    assert f"{run.id}  run unreadable" in listed.out
    assert "line 3 of the journal is damaged" in listed.out
    shutil.rmtree(run.folder)
    assert filled.s3plan("runs", "list").out.strip() == "No runs here."
