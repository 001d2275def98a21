"""Worklists that s5cmd and rclone run, and receipts for what they really did."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from s3plan import api
from s3plan.errors import UsageError
from s3plan.model.handover import Exported, Looked
from s3plan.model.journal import ItemFailed
from s3plan.model.steps import Step
from s3plan.rules.handover.tools import Tool
from tests.engine.copying import by_type, plan_copies
from tests.engine.scene import COPY_ONLY, Scene
from tests.handover.conftest import run

# What SeaweedFS stores as it is, and a list or a shell could get wrong.
HOSTILE = [
    "q'uote.x",
    'd"x.x',
    "star*.x",
    "que?[1].x",
    "$HOME`x`.x",
    "a%41+b.x",
    "#;&{a,b}.x",
    "ü.x",
]
LEFT_OUT = {"s5cmd": ["sp ace.x", "n\nl.x"], "rclone": ["n\nl.x", "full／.x"]}

ATTRIBUTES = {"ContentType": "text/x-a", "Metadata": {"a": "b"}, "Tagging": "t=1"}


def _fill(scene: Scene, tool: str) -> int:
    keys = ["d/one.x", *HOSTILE, *LEFT_OUT[tool]]
    for key in keys:
        scene.put(key, key.encode(), **ATTRIBUTES)
    return len(keys)


def _copying() -> Step:
    return next(step for step in api.show(Path("plan.json")).steps if step.verb == "copy")


def _given(tool: Tool, step: Step) -> Exported:
    exported = api.export(tool, Path("plan.json"), step.id)
    assert run("\n".join(exported.commands)) == 0
    return exported


def _imported(step: Step, *reports: str) -> Looked:
    return api.import_receipts(
        Path("plan.json"), step.id, approver="tester", reports=tuple(map(Path, reports))
    )


@pytest.mark.parametrize("tool", ["s5cmd", pytest.param("rclone", marks=pytest.mark.long)])
def test_copies_by_another_program_are_looked_at_and_the_rest_is_done_here(
    scene: Scene, tool: Tool
) -> None:
    """Content, content type, metadata and tags; what no list can say stays with s3plan."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    count = _fill(scene, tool)
    plan_copies(scene, lambda key: f"new/{key}", headers=-1)
    step = _copying()
    exported = _given(tool, step)
    assert exported.given.items == count - len(LEFT_OUT[tool])
    assert sum(left.totals.items for left in exported.left) == len(LEFT_OUT[tool])
    looked = _imported(step)
    assert (looked.verified, looked.missing) == (exported.given.items, len(LEFT_OUT[tool]))
    finished = scene.apply()
    assert finished.exit_code == 0, (finished, scene.problems())
    after = scene.objects()
    for key in ["d/one.x", *HOSTILE, *LEFT_OUT[tool]]:
        assert after[f"new/{key}"] == after[key]
    rolled = scene.rollback()
    assert rolled is not None
    assert rolled.exit_code == 0
    left = scene.keys()
    kept = {key.removeprefix("new/") for key in left if key.startswith("new/")}
    assert kept == {"d/one.x", *HOSTILE}, "what others made is not the run's to remove"


@pytest.mark.parametrize("tool", ["rclone", pytest.param("s5cmd", marks=pytest.mark.long)])
def test_downloads_by_another_program_are_read_and_compared(scene: Scene, tool: Tool) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    count = _fill(scene, tool)
    scene.plan(COPY_ONLY)
    step = next(s for s in api.show(Path("plan.json")).steps if s.verb == "download")
    exported = _given(tool, step)
    broken = scene.copies / "d/one.x"
    broken.write_bytes(b"x" * len(broken.read_bytes()))
    looked = _imported(step)
    assert looked.verified == exported.given.items - 1
    assert looked.differing == 1
    assert looked.missing == count - exported.given.items
    broken.unlink()
    finished = scene.apply()
    assert finished.exit_code == 0, (finished, scene.problems())
    assert len(scene.catalogue()) == count


def test_what_is_not_as_planned_is_never_called_verified(scene: Scene) -> None:
    """Another content, another content type, nothing at all, and a source that changed."""
    names = ["same", "content", "type", "missing", "source"]
    for name in names:
        scene.put(f"{name}.x", b"1", ContentType="text/x-a")
    plan_copies(scene)
    for name in names[:3]:
        told = {"type": "text/y"}.get(name, "text/x-a")
        body = b"2" if name == "content" else b"1"
        scene.put(by_type(f"{name}.x"), body, ContentType=told)
    scene.put("source.x", b"changed", ContentType="text/x-a")
    Path("log.jsonl").write_text(
        '{"command":"cp --raw=true s3://b/missing.x s3://b/y","error":"AccessDenied: no"}\n'
    )
    looked = _imported(_copying(), "log.jsonl")
    assert looked.verified == 1
    assert (looked.differing, looked.failed, looked.drifted, looked.missing) == (2, 1, 1, 0)
    messages = {problem.key: problem.message for problem in _problems(scene)}
    assert "AccessDenied" in messages["missing.x"]
    assert "content type" in messages["type.x"]
    finished = scene.apply()
    assert finished.exit_code == 3
    assert scene.objects()[by_type("missing.x")].body == b"1", "what is missing is done here"
    assert scene.objects()[by_type("content.x")].body == b"2", "and nothing is written over"


def _problems(scene: Scene) -> list[ItemFailed]:
    return [record for record in scene.journal() if isinstance(record, ItemFailed)]


def test_a_second_import_and_an_interrupted_one_go_on(scene: Scene) -> None:
    for number in range(4):
        scene.put(f"{number}.x", b"1")
    plan_copies(scene)
    scene.put(by_type("0.x"), b"1")
    assert _imported(_copying()).verified == 1
    for number in range(1, 4):
        scene.put(by_type(f"{number}.x"), b"1")
    looked = _imported(_copying())
    assert looked.done
    assert scene.apply().exit_code == 0


def test_what_cannot_be_given_away_is_refused(scene: Scene) -> None:
    scene.put("one.x", b"1")
    plan_copies(scene)
    verifying = next(s for s in api.show(Path("plan.json")).steps if s.verb == "verify-copies")
    with pytest.raises(UsageError, match="cannot be imported"):
        _imported(verifying)
    with pytest.raises(UsageError, match="cannot be given this step"):
        api.export("s5cmd", Path("plan.json"), verifying.id)
    with pytest.raises(UsageError, match="does not say how S3 Batch Operations"):
        api.export("s3-batch", Path("plan.json"), _copying().id)
