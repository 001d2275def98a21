"""Buckets that keep versions, seen by verify, query, report and rebuild."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3plan import api
from tests.engine.conftest import enter
from tests.engine.scene import WHOLE, Scene, open_versioned
from tests.engine.test_versions import ALL, STACKS, newest, pile
from tests.servers import Server


@pytest.fixture
def scene(seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """On SeaweedFS, in a new bucket that keeps versions."""
    with open_versioned(seaweed, tmp_path) as made:
        enter(made, monkeypatch)
        pile(made, STACKS)
        yield made


@pytest.mark.long
def test_a_history_is_verified_counted_and_told_apart_from_objects(scene: Scene) -> None:
    assert scene.apply(delete=scene.apply_to_gate(WHOLE + ALL)).outcome == "done"
    files = sum(entry is not None for stack in STACKS.values() for entry in stack)
    entries = sum(map(len, STACKS.values()))
    verified = api.verify(scene.here)
    assert verified.passes
    assert verified.buckets[0].file_count == files

    with api.query("SELECT key, state FROM files ORDER BY key") as answer:
        rows = list(answer.rows)
    assert [key for key, _ in rows] == sorted(newest(STACKS)), "objects, and no versions of them"
    assert {state for _, state in rows} == {"deleted"}
    counts = "SELECT count(*), count(*) FILTER (marker), count(noncurrent) FROM objects"
    with api.query(counts) as answer:
        assert list(answer.rows) == [(entries, entries - files, entries - len(newest(STACKS)))]
    with api.query("SELECT file_count, verified_file_count FROM bucket_status") as answer:
        assert list(answer.rows) == [(entries, entries)]
    with api.report("closeout", sample=100) as made:
        facts = dict(made.facts)
        assert facts["structure_equal"] is True
        assert (facts["spot_check_files"], facts["spot_check_passed"]) == (files, True)

    old = next(p for p in (scene.here / ".s3plan/versions").rglob("*") if p.is_file())
    old.unlink()
    [problem] = api.verify(scene.here).problems
    assert problem.fault == "missing"


@pytest.mark.long
def test_a_rebuilt_run_puts_the_objects_back_and_says_what_it_leaves(scene: Scene) -> None:
    assert scene.apply(delete=scene.apply_to_gate(WHOLE + ALL)).outcome == "done"
    shutil.rmtree(scene.directory / ".s3plan")
    for name in ("journal.json", "plan.json"):
        (scene.directory / name).unlink(missing_ok=True)
    api.journal_rebuild(scene.here, approver="tester", connection=Path("manifest.yaml"))
    plan = api.show(scene.run().plan)
    assert "noncurrent versions and delete markers" in plan.header.notes[1]
    finished = scene.rollback()
    assert finished is not None
    assert {key: stored.body for key, stored in scene.objects().items()} == newest(STACKS)
