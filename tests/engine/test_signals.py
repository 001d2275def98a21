"""Ctrl-C once drains, twice leaves at once; the same command goes on either way."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest

from s3plan.engine.journal import read_journal
from s3plan.engine.state import ItemState
from s3plan.model.journal import Receipts, RunEnded, SyncPoint
from tests.engine.scene import COPY_ONLY, Scene

COUNT = 40


def _wait_for_receipts(scene: Scene, process: subprocess.Popen[bytes], count: int) -> None:
    runs = scene.directory / ".s3plan" / "runs"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, "it ended before it could be interrupted"
        journals = [path for path in runs.glob("*/journal.json") if path.stat().st_size]
        records = [record for _, record in read_journal(journals[0])] if journals else []
        if sum(len(r.items) for r in records if isinstance(r, Receipts)) >= count:
            return
        time.sleep(0.01)
    raise AssertionError("no receipts")


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_drains_and_leaves_a_consistent_journal(scene: Scene, number: int) -> None:
    scene.fill(COUNT)
    scene.plan(COPY_ONLY, requests=COUNT)
    process = scene.start("apply", "--approve")
    _wait_for_receipts(scene, process, 5)
    process.send_signal(number)
    assert process.wait(20) == 130

    records = list(read_journal(scene.run().journal))
    assert isinstance(records[-1][1], RunEnded)
    assert records[-1][1].outcome == "interrupted"
    through = max(r.through for _, r in records if isinstance(r, SyncPoint))
    assert all(seq <= through for seq, r in records if isinstance(r, Receipts)), "all is durable"
    state = scene.run().state().step(scene.step("download").id)
    done = state.count(ItemState.VERIFIED)
    assert 5 <= done < COUNT
    assert len(scene.files()) == done, "what was begun was finished and received"

    scene.manifest(COPY_ONLY)
    assert scene.apply().exit_code == 0
    assert len(scene.files()) == COUNT
    assert not any(row.adopted for row, _ in scene.catalogue().values())


def test_a_second_signal_leaves_at_once(scene: Scene) -> None:
    scene.put("small.txt")
    scene.put("slow.bin", bytes(4 << 20))
    scene.plan(COPY_ONLY, bandwidth="500KiB")  # eight seconds
    process = scene.start("apply", "--approve")
    _wait_for_receipts(scene, process, 1)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None, "the first one waits for what is in flight"
    process.send_signal(signal.SIGINT)
    before = time.monotonic()
    assert process.wait(20) in (-signal.SIGINT, 130)
    assert time.monotonic() - before < 1

    scene.plan(COPY_ONLY)  # the same plan without the ceiling: limits are not in the digest
    assert scene.apply().exit_code == 0
    assert scene.files() == {"small.txt": b"data", "slow.bin": bytes(4 << 20)}
    assert not [p for p in scene.here.glob(".s3plan/tmp/*/*") if p.name != "lock"]


def test_a_second_apply_is_told_who_works_on_the_run(scene: Scene) -> None:
    scene.put("small.txt")
    scene.put("slow.bin", bytes(4 << 20))
    scene.plan(COPY_ONLY, bandwidth="500KiB")
    process = scene.start("apply", "--approve")
    try:
        _wait_for_receipts(scene, process, 1)
        second = scene.s3plan("apply", "--approve")
        assert second.code == 6
        assert f"process {process.pid} " in second.err
    finally:
        process.kill()
        process.wait(10)
