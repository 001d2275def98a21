"""``apply --runner s3-batch``: jobs do what they can, and nothing counts that was not looked at."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path

import pytest
from rich.console import Console

from s3plan import api
from s3plan.errors import StaleError
from s3plan.model.events import HandedOver, RunnerReady, Warned
from s3plan.model.status import JobStatus
from s3plan.store.jobs import Jobs
from s3plan.views.standing import standing
from tests.batch.fake import BatchOperations
from tests.batch.jobs import apply_jobs, plan_jobs, prefixed, stages
from tests.engine.scene import Scene

COUNT = 5
ODD = "odd+ näme #1.txt"
WHOLE = ["planned", "created", "confirmed", "ended"]


def _fill(scene: Scene) -> list[str]:
    scene.fill(COUNT)
    scene.put(ODD, b"odd", ContentType="text/x-a", Metadata={"a": "b"}, Tagging="t=1")
    return scene.keys()


def _copies(scene: Scene) -> list[str]:
    keys = scene.keys()
    return [key for key in keys if key.startswith(prefixed(""))]


def _jobs_of_status(scene: Scene) -> list[JobStatus]:
    steps = [step for bucket in api.status(scene.run().journal).buckets for step in bucket.steps]
    return [job for step in steps for job in step.jobs or ()]


def shown(scene: Scene) -> str:
    """``s3plan status``."""
    console = Console(width=120, file=io.StringIO())
    for part in standing(api.status(scene.run().journal), 10):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _assert_copied(scene: Scene, keys: list[str]) -> None:
    found = scene.objects()
    assert {key: found.get(prefixed(key)) for key in keys} == {key: found[key] for key in keys}


def test_a_job_copies_and_everything_is_looked_at(scene: Scene, service: BatchOperations) -> None:
    """Created so that it waits, confirmed after its intents, its report and S3 read afterwards."""
    keys = _fill(scene)
    scene.put("alone.txt", b"alone")
    plan_jobs(scene, service, lambda key: "by itself" if key == "alone.txt" else prefixed(key))
    service.throttle = 2
    finished = apply_jobs(scene)
    assert finished.exit_code == 0, (finished.message, scene.problems())
    _assert_copied(scene, keys)
    assert scene.objects()["by itself"].body == b"alone"
    assert stages(scene) == WHOLE
    assert [(known.stage, known.status) for known in _jobs_of_status(scene)] == [
        ("ended", "Complete")
    ]
    assert "ended (Complete), 6 objects" in shown(scene)
    [job] = service.jobs.values()
    assert (job.status, job.total, job.succeeded) == ("Complete", len(keys), len(keys))
    [told] = [event for event in scene.events if isinstance(event, HandedOver)]
    assert (told.jobs, told.objects) == (1, len(keys))
    assert [left.example for left in told.left] == ["alone.txt"]
    assert told.price.low == pytest.approx(0.25, abs=0.001)
    rolled = scene.rollback()
    assert rolled is not None
    assert rolled.exit_code == 0
    assert not _copies(scene)


def test_what_the_service_fails_with_is_told_and_tried_again_next_time(
    scene: Scene, service: BatchOperations
) -> None:
    keys = _fill(scene)
    plan_jobs(scene, service)
    service.refuse = {ODD: ("AccessDenied", 403)}
    finished = apply_jobs(scene)
    assert (finished.exit_code, finished.failed) == (3, 1)
    assert {p.key: p.reason for p in scene.problems()} == {ODD: "AccessDenied"}
    service.refuse = {}
    assert scene.apply().exit_code == 0
    _assert_copied(scene, keys)


def test_copies_go_to_no_bucket_that_others_may_write_to(
    scene: Scene, service: BatchOperations
) -> None:
    """Invariant 3: the service would write over whatever has the new key."""
    keys = _fill(scene)
    plan_jobs(scene, service, exclusive=False)
    finished = apply_jobs(scene)
    assert finished.exit_code == 0
    assert not service.asked
    [ready] = [event for event in scene.events if isinstance(event, RunnerReady)]
    assert "exclusive" in ready.here["copy"]
    _assert_copied(scene, keys)


def test_a_key_that_is_in_use_does_not_go_into_a_manifest(
    scene: Scene, service: BatchOperations
) -> None:
    keys = _fill(scene)
    plan_jobs(scene, service)
    theirs = prefixed(keys[0])
    scene.put(theirs, b"a stranger's")
    finished = apply_jobs(scene)
    assert (finished.exit_code, finished.drifted) == (3, 1)
    [job] = service.jobs.values()
    assert job.total == len(keys) - 1
    assert scene.objects()[theirs].body == b"a stranger's"


def test_a_source_that_changes_while_the_job_waits_is_not_copied(
    scene: Scene, service: BatchOperations
) -> None:
    keys = _fill(scene)
    plan_jobs(scene, service)

    def change() -> None:
        import time

        time.sleep(1.1)  # the condition has whole seconds
        scene.put(keys[0], b"written again")

    service.on_active = change
    finished = apply_jobs(scene)
    assert (finished.exit_code, finished.drifted) == (3, 1), scene.problems()
    assert prefixed(keys[0]) not in scene.objects()


@pytest.mark.parametrize("how", ["failed", pytest.param("cancelled", marks=pytest.mark.long)])
def test_a_job_that_does_not_come_to_its_end_leaves_the_rest_undone(
    scene: Scene, service: BatchOperations, how: str
) -> None:
    keys = _fill(scene)
    plan_jobs(scene, service)
    if how == "failed":
        service.break_off = 2
    else:
        service.on_active = service.cancel_all
        service.break_off = 2
    finished = apply_jobs(scene)
    assert finished.exit_code == 3
    assert {problem.reason for problem in scene.problems()} == {f"job-{how}"}
    assert len(_copies(scene)) == 2
    service.break_off, service.on_active = None, lambda: None
    assert apply_jobs(scene).exit_code == 0
    _assert_copied(scene, keys)


class Killed(BaseException):
    """The process ends here."""


_LONG = [
    pytest.param(point, marks=pytest.mark.long)
    for point in ("before create", "before confirm", "while waiting")
]


@pytest.mark.parametrize("point", ["after create", "after confirm", *_LONG])
@pytest.mark.parametrize("runner", ["s3-batch", pytest.param("local", marks=pytest.mark.long)])
def test_killed_anywhere_one_job_does_the_work_once(
    scene: Scene,
    service: BatchOperations,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    runner: str,
) -> None:
    """Invariant 4; also where nobody says which runner it was."""
    keys = _fill(scene)
    plan_jobs(scene, service)
    with monkeypatch.context() as patch:
        _kill(patch, point)
        with pytest.raises(Killed):
            apply_jobs(scene)
    finished = apply_jobs(scene) if runner == "s3-batch" else scene.apply()
    assert finished.exit_code == 0, (finished.message, scene.problems())
    _assert_copied(scene, keys)
    ran = [job for job in service.jobs.values() if job.succeeded]
    forgotten = runner == "local" and point in ("before create", "after create")
    assert len(ran) == (0 if forgotten else 1)
    assert len(service.jobs) <= 1


def _kill(patch: pytest.MonkeyPatch, point: str) -> None:
    when, _, what = point.partition(" ")
    name = {"create": "create", "confirm": "confirm", "waiting": "describe"}[what]
    call = getattr(Jobs, name)
    times = [0]

    def dying(*values: object, **named: object) -> object:
        times[0] += 1
        if when == "before" or (when == "while" and times[0] > 5):
            raise Killed
        answer = call(*values, **named)
        if when == "after":
            raise Killed
        return answer

    patch.setattr(Jobs, name, dying)


def test_who_stops_waiting_is_told_that_the_job_goes_on(
    scene: Scene, service: BatchOperations
) -> None:
    keys = _fill(scene)
    plan_jobs(scene, service)
    service.hold = True
    service.on_active = lambda: os.kill(os.getpid(), signal.SIGTERM)
    assert apply_jobs(scene).exit_code == 130
    assert any("go on in S3" in e.message for e in scene.events if isinstance(e, Warned))
    service.hold, service.on_active = False, lambda: None
    assert scene.apply().exit_code == 0
    _assert_copied(scene, keys)
    assert len(service.jobs) == 1


def test_a_job_that_runs_holds_new_plans_and_a_rollback_cancels_it(
    scene: Scene, service: BatchOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job outlives the process: what it copies after a rollback has looked nobody takes back."""
    _fill(scene)
    plan_jobs(scene, service)
    service.hold = True
    with monkeypatch.context() as patch:
        _kill(patch, "while waiting")
        with pytest.raises(Killed):
            apply_jobs(scene)
    [known], [made] = _jobs_of_status(scene), service.jobs.values()
    assert (known.id, known.stage, known.status) == (made.id, "confirmed", "")
    assert f"job {made.id}: confirmed, {COUNT + 1} objects" in shown(scene)
    with pytest.raises(StaleError, match="may still be running"):
        api.abandon_run(scene.run().id, approver="tester")
    Path("plan.json").rename("first.json")
    plan_jobs(scene, service, lambda key: f"other/{key}")
    with pytest.raises(StaleError, match="may still be running"):
        apply_jobs(scene)
    Path("first.json").replace("plan.json")
    rolled = scene.rollback()
    assert rolled is not None
    assert rolled.exit_code == 0
    [job] = service.jobs.values()
    assert job.status == "Cancelled"
    assert not _copies(scene)
