"""LayoutCleanup on a server: after a change of layout, beside one that is not finished, killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import s3plan
from s3plan import api
from s3plan.engine.handlers import purge
from s3plan.errors import OutcomeUnknownError, StaleError
from s3plan.model.journal import CommandRan
from s3plan.rules.shadow import is_shadow
from s3plan.store import Bucket, DeleteResult
from tests.engine.scene import Scene
from tests.layout.moving import fill, knows, look
from tests.layout.moving import plan as plan_layout

MANIFEST = """\
apiVersion: s3plan/v1
kind: Connection
metadata: {{name: default}}
spec: {{endpoint: "{endpoint}", region: {region}, limits: {{connections: 8}}}}
---
apiVersion: s3plan/v1
kind: LayoutCleanup
metadata: {{name: cleanup}}
spec: {{select: {{bucket: {bucket}}}, olderThan: "2030-01-01"{more}}}
"""


def plan(scene: Scene, more: str = "") -> api.PlanResult:
    server = scene.server
    text = MANIFEST.format(
        endpoint=server.endpoint, region=server.region, bucket=scene.bucket, more=more
    )
    Path("cleanup.yaml").write_text(text)
    return api.plan([Path("cleanup.yaml")])


def shadows(scene: Scene) -> set[str]:
    return set(filter(is_shadow, scene.keys()))


def moved(scene: Scene, count: int = 4) -> dict[str, Any]:
    """Objects in their new layout; what their readers see."""
    fill(scene, count)
    knows(scene, "put-if-match")
    plan_layout(scene)
    assert scene.apply().exit_code == 0, scene.problems()
    return look(scene).objects


def test_only_the_objects_are_left(scene: Scene) -> None:
    """C9, C26, C29, C34, C53: everything beside them goes, and nothing else does."""
    objects = moved(scene)
    scene.put("not-ours/.s3plan/notes.txt")
    assert len(shadows(scene)) == 8
    made = plan(scene).plan
    assert made is not None
    assert [(step.verb, step.totals.items) for step in made.steps] == [("purge", 8)]
    finished = scene.apply()
    assert (finished.exit_code, finished.verbs["purge"].items) == (0, 8)
    assert finished.message == "done; it cannot be taken back"
    assert look(scene).objects == objects
    assert set(scene.keys()) == {*objects, "not-ours/.s3plan/notes.txt"}
    assert plan(scene).plan is None
    with pytest.raises(StaleError):
        scene.apply()


def test_superseded_versions_go_where_the_bucket_keeps_them(versioned: Scene) -> None:
    """C29, C53: by their ids; what somebody else made stays, and the object is what it was."""
    scene = versioned
    fill(scene, 2)
    key, _ = sorted(scene.keys())
    scene.put(key, b"of a user, before")
    knows(scene, "put-if-match")
    plan_layout(scene)
    assert scene.apply().exit_code == 0, scene.problems()
    objects, stacks = look(scene).objects, scene.stacks()
    assert len(stacks[key]) == 3
    plan(scene)
    assert scene.apply().exit_code == 0, scene.problems()
    left = scene.stacks()
    assert set(left) == set(objects)
    assert left[key] == [stacks[key][0], stacks[key][2]], "the user's own older version stays"
    assert look(scene).objects == objects


def test_what_a_run_needs_that_is_not_finished_stays(scene: Scene) -> None:
    """C27, E41: until it is, or is given up."""
    fill(scene, 3)
    knows(scene, "put-if-match")
    plan_layout(scene)
    changed = scene.keys()[0]
    scene.put(changed, b"written by somebody")
    assert scene.apply().outcome == "incomplete"
    staged = shadows(scene)
    assert staged
    result = plan(scene)
    assert result.plan is None
    assert any("is not finished and may need them" in note for note in result.notes)
    api.abandon_run(scene.run().id, approver="tester")
    plan(scene)
    assert scene.apply().exit_code == 0
    assert shadows(scene) == set()
    assert scene.objects()[changed].body == b"written by somebody"


def test_what_changed_since_the_plan_is_left_alone(scene: Scene) -> None:
    """Invariant 1, 5: looked at right before; a last copy never goes."""
    objects = moved(scene)
    gone, *_ = sorted(objects)
    plan(scene)
    scene.delete(gone)
    (other,) = [key for key in shadows(scene) if "/new/o/d1/object-0001" in key]
    scene.put(other, b"something else by now")
    finished = scene.apply()
    assert (finished.outcome, finished.drifted) == ("incomplete", 3)
    reasons = {problem.reason for problem in scene.problems()}
    assert reasons == {"last-copy", "form-changed"}
    assert {key for key in shadows(scene) if gone in key or key == other} == shadows(scene)


def _define(scene: Scene, code: str) -> None:
    """The command ``unpin`` of the project file."""
    command = {"run": [sys.executable, "-c", code]}
    document = {
        "apiVersion": "s3plan/v1", "kind": "Project", "spec": {"commands": {"unpin": command}},
    }  # fmt: skip
    Path("s3plan.yaml").write_text(yaml.safe_dump(document))


def test_a_command_that_fails_blocks_its_deletion(scene: Scene) -> None:
    """C10, C28: asked for each form; where it fails the form stays, and is asked for again."""
    moved(scene, 2)
    scene.events.clear()
    (stays,) = [key for key in shadows(scene) if "/old/o/d0" in key]
    _define(
        scene,
        "import json, os, sys, pathlib\n"
        "told = json.load(sys.stdin)\n"
        "assert os.environ['S3PLAN_FORM'] == told['form']\n"
        "assert os.environ['S3PLAN_KEY'] == told['key']\n"
        "ok = told['role'] == 'new' or 'd0' not in told['key']\n"
        "print('released' if ok else 'still pinned')\n"
        "sys.exit(0 if ok or pathlib.Path('ok').exists() else 3)\n",
    )
    plan(scene, ", beforeDelete: unpin")
    finished = api.apply(
        Path("plan.json"),
        approval=api.Approval("tester"),
        observer=scene.events.append,
        outlets=api.Outlets(snapshot=Path("snapshot.json")),
    )
    told = json.loads(Path("snapshot.json").read_text())
    standing = [(entry["key"][:4], entry["status"]) for entry in told]
    assert standing == [("o/d0", "failed"), ("o/d1", "succeeded")], "by object, not by form"
    assert (finished.outcome, finished.failed) == ("incomplete", 1)
    (problem,) = scene.problems()
    assert (problem.key, problem.reason) == (stays, "before-delete")
    assert "exit code 3" in problem.message
    assert shadows(scene) == {stays}
    ran = [record for record in scene.journal() if isinstance(record, CommandRan)]
    assert len(ran) == 4
    Path("ok").touch()
    assert scene.apply().exit_code == 0
    assert shadows(scene) == set()


def test_a_lost_answer_is_settled_by_looking(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown is not failed: what is gone was deleted."""
    moved(scene, 2)
    plan(scene)
    delete_many = Bucket.delete_many

    async def lost(self: Bucket, targets: Any) -> Any:
        results = await delete_many(self, targets)
        return tuple(DeleteResult(one.key, OutcomeUnknownError("lost")) for one in results)

    monkeypatch.setattr(Bucket, "delete_many", lost)
    assert scene.apply().exit_code == 0
    assert shadows(scene) == set()


def test_a_cleanup_is_for_good(scene: Scene) -> None:
    """A rollback of it takes nothing back, and of the swap nothing any more."""
    objects = moved(scene, 2)
    layout = scene.run().journal
    plan(scene)
    assert scene.apply().exit_code == 0
    assert scene.rollback() is None
    rolled = api.rollback(layout, approval=api.Approval("tester"))
    assert rolled is not None
    assert rolled.exit_code == 7
    assert look(scene).objects == objects


def test_forms_go_in_batches(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """C40: with an intent for each."""
    monkeypatch.setattr(purge, "BATCH", 3)
    moved(scene, 4)
    plan(scene)
    assert scene.apply().exit_code == 0
    assert shadows(scene) == set()


@pytest.mark.long
def test_the_line_for_cron_does_what_it_says(scene: Scene) -> None:
    """Issue 8, 6: as the README has it, on a server; an error of the plan is the line's own."""
    objects = moved(scene, 2)
    package = Path(s3plan.__file__).parent
    readme = (package / "kinds" / "cleanup" / "README.md").read_text()
    (line,) = [line.strip() for line in readme.splitlines() if line.strip().startswith("*/15")]
    command = line.split(maxsplit=5)[5].replace("/srv/cleanup", str(scene.directory))
    programs = [str(Path(sys.executable).parent), str(package.parent / "examples" / "container")]

    def at_its_time() -> int:
        path = os.pathsep.join([*programs, os.environ["PATH"]])
        environ = os.environ | {"PATH": path}
        return subprocess.run(["sh", "-c", command], check=False, env=environ).returncode

    plan(scene)  # writes the manifest
    Path("plan.json").unlink()
    assert at_its_time() == 0, Path("s3plan.log").read_text()
    assert shadows(scene) == set()
    assert look(scene).objects == objects
    assert at_its_time() == 0
    assert Path("s3plan.log").read_text().endswith("No changes.\n")
    Path("cleanup.yaml").write_text("kind: LayoutCleanup\n")
    assert at_its_time() == 1
