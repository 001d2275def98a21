"""Archived objects are asked for, waited for and downloaded as they become readable."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import Any

import pytest

from s3plan import api
from s3plan.engine import each
from s3plan.model.events import Progressed, StepFinished, Waiting, Warned
from s3plan.model.journal import Restores
from tests.engine.scene import COPY_ONLY, OBJECTS_ONLY, WHOLE
from tests.faults.faults import refuse
from tests.faults.proxy import Rule
from tests.restore.conftest import Archive

RESTORE = "  restore: {days: 3, poll: 1}\n"
HOUR = 3600


def _fill(archive: Archive, count: int = 6) -> dict[str, bytes]:
    """Every second object is archived."""
    wanted = {}
    for number in range(count):
        key = f"k{number}.bin"
        wanted[key] = f"content {number}".encode()
        archive.scene.put(key, wanted[key], StorageClass="GLACIER" if number % 2 else "STANDARD")
    return wanted


def _stages(archive: Archive) -> list[tuple[str, tuple[int, ...]]]:
    return [(r.stage, r.items) for r in archive.scene.journal() if isinstance(r, Restores)]


def test_what_can_be_read_is_downloaded_while_the_rest_is_restored(archive: Archive) -> None:
    """A19, A49, A50."""
    wanted = _fill(archive)
    planned = archive.scene.plan(WHOLE + RESTORE).plan
    assert planned is not None
    verbs = [step.verb for step in planned.steps]
    assert verbs == ["restore", "download", "download", "verify", "delete", "delete-bucket"]
    restore, readable, restored, verify, *_ = planned.steps
    assert [item.key for item in planned.items(restore.id)] == ["k1.bin", "k3.bin", "k5.bin"]
    assert [item.key for item in planned.items(readable.id)] == ["k0.bin", "k2.bin", "k4.bin"]
    assert (restored.worklist, restored.needs[0].mode) == (restore.id, "each")
    assert {need.step for need in verify.needs} == {readable.id, restored.id}

    archive.glacier.speed = 2 * HOUR
    finished = archive.scene.apply()
    assert finished.exit_code == 4, (finished.message, archive.scene.problems())
    assert archive.scene.files() == wanted
    assert sorted(archive.glacier.asked) == [
        (f"k{number}.bin", "Standard", 3) for number in (1, 3, 5)
    ]
    assert any(isinstance(event, Waiting) for event in archive.scene.events)
    evidence = archive.scene.gate().evidence
    assert archive.scene.apply(delete=evidence).exit_code == 0
    assert api.status().phase == "complete"


def _readable_first(archive: Archive) -> list[str]:
    return [e.verb for e in archive.scene.events if isinstance(e, StepFinished)]


@pytest.mark.long
def test_downloads_start_as_objects_become_ready(archive: Archive) -> None:
    """E25: nobody waits for all of them, and each object is asked for once."""
    wanted = _fill(archive, 8)
    archive.scene.plan(COPY_ONLY + RESTORE)
    slow = "k7.bin"
    restored: list[str] = []

    def clock() -> None:
        """The last one takes until all others are downloaded."""
        copy = archive.glacier.copies.get(slow)
        if copy is not None:
            done = len(archive.scene.files()) if archive.scene.copies.exists() else 0
            restored.append(f"{done}")
            copy.ready = archive.glacier.now + (HOUR if done < 7 else -1)

    archive.glacier.on_look = clock
    archive.glacier.speed = 4 * HOUR
    finished = archive.scene.apply()
    assert finished.exit_code == 0, finished.message
    assert archive.scene.files() == wanted
    assert "7" in restored, "the others were downloaded while the last was not ready"
    assert sorted(key for key, *_ in archive.glacier.asked) == [f"k{n}.bin" for n in (1, 3, 5, 7)]
    assert _readable_first(archive)[0] == "download"
    assert next(stage for stage, _ in _stages(archive)) == "requested"


def test_a_stopped_wait_goes_on_and_asks_for_nothing_twice(archive: Archive) -> None:
    """Ctrl-C while waiting stops at once and says how to go on; so does kill -9 (A2, A14, A52)."""
    wanted = _fill(archive)
    archive.scene.plan(OBJECTS_ONLY + "  restore: {days: 3, poll: 600}\n")
    log = archive.scene.directory / "said"
    for number in (signal.SIGINT, signal.SIGKILL, signal.SIGTERM):
        with log.open("wb") as output:
            process = archive.scene.start("apply", "--approve", output=output)
            try:
                _until(lambda: b"waiting for 3 objects" in log.read_bytes(), process)
                _until(lambda: len(archive.scene.files()) == 3, process)  # what could be read
                began = time.monotonic()
                process.send_signal(number)
                code = process.wait(20)
            finally:
                process.kill()
                process.wait()
        said = log.read_text()
        assert "next look in 10 min" in said
        assert time.monotonic() - began < 10
        if number != signal.SIGKILL:
            assert code == 130, said
            assert "S3 goes on restoring 3 objects" in said
            assert "next: s3plan apply --approve sha256:" in said
        standing = api.status()
        assert (standing.phase, standing.buckets[0].state) == ("glacier_wait", "restoring")
        counts = next(s.counts for s in standing.buckets[0].steps if s.verb == "restore")
        assert counts.restoring == 3
    asked = len(archive.glacier.asked)
    assert asked == 3, "asked for by the first session, and by no other"
    archive.glacier.later(6)
    assert archive.scene.apply().exit_code == 4
    assert archive.scene.files() == wanted
    assert len(archive.glacier.asked) == asked


def _until(reached: Any, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 40
    while not reached():
        assert process.poll() is None, process.returncode
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.long
def test_a_listing_that_does_not_tell_is_followed_by_heads(archive: Archive) -> None:
    wanted = {f"k{n:03}": b"x" for n in range(60)}
    for key, body in wanted.items():
        archive.scene.put(key, body, StorageClass="GLACIER")
    archive.glacier.lists = False
    archive.glacier.speed = 4 * HOUR
    archive.scene.plan(COPY_ONLY + RESTORE)
    archive.proxy.asked.clear()
    assert archive.scene.apply().exit_code == 0
    assert archive.scene.files() == wanted
    assert len(archive.glacier.asked) == 60
    assert len(archive.asked("HEAD")) >= 60


@pytest.mark.long
def test_a_listing_that_tells_is_followed_by_none(archive: Archive) -> None:
    """A20 (E30)."""
    wanted = {f"k{n:03}": b"x" for n in range(60)}
    for key, body in wanted.items():
        archive.scene.put(key, body, StorageClass="GLACIER")
    archive.glacier.speed = 4 * HOUR
    archive.scene.plan(COPY_ONLY + RESTORE)
    archive.proxy.asked.clear()
    assert archive.scene.apply().exit_code == 0
    assert archive.scene.files() == wanted
    assert archive.asked("HEAD") == []
    looks = [a for a in archive.asked("GET", "list-type") if _asks_for_restores(a.headers)]
    assert len(looks) >= 2


def _asks_for_restores(headers: dict[str, str]) -> bool:
    return headers.get("x-amz-optional-object-attributes") == "RestoreStatus"


@pytest.mark.long
def test_what_somebody_restores_already_is_only_waited_for(archive: Archive) -> None:
    """A71: RestoreAlreadyInProgress is fine, and a copy that is there is used."""
    wanted = _fill(archive)
    archive.glacier.classes = {key: "GLACIER" for key in wanted if int(key[1]) % 2}
    archive.glacier.begin("k1.bin", hours=-1, days=3)
    archive.glacier.begin("k3.bin", hours=5, days=3)
    archive.scene.plan(COPY_ONLY + RESTORE)
    # Between the look and the request somebody else asks.
    archive.glacier.before_restore = lambda key: archive.glacier.begin(key, hours=5, days=3)
    archive.glacier.speed = 4 * HOUR
    assert archive.scene.apply().exit_code == 0
    assert archive.scene.files() == wanted
    assert [key for key, *_ in archive.glacier.asked] == ["k5.bin"]


@pytest.mark.long
def test_a_copy_that_expires_before_its_download_is_asked_for_again(archive: Archive) -> None:
    """E25: it is gone between "ready" and the GET."""
    wanted = _fill(archive, 2)
    archive.scene.plan(COPY_ONLY + RESTORE)
    archive.glacier.speed = 6 * HOUR
    lost: list[str] = []

    async def gone(exchange: Any) -> None:
        lost.append(exchange.asked.key)
        archive.glacier.copies.pop(exchange.asked.key)
        await refuse(403, "InvalidObjectState")(exchange)

    archive.proxy.rules.insert(
        0, Rule("gone", gone, method="GET", key="k1.bin", query="-", times=1)
    )
    finished = archive.scene.apply()
    assert finished.exit_code == 0, finished.message
    assert lost == ["k1.bin"]
    assert archive.scene.files() == wanted
    assert [key for key, *_ in archive.glacier.asked] == ["k1.bin", "k1.bin"]


def test_an_object_that_is_never_readable_is_given_up(archive: Archive) -> None:
    """An endpoint that says "ready" and refuses the GET would cost money for ever."""
    _fill(archive, 2)
    archive.scene.plan(COPY_ONLY + RESTORE)
    archive.glacier.speed = 30 * HOUR
    archive.proxy.rules.insert(
        0, Rule("never", refuse(403, "InvalidObjectState"), method="GET", key="k1.bin", query="-")
    )
    finished = archive.scene.apply()
    assert (finished.outcome, finished.failed) == ("incomplete", 1)
    assert "archived" in archive.scene.problems()[-1].message
    assert len(archive.glacier.asked) <= each.TRIES


def test_a_copy_about_to_expire_is_extended(archive: Archive) -> None:
    """E25: the copy that is there lasts for less than its download may take."""
    wanted = _fill(archive, 2)
    archive.glacier.classes = {"k1.bin": "GLACIER"}
    archive.glacier.begin("k1.bin", hours=-1, days=0.06)
    archive.scene.plan(COPY_ONLY + RESTORE)
    assert archive.scene.apply().exit_code == 0
    assert archive.scene.files() == wanted
    assert archive.glacier.asked == [("k1.bin", "Standard", 3)]
    assert archive.glacier.copies["k1.bin"].expires > time.time() + 2 * 86_400


@pytest.mark.long
def test_no_capacity_for_expedited_is_a_downgrade_that_is_told(archive: Archive) -> None:
    _fill(archive)
    archive.glacier.capacity = False
    archive.glacier.speed = 4 * HOUR
    archive.scene.plan(COPY_ONLY + "  restore: {days: 3, poll: 1, tier: Expedited}\n")
    assert archive.scene.apply().exit_code == 0
    told = [e.message for e in archive.scene.events if isinstance(e, Warned)]
    assert len([text for text in told if "no capacity for Expedited" in text]) == 1
    tiers = {key: tier for key, tier, _ in archive.glacier.asked}
    assert set(tiers.values()) == {"Standard"}


@pytest.mark.long
def test_archive_tiers_of_intelligent_tiering(archive: Archive) -> None:
    """A50 (E26): found by HEAD, asked for without days, and read once HEAD says so."""
    for key in ("cold.bin", "hot.bin"):
        archive.scene.put(key, key.encode())
    archive.glacier.classes = dict.fromkeys(("cold.bin", "hot.bin"), "INTELLIGENT_TIERING")
    archive.glacier.tiered = {"cold.bin": "ARCHIVE_ACCESS"}
    archive.glacier.speed = 4 * HOUR
    planned = archive.scene.plan(COPY_ONLY + RESTORE).plan
    assert planned is not None
    assert [item.key for item in planned.items(planned.steps[0].id)] == ["cold.bin"]
    assert archive.scene.apply().exit_code == 0
    assert archive.scene.files() == {key: key.encode() for key in ("cold.bin", "hot.bin")}
    assert archive.glacier.asked == [("cold.bin", "Standard", None)]


def test_files_that_are_here_are_compared_and_never_restored(archive: Archive) -> None:
    wanted = _fill(archive)
    archive.scene.copies.mkdir(parents=True)
    for key in ("k1.bin", "k3.bin"):
        (archive.scene.copies / key).write_bytes(wanted[key])
    archive.scene.plan(OBJECTS_ONLY + RESTORE)
    archive.glacier.speed = 6 * HOUR
    assert archive.scene.apply().exit_code == 4
    assert archive.scene.files() == wanted
    assert [key for key, *_ in archive.glacier.asked] == ["k5.bin"]
    assert api.status().buckets[0].synced


def test_what_changed_since_the_plan_is_not_paid_for(archive: Archive) -> None:
    wanted = _fill(archive)
    archive.scene.plan(COPY_ONLY + RESTORE)
    archive.scene.put("k1.bin", b"another", StorageClass="GLACIER")
    archive.scene.delete("k3.bin")
    archive.glacier.speed = 6 * HOUR
    finished = archive.scene.apply()
    assert (finished.outcome, finished.drifted) == ("incomplete", 2)
    assert [key for key, *_ in archive.glacier.asked] == ["k5.bin"]
    assert archive.scene.files() == {
        k: v for k, v in wanted.items() if k not in ("k1.bin", "k3.bin")
    }


@pytest.mark.long
def test_a_wait_outlives_an_endpoint_that_is_away(archive: Archive) -> None:
    wanted = _fill(archive)
    archive.scene.plan(COPY_ONLY + RESTORE)
    archive.glacier.speed = 2 * HOUR
    away = Rule("away", refuse(500, "InternalError"), method="HEAD", times=12, skip=3)
    archive.proxy.rules.insert(0, away)
    finished = archive.scene.apply()
    assert finished.exit_code == 0, finished.message
    assert archive.scene.files() == wanted
    told = [e.message for e in archive.scene.events if isinstance(e, Warned)]
    assert any("looking again later" in text for text in told)


@pytest.mark.long
def test_a_refused_restore_leaves_the_rest_alone(archive: Archive) -> None:
    wanted = _fill(archive)
    archive.scene.plan(WHOLE + RESTORE)
    archive.glacier.speed = 6 * HOUR
    archive.proxy.rules.insert(
        0, Rule("denied", refuse(403, "AccessDenied"), method="POST", key="k3.bin")
    )
    finished = archive.scene.apply()
    assert (finished.outcome, finished.failed, finished.exit_code) == ("incomplete", 1, 3)
    assert "s3:RestoreObject" in archive.scene.problems()[0].message
    assert archive.scene.files() == {k: v for k, v in wanted.items() if k != "k3.bin"}
    assert len(archive.scene.keys()) == 6, "the gate stays shut"
    archive.glacier.play(archive.proxy)
    assert archive.scene.apply().exit_code == 4
    assert archive.scene.files() == wanted


@pytest.mark.long
def test_a_rollback_takes_back_both_downloads(archive: Archive) -> None:
    _fill(archive)
    archive.scene.plan(WHOLE + RESTORE)
    archive.glacier.speed = 6 * HOUR
    archive.scene.apply()
    before = archive.scene.keys()
    assert archive.scene.apply(delete=archive.scene.gate().evidence).exit_code == 0
    finished = archive.scene.rollback()
    assert finished is not None
    assert finished.exit_code == 0, finished.message
    assert archive.scene.keys() == before
    assert archive.scene.files() == {}
    classes = {
        entry["Key"]: entry.get("StorageClass", "STANDARD")
        for entry in archive.scene.s3.list_objects_v2(Bucket=archive.scene.bucket)["Contents"]
    }
    assert classes["k1.bin"] == "GLACIER"


def test_ready_objects_count_once(archive: Archive) -> None:
    _fill(archive)
    archive.scene.plan(COPY_ONLY + RESTORE)
    archive.glacier.speed = 6 * HOUR
    finished = archive.scene.apply()
    restore = archive.scene.step("restore")
    counted = sum(
        e.items for e in archive.scene.events if isinstance(e, Progressed) and e.step == restore.id
    )
    assert (counted, finished.verbs["restore"].items) == (3, 3)
