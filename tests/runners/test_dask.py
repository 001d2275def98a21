"""The same plan on this process and on two Dask workers: same end, same verdicts, same journal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.engine.journal import read_journal
from s3plan.model.events import RunFinished, RunnerReady
from s3plan.model.journal import Copied, ItemFailed
from s3plan.model.runners import RunnerName
from tests.crash.harness import fill, picture
from tests.engine.conftest import enter
from tests.engine.copying import plan_copies
from tests.engine.scene import COPY_ONLY, Scene, open_scene
from tests.runners.clusters import DaskCluster, dask_cluster
from tests.secrets.canaries import ACCESS_KEY, SECRET_KEY
from tests.servers import Server

PROJECT = """\
apiVersion: s3plan/v1
kind: Project
spec:
  dask: {{scheduler: "{scheduler}", workers: 2, partition: {partition}, trust: {trust}s}}
"""


@pytest.fixture(scope="module")
def scene(seaweed: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("runners")
    with open_scene(seaweed, directory) as made, pytest.MonkeyPatch.context() as patched:
        enter(made, patched)
        yield made


@pytest.fixture(scope="module")
def cluster(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path_factory.mktemp("dask"), scene.environ) as made:
        yield made


def settings(scene: Scene, cluster: DaskCluster, partition: int = 10, trust: int = 20) -> None:
    """Write the project file."""
    text = PROJECT.format(scheduler=cluster.address, partition=partition, trust=trust)
    (scene.directory / "s3plan.yaml").write_text(text)


def applied(scene: Scene, runner: RunnerName, plan: str = "plan.json") -> RunFinished:
    """Apply in this process, on that runner."""
    scene.events.clear()
    return api.apply(
        Path(plan),
        approval=api.Approval("tester"),
        observer=scene.events.append,
        runner=runner,
    )


def verdicts(scene: Scene, verb: str = "copy") -> tuple[bytes, bytes]:
    """The state of each item, and whether something stood at its place before, a byte each."""
    step = scene.step(verb)
    known = scene.run().state().step(step.id)
    total = step.totals.items
    return bytes(known.of(n) for n in range(total)), bytes(known.was_taken(n) for n in range(total))


def facts(scene: Scene) -> list[Any]:
    """What the journal says of each copy but when it was made, and of each problem."""
    found: list[Any] = []
    for _, record in read_journal(scene.run().journal):
        match record:
            case Copied():
                found += [(copy.n, copy.etag, copy.checksum, copy.md5) for copy in record.copies]
            case ItemFailed():
                found.append((record.n, record.key, record.outcome, record.reason))
            case _:
                pass
    return sorted(found, key=str)


def _into(folder: str) -> Any:
    return lambda key: f"{folder}/{key.partition('/')[2]}"


@pytest.mark.long
def test_copies_by_workers_end_as_copies_by_this_process(
    scene: Scene, cluster: DaskCluster
) -> None:
    """Issue 11, Show: two worker processes, same end state and same verdicts as local, with a new
    key that is in use, one that holds the same object already, and an object that has changed.
    """
    for number in range(50):
        scene.put(f"from/{number:03}", b"content %d" % number)
    states = {}
    runners: tuple[RunnerName, ...] = ("local", "dask")
    for runner in runners:
        folder = f"to-{runner}"
        scene.put(f"{folder}/007", b"a stranger's")
        scene.put(f"{folder}/008", b"content 8")
        plan_copies(scene, _into(folder), prefix="from/")
        scene.put("from/009", f"content {runner[0]}".encode())
        if runner == "dask":
            settings(scene, cluster)
        finished = applied(scene, runner)
        assert (finished.outcome, finished.drifted) == ("incomplete", 2), finished
        copies = {
            key.partition("/")[2]: stored
            for key, stored in scene.objects().items()
            if key.startswith(folder)
        }
        states[runner] = (copies, verdicts(scene), facts(scene))
    assert states["dask"] == states["local"]
    (ready,) = [event for event in scene.events if isinstance(event, RunnerReady)]
    assert ready.verbs == ("copy",)
    assert "verify-copies" in ready.here


@pytest.mark.dask
@pytest.mark.parametrize("shared", [True, False])
def test_downloads_by_workers_end_as_downloads_by_this_process(
    seaweed: Server,
    cluster: DaskCluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shared: bool,
) -> None:
    """Issue 11, 2: download only where the destination is declared shared; the same files, the same
    catalogue and the same verdicts. No parcel holds a key: workers find their own.
    """
    # Half a second to import, which only this test shall wait for.
    from s3plan.engine.runners.dask.cluster import Cluster, Worker

    parcels: list[bytes] = []
    run = Cluster._run

    async def seen(self: Cluster, worker: Worker, name: str, parcel: bytes, handout: Any) -> Any:
        parcels.append(parcel)
        return await run(self, worker, name, parcel, handout)

    monkeypatch.setattr(Cluster, "_run", seen)
    pictures: dict[str, Any] = {}
    readies: list[RunnerReady] = []
    runners: tuple[RunnerName, ...] = ("local", "dask")
    for runner in runners:
        (tmp_path / runner).mkdir()
        with open_scene(seaweed, tmp_path / runner) as scene:
            enter(scene, monkeypatch)
            fill(scene)
            settings(scene, cluster, 5)
            scene.manifest(COPY_ONLY)
            if shared:
                manifest = scene.directory / "manifest.yaml"
                told = manifest.read_text().replace("./here}", "./here, shared: true}")
                manifest.write_text(told)
            scene.plan()
            assert applied(scene, runner).outcome == "done", scene.problems()
            pictures[runner] = picture(scene)
            readies += [event for event in scene.events if isinstance(event, RunnerReady)]
    assert pictures["dask"] == pictures["local"]
    (ready,) = readies
    assert ready.verbs == (("download",) if shared else ())
    assert ("download" in ready.here, bool(parcels)) == (not shared, shared)
    for secret in (ACCESS_KEY, SECRET_KEY):
        assert not any(secret.encode() in parcel for parcel in parcels)
