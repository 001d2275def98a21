"""Worklists on a server: planned, applied, and what failed planned again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from s3plan import api
from s3plan.errors import JournalError, WorklistError
from tests.engine.scene import COPY_ONLY, OBJECTS_ONLY, Scene


def _plan(scene: Scene, worklist: api.Worklist) -> tuple[str, ...]:
    return api.plan([scene.directory / "manifest.yaml"], worklist=worklist).notes


def test_a_part_of_a_bucket_is_evacuated_and_the_rest_stays(scene: Scene) -> None:
    """C14, C43-C45: to the deletion of exactly what was named, and back."""
    scene.fill(6)
    keys = scene.keys()
    scene.manifest(OBJECTS_ONLY)
    Path("items").write_text(
        f"# two of them\n{scene.bucket}|{keys[1]}\n{scene.bucket}|{keys[1]}\n"
        + json.dumps({"bucket_name": scene.bucket, "object_key": keys[4]})
        + f"\n{scene.bucket}|nowhere\n"
    )
    assert _plan(scene, api.worklist_of_file(Path("items"))) == (
        "items: 4 entries, 2 planned for.",
        f"items: 1 skipped as duplicate (named before): s3://{scene.bucket}/{keys[1]}.",
        f"items: 1 skipped as not-found (no such object): s3://{scene.bucket}/nowhere.",
    )
    assert scene.apply().outcome == "held"
    # What nobody named may come and go: it belongs to nobody here.
    scene.put("appeared", b"later")
    assert scene.apply(delete=scene.gate().evidence).exit_code == 0
    assert set(scene.keys()) == {*keys, "appeared"} - {keys[1], keys[4]}
    assert scene.rollback() is not None
    assert set(scene.keys()) == {*keys, "appeared"}


def test_what_failed_is_planned_again_by_itself(scene: Scene) -> None:
    """C41: an object that changed since the plan is left alone; the next plan takes it anew."""
    scene.fill(4)
    changed = scene.keys()[2]
    scene.plan(COPY_ONLY)
    scene.put(changed, b"another content")
    assert scene.apply().outcome == "incomplete"

    failed = api.worklist_of_run(Path("journal.json"), failed=True)
    assert _plan(scene, failed) == ("journal.json: 1 entry, 1 planned for.",)
    assert [entry.key for entry in api.show(Path("plan.json")).asked()] == [changed]
    assert scene.apply().exit_code == 0
    assert scene.files()[changed] == b"another content"

    failed = api.worklist_of_run(Path("journal.json"), failed=True)
    assert _plan(scene, failed) == ("journal.json: 0 entries, 0 planned for.",)
    everything = api.worklist_of_run(Path("journal.json"))
    assert [entry.key for entry in everything.entries()] == [changed]


def test_a_worklist_or_run_that_is_not_there(scene: Scene) -> None:
    scene.manifest(COPY_ONLY)
    with pytest.raises(WorklistError, match="cannot be read"):
        _plan(scene, api.worklist_of_file(Path("missing")))
    with pytest.raises(JournalError, match="no journal here"):
        _plan(scene, api.worklist_of_run(Path("journal.json")))
