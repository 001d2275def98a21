"""Notes of sessions and extras: put, put again when they changed, kept in their versions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from s3plan.cli import main
from s3plan.errors import ProblemsError
from s3plan.model.steps import PutFiles
from tests.engine.conftest import scene, versioned
from tests.engine.scene import Scene
from tests.sessions.test_archiving import LONG_AGO, apply, library, plan, write

__all__ = ["scene", "versioned"]  # fixtures

NOTES = 'notes: {from: "notes/{year}/{session}_notes.md", key: "notes/{year}/{session}.md"}'
EXTRAS = 'extras: [{from: "db/*.sqlite", key: "db/{stem}_{digest}{ext}"}]'


def beside(scene: Scene, name: str, data: bytes, *, at: float = LONG_AGO) -> Path:
    """A file beside the manifest."""
    path = scene.directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (at, at))
    return path


def test_notes_are_put_and_put_again(versioned: Scene) -> None:
    """D10: with their content type; a changed one replaces its object, whose version stays."""
    library(versioned)
    beside(versioned, "notes/2023/20230110_AAAA0000_notes.md", b"clear")
    beside(versioned, "notes/2024/20240211_AAAA0000_notes.md", b"cloudy")
    beside(versioned, "notes/other.md", b"nobody's")
    apply(versioned, plan(versioned, NOTES))
    key = "notes/2023/20230110_AAAA0000.md"
    head = versioned.s3.head_object(Bucket=versioned.bucket, Key=key)
    assert head["ContentType"] == "text/markdown"
    assert plan(versioned, NOTES).plan is None
    beside(versioned, "notes/2023/20230110_AAAA0000_notes.md", b"clear, no moon")
    assert plan(versioned, f"{NOTES}\nchanged: list").plan is None
    assert plan(versioned, NOTES, only=["session=2024*"]).plan is None
    result = plan(versioned, NOTES)
    assert result.plan is not None
    (step,) = result.plan.steps
    assert isinstance(step.action, PutFiles)
    assert step.action.replaces
    apply(versioned, result)
    assert versioned.stacks()[key] == [b"clear", b"clear, no moon"]
    assert plan(versioned, NOTES).plan is None
    assert versioned.rollback() is not None
    assert versioned.stacks()[key] == [b"clear"]


def test_a_changed_note_needs_versions(scene: Scene) -> None:
    library(scene)
    path = beside(scene, "notes/2023/20230110_AAAA0000_notes.md", b"clear")
    apply(scene, plan(scene, NOTES))
    path.write_bytes(b"cloudy, after all")
    with pytest.raises(ProblemsError) as refused:
        plan(scene, NOTES)
    (problem,) = refused.value.problems
    assert problem.found == "notes/2023/20230110_AAAA0000.md"


def test_extras_have_a_key_for_each_version(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    """D51: a database is kept in all its versions, and listed by the key of each."""
    library(scene)
    path = beside(scene, "db/cat.sqlite", b"one")
    apply(scene, plan(scene, EXTRAS))
    path.write_bytes(b"two")
    result = plan(scene, EXTRAS)
    assert result.plan is not None
    assert [step.totals.items for step in result.plan.steps] == [1]
    apply(scene, result)
    kept = {key: one.body for key, one in scene.objects().items() if key.startswith("db/")}
    assert sorted(kept.values()) == [b"one", b"two"]
    assert all(key.startswith("db/cat_") and key.endswith(".sqlite") for key in kept)
    assert plan(scene, EXTRAS).plan is None
    capsys.readouterr()
    assert main(["list", "extras", "manifest.yaml", "--format", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    # Only what the last run made goes, and only while its file is there as it was.
    path.write_bytes(b"three, meanwhile")
    finished = scene.rollback()
    assert finished is not None
    assert finished.exit_code == 7
    path.write_bytes(b"two")
    assert sorted(one.body for key, one in scene.objects().items() if key.startswith("db/")) == [
        b"one",
        b"two",
    ]


def test_what_somebody_put_meanwhile_stays(scene: Scene) -> None:
    """A key that was taken since the plan is left alone; the same content is adopted."""
    library(scene)
    beside(scene, "notes/2023/20230110_AAAA0000_notes.md", b"clear")
    beside(scene, "notes/2024/20240211_AAAA0000_notes.md", b"cloudy")
    plan(scene, NOTES)
    scene.put("notes/2023/20230110_AAAA0000.md", b"theirs")
    scene.put("notes/2024/20240211_AAAA0000.md", b"cloudy")
    finished = scene.apply()
    assert finished.exit_code == 3
    assert [problem.reason for problem in scene.problems()] == ["key-taken"]
    assert scene.rollback() is not None
    assert scene.keys() == ["notes/2023/20230110_AAAA0000.md", "notes/2024/20240211_AAAA0000.md"]


def test_a_file_that_changed_since_the_plan_is_not_put(scene: Scene) -> None:
    library(scene)
    path = beside(scene, "notes/2023/20230110_AAAA0000_notes.md", b"clear")
    plan(scene, NOTES)
    path.write_bytes(b"edited")
    assert scene.apply().exit_code == 3
    left = scene.keys()
    assert "notes/2023/20230110_AAAA0000.md" not in left


@pytest.mark.parametrize(
    "more",
    [
        'notes: {from: "notes/{year}.md"}',
        'extras: [{from: "db/*", key: "db/{file}"}]',
        'extras: [{from: "db/*", key: "db/{name}_{digest}"}]',
        'notes: {from: "{session}.md", key: "n/{other}/{session}.md"}',
    ],
)
def test_keys_that_say_too_little_are_refused(scene: Scene, more: str) -> None:
    write(scene, "2024/a/b", b"x")
    with pytest.raises(ProblemsError):
        plan(scene, more)
