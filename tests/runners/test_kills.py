"""Worker, scheduler and coordinator killed in turn, ten times each, in the middle of a copy step;
and a few times in the middle of a deletion.

Each time the run ends, or the same command ends it, with the copies and the verdicts of a run that
nobody disturbed, and nothing is done for it any more once its process says that it is over.
"""

from __future__ import annotations

import hashlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from s3plan.engine.journal import read_journal
from s3plan.engine.state import ItemState
from s3plan.errors import JournalError
from s3plan.model.journal import Intent, Receipts
from tests.engine.copying import plan_copies
from tests.engine.scene import OBJECTS_ONLY, Scene, approval_in, open_scene
from tests.runners.clusters import DaskCluster, dask_cluster
from tests.runners.test_dask import settings
from tests.servers import Server

pytestmark = [pytest.mark.dask, pytest.mark.timeout(900)]

COUNT = 60
PARTITION = 10
KILLS = 10

TRUST = 15
"""Seconds: on a busy machine a request may take some."""

LIMIT = 500.0
"""Seconds that one run may take on a machine that does other things as well."""

APPLY = ("apply", "--approve", "--runner", "dask")


class Killing:
    """One bucket whose objects are copied again and again, each time to a folder of their own."""

    verb = "copy"
    command: tuple[str, ...] = APPLY

    def __init__(self, scene: Scene, cluster: DaskCluster) -> None:
        self.scene = scene
        self.cluster = cluster
        self.fill()

    def fill(self) -> None:
        """Once."""
        for number in range(COUNT):
            self.scene.put(f"from/{number:03}", b"content %d" % number)

    def plan(self, name: str) -> None:
        """Each time."""
        plan_copies(self.scene, lambda key: f"{name}/{key[5:]}", prefix="from/")

    def run(self, name: str, kill: Callable[[subprocess.Popen[bytes]], None], after: int) -> int:
        """Apply a new plan, and ``kill`` once it has begun and ``after`` items are told; how the
        command ended.
        """
        settings(self.scene, self.cluster, PARTITION, TRUST)
        known = set(self.scene.directory.glob(".s3plan/runs/*"))
        self.plan(name)
        process = self.apply()
        deadline = time.monotonic() + LIMIT
        while not self.has_told(known, after):
            assert process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.02)
        kill(process)
        return process.wait(LIMIT)

    def apply(self) -> subprocess.Popen[bytes]:
        """The command, begun."""
        with (self.scene.directory / "apply.log").open("wb") as log:
            return self.scene.start(*self.command, output=log)

    def has_told(self, known: set[Path], after: int) -> bool:
        """Whether the journal of the new run has an intent of the step, and receipts of so many
        items.
        """
        new = set(self.scene.directory.glob(".s3plan/runs/*")) - known
        try:
            records = [one for run in new for _, one in read_journal(run / "journal.json")]
        except JournalError:
            return False  # not made yet
        mine = [
            one
            for one in records
            if isinstance(one, Intent | Receipts) and one.step.startswith(f"{self.verb}-")
        ]
        told = sum(len(record.items) for record in mine if isinstance(record, Receipts))
        return told >= after and any(isinstance(record, Intent) for record in mine)

    def check(self, name: str) -> None:
        """All is as without a kill."""
        step = self.scene.step("copy")
        known = self.scene.run().state().step(step.id)
        assert known.count(ItemState.VERIFIED) == COUNT, self.said()
        assert not any(known.was_taken(n) for n in range(COUNT)), "its own copies are a stranger's"
        pages = self.scene.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.scene.bucket, Prefix=f"{name}/"
        )
        copies = {entry["Key"]: entry["ETag"] for page in pages for entry in page["Contents"]}
        assert copies == {
            f"{name}/{n:03}": f'"{hashlib.md5(b"content %d" % n).hexdigest()}"'
            for n in range(COUNT)
        }

    def said(self) -> str:
        """What was printed."""
        return (self.scene.directory / "apply.log").read_text() + self.cluster.said()


class Deleting(Killing):
    """Objects that were downloaded and verified, and go once more each time."""

    verb = "delete"

    def fill(self) -> None:
        """Nothing stays."""

    def plan(self, name: str) -> None:
        """Up to the gate, in a process of its own."""
        for number in range(COUNT):
            self.scene.put(f"{name}/{number:03}", b"content %d" % number)
        self.scene.manifest(OBJECTS_ONLY)
        planned = self.scene.s3plan("plan", "manifest.yaml")
        assert planned.code == 0, planned.err
        ran = self.scene.s3plan("apply", "--approve")
        assert ran.code == 4, ran.err
        self.command = (*APPLY, "--approve-delete", approval_in(ran.out + ran.err))

    def check(self, name: str) -> None:
        """All is gone, and here."""
        step = self.scene.step("delete")
        assert self.scene.run().state().step(step.id).count(ItemState.DONE) == COUNT, self.said()
        assert self.scene.keys() == []
        mine = {path: body for path, body in self.scene.files().items() if path.startswith(name)}
        assert mine == {f"{name}/{n:03}": b"content %d" % n for n in range(COUNT)}


@pytest.fixture(scope="module")
def cluster(seaweed: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with (
        open_scene(seaweed, tmp_path_factory.mktemp("environ")) as scene,
        dask_cluster(tmp_path_factory.mktemp("dask"), scene.environ) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def deleting(
    seaweed: Server, cluster: DaskCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deleting]:
    with open_scene(seaweed, tmp_path_factory.mktemp("deleting")) as scene:
        yield Deleting(scene, cluster)


@pytest.fixture(scope="module")
def killing(
    seaweed: Server, cluster: DaskCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Killing]:
    with open_scene(seaweed, tmp_path_factory.mktemp("killing")) as scene:
        yield Killing(scene, cluster)


def _after(kill: int) -> int:
    """How many items are told before a kill: from none to nearly all."""
    return kill * (COUNT - 2 * PARTITION) // KILLS


Kill = Callable[[Killing, str, int], None]


def worker(killing: Killing, name: str, after: int) -> None:
    """What a worker had when it was killed is looked at by another."""

    def kill(process: subprocess.Popen[bytes]) -> None:
        killing.cluster.kill_worker()
        killing.cluster.add_worker()

    assert killing.run(name, kill, after) == 0, killing.said()


def coordinator(killing: Killing, name: str, after: int) -> None:
    """The next process waits until the workers of the killed one write no more."""

    def kill(process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGKILL)

    assert killing.run(name, kill, after) == -signal.SIGKILL
    assert killing.apply().wait(LIMIT) == 0, killing.said()
    assert f"its workers may go on for {TRUST} s" in killing.said()


def scheduler(killing: Killing, name: str, after: int) -> None:
    """The run is held, exit 4, and nobody goes on for it; then the same command with another."""

    def kill(process: subprocess.Popen[bytes]) -> None:
        killing.cluster.kill_scheduler()

    code = killing.run(name, kill, after)
    assert (code, "scheduler cannot be reached" in killing.said()) == (4, True), killing.said()
    there = killing.scene.keys()
    killing.cluster.end_workers()
    assert killing.scene.keys() == there
    killing.cluster.start()
    assert killing.apply().wait(LIMIT) == 0, killing.said()


@pytest.mark.parametrize("what", [worker, coordinator, scheduler])
@pytest.mark.parametrize("kill", range(KILLS))
def test_killed_at_any_time_the_run_ends_as_without_it(
    killing: Killing, kill: int, what: Kill
) -> None:
    """Issue 11, Show: worker, scheduler and coordinator killed in turn, ten times each; from before
    the first item is told until nearly all are.
    """
    name = f"{what.__name__}-{kill}"
    what(killing, name, _after(kill))
    killing.check(name)


@pytest.mark.parametrize("what", [worker, coordinator, scheduler])
@pytest.mark.parametrize("kill", [0, KILLS // 2])
def test_killed_while_verified_objects_are_deleted_the_run_ends_as_without_it(
    deleting: Deleting, kill: int, what: Kill
) -> None:
    """Issue 11, 2: what a worker had under way is looked at before anybody deletes more."""
    name = f"{what.__name__}-{kill}"
    what(deleting, name, _after(kill))
    deleting.check(name)
