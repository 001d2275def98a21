"""Snapshots and metrics of runs: whole at any moment, and right at the end."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from s3plan import api
from s3plan.engine.itemtimes import ItemTime, ItemTimes
from s3plan.engine.livefiles import LiveFile
from s3plan.engine.metrics import Metric, exposition
from s3plan.errors import UsageError
from s3plan.model.events import Warned
from s3plan.model.journal import Intent, ItemFailed, Receipts
from s3plan.store import Bucket
from tests.engine.scene import COPY_ONLY, OBJECTS_ONLY, Scene

SNAPSHOT, METRICS = Path("snapshot.json"), Path("metrics.prom")
EARLY, LATE = "2026-11-20T10:00:00.000Z", "2026-11-20T11:00:00.000Z"
HOUR = 3600


def _apply(scene: Scene, interval: float = 0, **given: Any) -> Any:
    scene.events.clear()
    return api.apply(
        Path("plan.json"),
        approval=api.Approval("tester", **given),
        observer=scene.events.append,
        outlets=api.Outlets(SNAPSHOT, interval, METRICS),
    )


def _told() -> Any:
    return json.loads(SNAPSHOT.read_text())


def _samples(text: str) -> dict[tuple[str, str, str], float]:
    """By name, verb and status; read with the official parser."""
    return {
        (sample.name, sample.labels.get("verb", ""), sample.labels.get("status", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_run_is_told_object_by_object(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """C16, C17, C37, C43-C47: every entry in its order with what is known of it, at any moment."""
    scene.fill(4)
    keys = scene.keys()
    scene.manifest(COPY_ONLY)
    entries = [
        {"bucket": scene.bucket, "key": keys[2], "object_id": 7},
        {"bucket": scene.bucket, "key": keys[2]},
        {"bucket": scene.bucket, "key": "nowhere", "status": "succeeded"},
        {"bucket": scene.bucket, "key": keys[0], "attempts": 12},
        {"bucket": scene.bucket, "key": keys[1]},
    ]
    Path("items").write_text(json.dumps(entries))
    api.plan([Path("manifest.yaml")], worklist=api.worklist_of_file(Path("items")))
    scene.put(keys[1], b"changed since the plan")
    seen: list[list[str]] = []
    get = Bucket.get

    async def looking(self: Bucket, key: str, **options: Any) -> Any:
        # Each of the three waits until the snapshot tells of all of them.
        for _ in range(1000):
            seen.append([entry["status"] for entry in _told()])
            if seen[-1].count("running") == 3:
                break
            await asyncio.sleep(0.02)
        return await get(self, key, **options)

    monkeypatch.setattr(Bucket, "get", looking)
    assert _apply(scene).outcome == "incomplete"
    assert ["running", "skipped", "skipped", "running", "running"] in seen

    told = _told()
    assert [(entry["key"], entry["status"]) for entry in told] == [
        (keys[2], "succeeded"),
        (keys[2], "skipped"),
        ("nowhere", "skipped"),
        (keys[0], "succeeded"),
        (keys[1], "failed"),
    ]
    assert told[0]["object_id"] == 7
    assert [told[n]["skip_reason"] for n in (1, 2)] == ["duplicate", "not-found"]
    assert told[3]["attempts"] == 1
    assert told[0]["planned_at"] <= told[0]["started_at"] <= told[0]["finished_at"]
    assert told[4]["last_error"].startswith("source-changed: ")

    samples = _samples(METRICS.read_text())
    assert samples["s3plan_items", "download", "done"] == 2
    assert samples["s3plan_items", "download", "drifted"] == 1
    assert samples["s3plan_run_running", "", ""] == 0
    assert samples["s3plan_run_exit_code", "", ""] == 3
    assert samples["s3plan_last_completion_timestamp_seconds", "", ""] > 1.7e9

    # What was written can be asked for again as it is.
    assert len(list(api.worklist_of_file(SNAPSHOT).entries())) == 5


def test_a_plan_for_everything_through_a_gate_and_a_resumption(scene: Scene) -> None:
    """C15, C16: attempts and times outlive the process; halfway is planned, not done."""
    scene.fill(3)
    scene.plan(OBJECTS_ONLY)
    assert _apply(scene).outcome == "held"
    told = _told()
    assert [entry["key"] for entry in told] == sorted(scene.files())
    assert {entry["status"] for entry in told} == {"planned"}
    started = told[0]["started_at"]
    finished = _apply(scene, deletes={scene.bucket: scene.gate().evidence})
    assert finished.exit_code == 0
    told = _told()
    assert {(entry["status"], entry["attempts"]) for entry in told} == {("succeeded", 1)}
    assert told[0]["started_at"] == started
    samples = _samples(METRICS.read_text())
    assert samples["s3plan_items", "verify", "done"] == 3
    assert samples["s3plan_items", "delete", "done"] == 3
    assert samples["s3plan_items", "delete", "left"] == 0


def test_files_that_cannot_be_kept_are_refused_first_and_stop_nothing_later(scene: Scene) -> None:
    scene.fill(1)
    scene.plan(COPY_ONLY)
    for outlets in (api.Outlets(Path("no/where")), api.Outlets(metrics=Path())):
        with pytest.raises(UsageError, match="kept up to date"):
            api.apply(Path("plan.json"), approval=api.Approval("tester"), outlets=outlets)
    gone = Path("gone")
    gone.mkdir()

    def observer(event: Any) -> None:
        scene.events.append(event)
        if gone.exists():
            gone.rmdir()

    finished = api.apply(
        Path("plan.json"),
        approval=api.Approval("tester"),
        observer=observer,
        outlets=api.Outlets(metrics=gone / "m.prom"),
    )
    assert finished.exit_code == 0
    (warning,) = [event for event in scene.events if isinstance(event, Warned)]
    assert "is not kept up to date" in warning.message


def test_times_are_a_fold_of_the_journal() -> None:
    """C47: an attempt for each time a run came to an item that had not ended well."""
    times = ItemTimes()
    for record in (
        Intent("get", 0, 2, time=EARLY),
        Receipts("get", "verified", (0,), time=EARLY),
        ItemFailed("get", 1, "k", "k", "failed", "endpoint", "no answer", time=EARLY),
        Intent("get", 0, 2, time=LATE),
        Receipts("get", "verified", (1,), time=LATE),
        Intent("old", 5, 5),
    ):
        times.apply(record)
    first = times.of("get", 0)
    assert first.attempts == 1
    assert first.started == first.finished
    second = times.of("get", 1)
    assert second == ItemTime(2, first.started + HOUR, first.started + HOUR)
    assert times.of("get", 2) == ItemTime(2, first.started + HOUR, 0)
    assert times.of("get", 9_999) == times.of("never", 0) == ItemTime(0, 0, 0)
    assert times.of("old", 5) == ItemTime(1, 0, 0)


def test_hostile_labels_survive_the_official_parser() -> None:
    """C37: what a bucket of another system, or a person, is called cannot break the file."""
    names = ['"} 1\nx 2', "a\\b", "ü\n", ""]
    samples = tuple(((("bucket", name),), float(n)) for n, name in enumerate(names))
    (family,) = text_string_to_metric_families(
        exposition([Metric("s3plan_x", "gauge", "Help.", samples), Metric("y", "gauge", "", ())])
    )
    assert [sample.labels["bucket"] for sample in family.samples] == names


def test_a_file_is_never_seen_half_written(tmp_path: Path) -> None:
    """C16: readers see a whole file; the last state is in it when the run is over."""
    path = tmp_path / "file"
    state = {"n": 0}

    def write(file: Any) -> None:
        n = state["n"]
        file.write(json.dumps([n]).encode())
        file.flush()
        file.write(b"  " * 10_000 + b"\n")

    async def main() -> None:
        file = LiveFile(path, 0, write, pytest.fail)
        for n in range(50):
            state["n"] = n
            file.changed()
            await asyncio.sleep(0.002)
            if path.exists():
                assert len(path.read_bytes()) > 20_000
                json.loads(path.read_text())
        await file.close()

    asyncio.run(main())
    assert json.loads(path.read_text()) == [49]
    assert list(tmp_path.iterdir()) == [path]
    assert io.BytesIO(path.read_bytes()).readline().endswith(b"\n")
