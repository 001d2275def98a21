"""Disks that fail in ways that no mount plays, or where tests may not mount: faults put into the
system calls of ``localfs``; and limits of the process itself.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s3plan.errors import S3PlanError
from s3plan.localfs import appendlog, kernel, partial, tree
from s3plan.localfs.renaming import Renamer
from s3plan.localfs.temporary import Temporary
from tests.engine.scene import OBJECTS_ONLY, WHOLE, Scene, approval_in

COUNT = 8

NUMBERS = {
    "No space left": errno.ENOSPC,
    "quota": errno.EDQUOT,
    "Read-only": errno.EROFS,
    "Permission denied": errno.EACCES,
    "Input/output": errno.EIO,
    "No such device": errno.ENODEV,
    "Stale file handle": errno.ESTALE,
    "Too many open files": errno.EMFILE,
}


def _long(value: Any) -> Any:
    """A variation for `make test-disk`."""
    return pytest.param(value, marks=pytest.mark.disk)


@pytest.fixture
def filled(scene: Scene) -> Scene:
    scene.fill(COUNT)
    return scene


class Fault:
    """Raises from the ``after``-th call on (or only there), of those that ``meant`` picks."""

    def __init__(self, number: int, after: int = 1, *, once: bool = False) -> None:
        self.number = number
        self.after = after
        self.once = once
        self.calls = 0

    def around(
        self, function: Callable[..., Any], meant: Callable[..., bool] = lambda *_: True
    ) -> Callable[..., Any]:
        def faulty(*arguments: Any, **options: Any) -> Any:
            if meant(*arguments):
                self.calls += 1
                if self.calls == self.after or (self.calls > self.after and not self.once):
                    raise OSError(self.number, os.strerror(self.number))
            return function(*arguments, **options)

        return faulty


def _named(text: str) -> Callable[..., bool]:
    """Whether a descriptor is of a file with ``text`` in its path."""
    return lambda descriptor, *_: text in str(Path(f"/proc/self/fd/{descriptor}").readlink())


def _ended(scene: Scene, **options: Any) -> tuple[int, str]:
    try:
        finished = scene.apply(**options)
    except S3PlanError as error:
        return error.exit_code, str(error)
    return finished.exit_code, f"{finished.message}; next: {finished.next_step}"


def _stopped(scene: Scene, **options: Any) -> str:
    """Stopped with exit 1 or 3, every object is there, and it says what to do."""
    code, said = _ended(scene, **options)
    assert code in (1, 3), said
    assert "next: " in said
    assert len(scene.keys()) == COUNT
    return said


def _goes_on(scene: Scene) -> None:
    held = scene.apply()
    assert held.exit_code == 4, (held, scene.problems())
    _, _, evidence = approval_in(str(held.next_step)).partition("@")
    assert scene.apply(delete=evidence).exit_code == 0
    assert scene.keys() == []
    assert sorted(scene.files().values()) == [f"content {n}".encode() for n in range(COUNT)]


# -- writing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [text if text == "Stale file handle" else _long(text) for text in NUMBERS]
)
def test_what_the_disk_refuses_in_the_middle_of_downloads(
    filled: Scene, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    filled.plan(WHOLE)
    fault = Fault(NUMBERS[text], after=4)
    with monkeypatch.context() as patch:
        patch.setattr(Temporary, "create", fault.around(Temporary.create))
        said = _stopped(filled)
    assert text in said
    assert len(filled.files()) <= 3
    _goes_on(filled)


@pytest.mark.disk
def test_half_a_file_gets_no_name(filled: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    write_all = partial.write_all

    def half(descriptor: int, data: Any) -> None:
        write_all(descriptor, bytes(data)[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    filled.plan(WHOLE)
    with monkeypatch.context() as patch:
        patch.setattr(tree, "write_all", half)
        # The marker is written this way too: nothing at all is begun.
        assert "make room" in _stopped(filled)
    assert not filled.copies.exists()
    _goes_on(filled)


@pytest.mark.long
@pytest.mark.parametrize("after", [_long(1), 2, _long(3)])
@pytest.mark.parametrize("where", ["/catalogue/", "journal.json"])
def test_a_log_that_is_torn_by_a_full_disk_goes_on_whole(
    filled: Scene, monkeypatch: pytest.MonkeyPatch, where: str, after: int
) -> None:
    """Half of a line reaches the disk; it must not stand in the middle of the log later."""
    write_all = partial.write_all
    calls: list[int] = []

    def torn(descriptor: int, data: bytes) -> None:
        if _named(where)(descriptor):
            calls.append(descriptor)
            if len(calls) == after:
                write_all(descriptor, data[: len(data) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_all(descriptor, data)

    filled.plan(WHOLE)
    with monkeypatch.context() as patch:
        patch.setattr(appendlog, "write_all", torn)
        code, said = _ended(filled)
        if len(calls) >= after:
            assert code in (1, 3), said
            assert "make room" in said
        else:
            assert code == 4, said
    _goes_on(filled)


def test_a_name_that_the_filesystem_finds_too_long(
    filled: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some take fewer than 255 bytes (ecryptfs: 143)."""
    filled.plan(WHOLE)
    fault = Fault(errno.ENAMETOOLONG, after=3)
    with monkeypatch.context() as patch:
        patch.setattr(Renamer, "rename", fault.around(Renamer.rename))
        assert "longer names" in _stopped(filled)
    _goes_on(filled)


@pytest.mark.long
def test_components_over_255_bytes_go_and_come_back(moto_scene: Scene) -> None:
    """On moto, which takes keys of 1024 bytes in one component."""
    scene = moto_scene
    keys = ["a" * 300, "ü" * 200, "d/" + "b" * 256 + "/c", "b" * 255, "x/" * 400 + "end"]
    for key in keys:
        scene.put(key, key.encode())
    before = scene.objects()
    evidence = scene.apply_to_gate(OBJECTS_ONLY)
    assert scene.apply(delete=evidence).exit_code == 0
    assert sorted(scene.files().values()) == sorted(key.encode() for key in keys)
    names = [part for path in scene.files() for part in path.split("/")]
    assert max(len(os.fsencode(name)) for name in names) <= 255
    finished = scene.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert scene.objects() == before


# -- making durable -----------------------------------------------------------------------------


@pytest.mark.parametrize("after", [_long(1), 2])
def test_a_syncfs_that_fails_makes_no_sync_point(
    filled: Scene, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    filled.plan(WHOLE)
    monkeypatch.setattr(kernel, "has_trustworthy_syncfs", lambda _: True)
    fault = Fault(errno.EIO, after, once=True)  # the kernel tells a write-back error once
    with monkeypatch.context() as patch:
        patch.setattr(kernel, "syncfs", fault.around(kernel.syncfs))
        said = _stopped(filled, ask=lambda _: True)
    assert "the disk reports errors" in said
    _goes_on(filled)


def test_an_fsync_of_a_file_that_fails_makes_no_sync_point(
    filled: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where syncfs is not to be trusted each file is synced."""
    filled.plan(WHOLE)
    monkeypatch.setattr(kernel, "has_trustworthy_syncfs", lambda _: False)
    fault = Fault(errno.EIO)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fault.around(os.fsync, _named(f"here/{filled.bucket}")))
        said = _stopped(filled, ask=lambda _: True)
    assert "the disk reports errors" in said
    _goes_on(filled)


@pytest.mark.parametrize("after", [_long(1), _long(2), 3, _long(4)])
def test_a_journal_that_cannot_be_made_durable_stops_every_request(
    filled: Scene, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """No object may be deleted whose intent may not survive."""
    evidence = filled.apply_to_gate(OBJECTS_ONLY)
    fault = Fault(errno.EIO, after)
    with monkeypatch.context() as patch:
        meant = _named("journal.json")
        patch.setattr(appendlog, "_data_sync", fault.around(appendlog._data_sync, meant))
        code, said = _ended(filled, delete=evidence)
    if fault.calls <= 3:  # resumed, the step begun, its intent: only then is a request sent
        assert len(filled.keys()) == COUNT
    assert code in (1, 3)
    assert "the disk reports errors" in said
    assert len(filled.files()) == COUNT
    assert filled.apply(delete=evidence).exit_code == 0
    assert filled.keys() == []


def test_evidence_that_cannot_be_made_durable_opens_no_gate(
    filled: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.plan(OBJECTS_ONLY)
    fault = Fault(errno.EIO)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fault.around(os.fsync, _named("/evidence/")))
        said = _stopped(filled, ask=lambda _: True)
    assert "the evidence cannot be written" in said
    _goes_on(filled)


def test_a_log_file_on_a_full_disk_stops_nothing_and_is_told(filled: Scene) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    filled.plan(OBJECTS_ONLY)
    ran = filled.s3plan("--log-file", "/dev/full", "apply", "--approve")
    assert ran.code == 4, ran
    assert "the log file is not complete: No space left on device" in ran.err
    assert len(filled.files()) == COUNT


# -- limits of the process ----------------------------------------------------------------------


def _limited(scene: Scene, soft: int, hard: int) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "s3plan", "apply", "--approve"],
        cwd=scene.directory,
        env=scene.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("limit", [_long(16), 30, _long(55)])
def test_too_few_file_descriptors_are_told_before_work_starts(filled: Scene, limit: int) -> None:
    filled.plan(OBJECTS_ONLY)
    code, said = _limited(filled, limit, limit)
    assert code == 1, said
    assert "ulimit -n" in said
    assert not filled.here.exists()
    _goes_on(filled)


@pytest.mark.disk
def test_the_limit_of_descriptors_is_raised_as_far_as_allowed(filled: Scene) -> None:
    filled.plan(OBJECTS_ONLY)
    code, said = _limited(filled, 16, 56)
    assert code == 4, said


# -- another user -------------------------------------------------------------------------------

NOBODY = 65534


def _obey_permissions() -> None:
    """Root without the right to pass over permissions (capabilities(7)) is like anybody else."""
    library = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        if library.prctl(24, capability, 0, 0, 0) != 0:  # PR_CAPBSET_DROP
            raise OSError(ctypes.get_errno(), "prctl")


def _as_anybody(scene: Scene, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "s3plan", *arguments],
        cwd=scene.directory,
        env=scene.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=_obey_permissions if os.geteuid() == 0 else None,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    "what", [_long("here"), "bucket", _long("catalogue"), "work", _long("state")]
)
def test_a_place_that_may_not_be_written(filled: Scene, what: str) -> None:
    filled.plan(WHOLE)
    place = {
        "here": filled.here,
        "bucket": filled.copies,
        "catalogue": filled.here / ".s3plan" / "catalogue",
        "work": filled.directory / ".s3plan",
        "state": filled.directory.parent / "home" / "state",
    }[what]
    place.mkdir(parents=True)
    place.chmod(0o555)
    if os.geteuid() == 0:
        os.chown(place, NOBODY, NOBODY)
    code, said = _as_anybody(filled, "apply", "--approve")
    assert code in (1, 3), said
    assert "ermission denied" in said or "no right to write" in said
    assert "next: " in said
    assert "internal" not in said
    assert len(filled.keys()) == COUNT
    if os.geteuid() == 0:
        os.chown(place, 0, 0)
    place.chmod(0o755)
    _goes_on(filled)
