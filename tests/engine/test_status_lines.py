"""``statusEvery``: how a run stands, noted from time to time in a file of its folder."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from s3plan import api
from s3plan.engine.statuslines import StatusLines
from s3plan.errors import ProblemsError
from s3plan.model.status import StatusReport
from s3plan.plan import PlanFile
from tests.engine.scene import COPY_ONLY, OBJECTS_ONLY, Scene


def _plan(scene: Scene, spec: str, every: str = "10m") -> api.PlanResult:
    scene.manifest(spec)
    path = Path("manifest.yaml")
    named = "metadata: {name: evacuation}\n"
    path.write_text(path.read_text().replace(named, f"{named}statusEvery: {every}\n"))
    return api.plan([path])


def _reports(path: Path) -> list[StatusReport]:
    return [msgspec.json.decode(line, type=StatusReport) for line in path.read_bytes().splitlines()]


def test_a_run_notes_how_it_stands(scene: Scene) -> None:
    """B36: at its beginning, at its end, in every session, and again for its rollback."""
    scene.fill(5)
    made = _plan(scene, OBJECTS_ONLY)
    assert made.plan is not None
    assert made.plan.header.status_interval == 600
    assert scene.apply().exit_code == 4
    run = scene.run()
    first, held = _reports(run.folder / "status.jsonl")
    assert (first.percent, first.done, first.items) == (0.0, 0, 10), "downloads and deletions"
    assert first.status.running is not None
    assert (held.percent, held.done) == (50.0, 5)
    assert held.status.buckets[0].state == "held"

    assert scene.apply(delete=scene.gate().evidence).exit_code == 0
    reports = _reports(run.folder / "status.jsonl")
    assert len(reports) == 4, "what the first session noted is still there"
    assert reports[-1].percent == 100.0
    assert [one.time for one in reports] == sorted(one.time for one in reports)

    assert scene.rollback() is not None
    back = _reports(run.folder / "rollback-status.jsonl")
    assert back[-1].percent == 100.0
    assert back[-1].status.command == "rollback"


def test_without_it_nothing_is_noted_and_the_plan_is_the_same(scene: Scene) -> None:
    scene.fill(2)
    asked = _plan(scene, COPY_ONLY).plan
    plain = scene.plan(COPY_ONLY).plan
    assert asked is not None
    assert plain is not None
    assert asked.digest == plain.digest
    assert scene.apply().exit_code == 0
    assert not (scene.run().folder / "status.jsonl").exists()


def test_a_line_that_was_cut_is_dropped_and_the_others_stay(scene: Scene, tmp_path: Path) -> None:
    scene.fill(2)
    _plan(scene, COPY_ONLY)
    assert scene.apply().exit_code == 0
    run = scene.run()
    path = run.folder / "status.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"type":"status-report","ti')
    lines = StatusLines(run, PlanFile.open(run.plan), run.state(), run.journal, lambda: "now")
    with (tmp_path / "written").open("wb") as file:
        lines.write(file)
    written = (tmp_path / "written").read_bytes()
    assert written.startswith(whole)
    assert [one.time for one in _reports(tmp_path / "written")][-1] == "now"


def test_an_interval_that_would_only_write_is_refused(scene: Scene) -> None:
    scene.fill(1)
    with pytest.raises(ProblemsError):
        _plan(scene, COPY_ONLY, every="1s")
