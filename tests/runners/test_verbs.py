"""What workers do of each verb: the same end, and the same verdicts, as in this process.

The workers are threads of this process; `test_dask` has two verbs on processes of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.engine.runners.dask.parcels import Partition
from s3plan.model.events import RunFinished, RunnerReady
from s3plan.model.journal import Copied, ItemFailed, Receipts
from s3plan.model.runners import RunnerName
from tests.crash.harness import fill
from tests.engine.conftest import enter, moto_scene
from tests.engine.scene import COPY_ONLY, OBJECTS_ONLY, Scene, open_scene
from tests.faults.proxy import proxy_to
from tests.layout import moving
from tests.restore import test_archive_restore as unpacking
from tests.restore.glacier import Glacier
from tests.runners.inline import Inline, Lose, inline_workers
from tests.servers import Server
from tests.sessions import test_tagging as tagging
from tests.sessions.test_archiving import library, plan
from tests.soak.soaking import Soaking, sources

__all__ = ["moto_scene"]  # a fixture

LOST = ("before", "half", "after")

RUNNERS: tuple[RunnerName, ...] = ("local", "dask")


def apply(scene: Scene, runner: RunnerName, delete: str | None = None) -> RunFinished:
    """``s3plan apply --approve --runner NAME``."""
    scene.events.clear()
    approval = api.Approval("tester", deletes={scene.bucket: delete} if delete else {})
    return api.apply(
        Path("plan.json"), approval=approval, observer=scene.events.append, runner=runner
    )


def rollback(scene: Scene, runner: RunnerName) -> RunFinished | None:
    """``s3plan rollback journal.json --approve --runner NAME``."""
    scene.events.clear()
    return api.rollback(
        Path("journal.json"),
        approval=api.Approval("tester"),
        observer=scene.events.append,
        runner=runner,
    )


def carried(scene: Scene) -> set[str]:
    """The verbs that workers had in the last command."""
    return {verb for e in scene.events if isinstance(e, RunnerReady) for verb in e.verbs}


def verdicts(scene: Scene) -> dict[str, bytes]:
    """A byte an item, by verb."""
    state = scene.run().state()
    return {
        step.verb: bytes(state.step(step.id).of(n) for n in range(step.totals.items))
        for step in api.show(scene.run().plan).steps
    }


def told(scene: Scene) -> list[Any]:
    """What the journal says of items but for times, order, and ids that S3 gives."""
    found: list[Any] = []
    for record in scene.journal():
        match record:
            case Receipts():
                verb = record.step.rpartition("-")[0]
                found += [(verb, n, record.outcome) for n in record.items]
            case Copied():
                verb = record.step.rpartition("-")[0]
                found += [(verb, c.n, c.etag, c.checksum) for c in record.copies]
            case ItemFailed():
                found.append((record.n, record.key, record.outcome, record.reason))
            case _:
                pass
    return sorted(found, key=str)


def _never(part: Partition, before: int) -> str:
    return ""


def _first(verb: str, how: str) -> Lose:
    """The first partition of a verb is lost, after its look."""
    lost: list[str] = []

    def lose(part: Partition, before: int) -> str:
        if part.step.verb != verb or part.look or lost:
            return ""
        lost.append(part.name)
        return how

    return lose


class Ends:
    """The same thing done by each runner, in a scene of its own, and what came of it."""

    def __init__(
        self, server: Server, directory: Path, monkeypatch: pytest.MonkeyPatch, lose: Lose = _never
    ) -> None:
        self.server = server
        self.directory = directory
        self.monkeypatch = monkeypatch
        self.lose = lose
        self.carried: set[str] = set()

    def of(self, act: Callable[[Scene, RunnerName], Any]) -> list[Any]:
        """What ``act`` says, by this process and by workers."""
        found = []
        for runner in RUNNERS:
            (self.directory / runner).mkdir()
            with (
                open_scene(self.server, self.directory / runner) as scene,
                inline_workers(self.lose),
            ):
                enter(scene, self.monkeypatch)
                found.append(act(scene, runner))
                self.carried |= carried(scene)
        return found


@pytest.fixture
def ends(seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ends:
    return Ends(seaweed, tmp_path, monkeypatch)


@pytest.mark.parametrize("how", ["", *(pytest.param(h, marks=pytest.mark.dask) for h in LOST)])
def test_verified_objects_are_deleted_by_workers(ends: Ends, how: str) -> None:
    """Issue 11, 2: delete. Whatever is lost of a worker, each object goes once, and is told so."""
    ends.lose = _first("delete", how)

    def act(scene: Scene, runner: RunnerName) -> Any:
        scene.fill(20)
        evidence = scene.apply_to_gate(OBJECTS_ONLY)
        finished = apply(scene, runner, evidence)
        assert finished.outcome == "done", scene.problems()
        return scene.keys(), scene.files(), verdicts(scene)

    local, workers = ends.of(act)
    assert workers == local
    assert local[0] == []
    assert ends.carried == {"delete"}


@pytest.mark.parametrize(
    "how", [pytest.param("", marks=pytest.mark.long), pytest.param("half", marks=pytest.mark.dask)]
)
def test_what_was_deleted_is_put_back_by_workers(ends: Ends, how: str) -> None:
    """Issue 11, 2: upload from a shared destination, each as the catalogue has it; what somebody
    put there meanwhile is left alone.
    """
    ends.lose = _first("upload", how)

    def act(scene: Scene, runner: RunnerName) -> Any:
        fill(scene)
        before = scene.objects()
        scene.manifest(OBJECTS_ONLY)
        manifest = scene.directory / "manifest.yaml"
        manifest.write_text(manifest.read_text().replace("./here}", "./here, shared: true}"))
        scene.plan()
        scene.apply()
        assert scene.apply(delete=scene.gate().evidence).outcome == "done", scene.problems()
        stranger = min(before)
        scene.put(stranger, b"a stranger's")
        back = rollback(scene, runner)
        assert back is not None
        after = scene.objects()
        assert after.pop(stranger).body == b"a stranger's"
        before.pop(stranger)
        return back.exit_code, after == before, len(scene.files())

    local, workers = ends.of(act)
    assert workers == local
    assert local[1:] == (True, 1)
    assert ends.carried == {"upload"}


def test_nothing_goes_whose_copy_changed_since_a_worker_was_lost(ends: Ends) -> None:
    """Invariant 1: local copies are looked at by this process, again each time before somebody is
    told to delete.
    """
    changed: list[str] = []
    seen: list[Path] = []

    def lose(part: Partition, before: int) -> str:
        if part.step.verb != "delete" or changed:
            return ""
        item = part.items[0]
        changed.append(item.key)
        seen[0].joinpath(item.path).write_bytes(b"not what was verified")
        return "before"

    def act(scene: Scene, runner: RunnerName) -> Any:
        scene.fill(9)
        evidence = scene.apply_to_gate(OBJECTS_ONLY)
        seen[:] = [scene.here]
        finished = apply(scene, runner, evidence)
        return finished.exit_code, scene.keys(), [p.reason for p in scene.problems()]

    ends.lose = lose
    _, workers = ends.of(act)
    assert workers == (3, changed, ["copy-changed"])


def test_nothing_is_deleted_on_a_look_that_is_too_old(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 1: what a worker is told goes for as long as it is trusted, and no longer."""
    parts: list[Partition] = []

    def lose(part: Partition, before: int) -> str:
        parts.append(part)
        return ""

    monkeypatch.setattr(Inline, "young", -1.0)

    def act(scene: Scene, runner: RunnerName) -> Any:
        scene.fill(3)
        finished = apply(scene, runner, scene.apply_to_gate(OBJECTS_ONLY))
        return finished.outcome, len(scene.keys())

    ends.lose = lose
    assert ends.of(act) == [("done", 0), ("incomplete", 3)]
    assert len(parts) == 3


@pytest.mark.parametrize(
    "verb",
    [
        pytest.param("", marks=pytest.mark.long),
        *(pytest.param(verb, marks=pytest.mark.dask) for verb in ("stage", "swap")),
    ],
)
def test_layouts_are_staged_verified_swapped_and_swapped_back_by_workers(
    ends: Ends, verb: str
) -> None:
    """Issue 11, 2: items flow from verb to verb; one that changed drifts as it does here, and the
    rollback takes back as much.
    """
    ends.lose = _first(verb, "half")

    def act(scene: Scene, runner: RunnerName) -> Any:
        moving.fill(scene, 12)
        moving.knows(scene, *moving.ATOMIC)
        before = moving.look(scene).objects
        moving.plan(scene)
        scene.put(f"{moving.PREFIX}d1/object-0001.txt", b"changed since")
        finished = apply(scene, runner)
        now = moving.look(scene)
        shadows = sorted(stored.body for stored in now.shadows.values())
        ended = (finished.outcome, finished.drifted, now.objects, shadows, verdicts(scene))
        assert carried(scene) == ({"stage", "verify-staged", "swap"} if runner == "dask" else set())
        facts = [one for one in told(scene) if one[0] != "swap"]
        back = rollback(scene, runner)
        assert back is not None
        after = moving.look(scene).objects
        assert after.keys() == before.keys()
        return *ended, facts, back.outcome, after

    local, workers = ends.of(act)
    assert workers == local
    assert ends.carried == {"swap-back"}


@pytest.mark.parametrize(
    "how", [pytest.param("", marks=pytest.mark.long), pytest.param("half", marks=pytest.mark.dask)]
)
def test_sources_go_and_copies_go_by_workers(ends: Ends, how: str) -> None:
    """Issue 11, 2: delete-source by evidence and by what earlier journals say; taken back by copies
    and, of the first run, by remove-copy.
    """
    ends.lose = _first("delete-source", how)

    def act(scene: Scene, runner: RunnerName) -> Any:
        soaking = Soaking(scene)
        soaking.fill()
        before = scene.objects()
        soaking.migrate()
        soaking.soak()
        soaking.apply()
        finished = apply(scene, runner, scene.gate().evidence)
        assert finished.outcome == "done", scene.problems()
        gone = verdicts(scene), sources(scene.keys())
        assert gone[1] == []
        workers = carried(scene)
        assert rollback(scene, runner) is not None
        workers |= carried(scene)
        assert scene.objects().keys() >= before.keys()
        scene.events.clear()
        back = api.rollback(
            soaking.journal, approval=api.Approval("tester"), observer=scene.events.append,
            runner=runner,
        )  # fmt: skip
        assert back is not None
        workers |= carried(scene)
        assert runner == "local" or workers == {"delete-source", "copy", "remove-copy"}
        return gone, back.outcome, scene.objects() == before

    local, workers = ends.of(act)
    assert workers == local
    assert local[1:] == ("done", True)


@pytest.mark.long
def test_restores_are_asked_for_by_workers_and_waited_for_here(ends: Ends) -> None:
    """Issue 11, 2: restore. What becomes readable is downloaded meanwhile, as ever."""

    def act(scene: Scene, runner: RunnerName) -> Any:
        with proxy_to(ends.server.endpoint) as proxy:
            scene.server = replace(scene.server, endpoint=proxy.endpoint)
            glacier = Glacier()
            glacier.play(proxy)
            glacier.speed = 7200
            for number in range(8):
                kind = "GLACIER" if number % 2 else "STANDARD"
                scene.put(f"k{number}.bin", b"content %d" % number, StorageClass=kind)
            scene.plan(COPY_ONLY + "  restore: {days: 3, poll: 1}\n")
            finished = apply(scene, runner)
            assert finished.outcome == "done", scene.problems()
            return scene.files(), sorted(glacier.asked), verdicts(scene)

    local, workers = ends.of(act)
    assert workers == local
    assert ends.carried == {"restore"}


@pytest.mark.long
def test_tags_are_changed_and_changed_back_by_workers(moto_scene: Scene) -> None:
    """Issue 11, 2: tag. Tags that somebody had given before are not this run's, also where a worker
    was lost.
    """
    scene = moto_scene
    library(scene)
    plan(scene, "lifecycle: {policy: fast}")
    assert scene.apply().exit_code == 0
    before = tagging.tags(scene)
    plan(scene, "lifecycle: {policy: normal}")
    tagging.retag(scene, tagging.KEYS[0], archive="normal")  # as the plan would
    with inline_workers(_first("tag", "half")):
        assert apply(scene, "dask").exit_code == 3
        assert carried(scene) == {"tag"}
        assert [problem.reason for problem in scene.problems()] == ["tags-changed"]
        assert tagging.tags(scene) == [{"archive": "normal"}] * 3
        assert rollback(scene, "dask") is not None
        assert carried(scene) == {"tag"}
    assert tagging.tags(scene) == [{"archive": "normal"}, *before[1:]]


@pytest.mark.parametrize(
    "how", [pytest.param("", marks=pytest.mark.long), pytest.param("half", marks=pytest.mark.dask)]
)
def test_archives_are_extracted_by_workers_to_a_shared_destination(ends: Ends, how: str) -> None:
    """Issue 11, 2: extract only where the destination is declared shared; a file that was there
    before is a stranger's, whoever finds it.
    """
    ends.lose = _first("extract", how)

    def act(scene: Scene, runner: RunnerName) -> Any:
        unpacking.archive_sessions(scene)
        unpacking.plan(scene)
        manifest = scene.directory / "manifest.yaml"
        manifest.write_text(manifest.read_text().replace("here}", "here, shared: true}"))
        api.plan([manifest])
        (scene.here / "one").mkdir(parents=True)
        (scene.here / "one/a.fits").write_bytes(b"a stranger's")
        finished = apply(scene, runner)
        assert finished.exit_code == 3
        # What failed is tried again after a worker was lost, and told again.
        reasons = {(problem.key, problem.reason) for problem in scene.problems()}
        assert all(", then s3plan apply" in problem.next_step for problem in scene.problems())
        return unpacking.here(scene), reasons, verdicts(scene)

    local, workers = ends.of(act)
    assert workers == local
    assert local[1] == {("one/a.fits", "occupied")}
    assert ends.carried == {"extract"}
