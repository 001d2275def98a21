"""Archived objects are asked for, waited for and downloaded as they become readable."""

from __future__ import annotations

from s3plan import api
from s3plan.model.events import Waiting
from tests.engine.scene import WHOLE
from tests.restore.conftest import Archive

RESTORE = "  restore: {days: 3, poll: 1}\n"


def _fill(archive: Archive, count: int = 6) -> dict[str, bytes]:
    wanted = {}
    for number in range(count):
        key = f"k{number}.bin"
        wanted[key] = f"content {number}".encode()
        archive.scene.put(key, wanted[key], StorageClass="GLACIER" if number % 2 else "STANDARD")
    return wanted


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

    archive.glacier.speed = 2 * 3600
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
