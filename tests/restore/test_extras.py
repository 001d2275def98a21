"""Extras back on a disk: other files that a SessionArchive keeps in all their versions."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.cli import main
from s3plan.errors import ProblemsError
from s3plan.model.steps import Restore
from s3plan.rules.sessions.extrakeys import ExtraKey
from tests.engine.conftest import moto_scene, scene
from tests.engine.scene import Scene
from tests.restore.test_archive_restore import here
from tests.restore.test_archive_restore import plan as plan_restore
from tests.sessions.test_archiving import library, write
from tests.sessions.test_archiving import plan as plan_archives

__all__ = ["moto_scene", "scene"]  # fixtures

KEY = "raw/my db/{stem}_{modified}_{digest}{ext}"
KEPT = f'extras: [{{from: "db/*", key: "{KEY}"}}]'
ONCE = datetime(2024, 3, 15, 20, 11, 5, tzinfo=UTC).timestamp()
WANTED = f'extras: {{key: "{KEY}"}}'


def keep(scene: Scene, name: str, data: bytes, *, at: float, **options: Any) -> str:
    """A version of a file under the key that a SessionArchive gives it; its key."""
    changed = datetime.fromtimestamp(at, UTC).isoformat()
    key = ExtraKey.parse(KEY).key(name, sha256(data).hexdigest(), changed)
    scene.put(key, data, **options)
    return key


@pytest.fixture
def kept(scene: Scene) -> Scene:
    """Two versions of one file, the newer put first, and one of another."""
    keep(scene, "cat.sqlite", b"second", at=ONCE + 60)
    keep(scene, "cat.sqlite", b"first", at=ONCE)
    keep(scene, "README", b"of all", at=ONCE)
    return scene


def plan(scene: Scene, wanted: str = WANTED, **options: Any) -> api.PlanResult:
    return plan_restore(scene, wanted, **options)


def wanted(**more: str) -> str:
    """``extras`` of a manifest."""
    said = "".join(f", {name}: {value}" for name, value in more.items())
    return f'extras: {{key: "{KEY}"{said}}}'


def test_the_latest_of_each_file_comes_back(kept: Scene) -> None:
    """D51: restore-database; verified, journalled, compared with what is there, taken back."""
    result = plan(kept)
    assert result.plan is not None
    assert [(step.verb, step.totals.items) for step in result.plan.steps] == [("download", 2)]
    assert kept.apply().exit_code == 0, kept.problems()
    assert here(kept) == {"cat.sqlite": b"second", "README": b"of all"}
    assert plan(kept).plan is None
    # What was changed since is in the way, and nothing of it is lost.
    path = kept.here / "cat.sqlite"
    path.write_bytes(b"edited here")
    with pytest.raises(ProblemsError) as caught:
        plan(kept)
    (problem,) = caught.value.problems
    assert (problem.what, problem.found) == (
        "1 files are in the way, with other content",
        "cat.sqlite",
    )
    finished = kept.rollback()
    assert finished is not None
    assert finished.exit_code == 7
    assert here(kept) == {"cat.sqlite": b"edited here"}


def test_versions_are_listed_and_chosen_by_their_names(
    kept: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    """D51: list-database-backups; one version, some, or all."""
    write(kept, "notes.txt", b"a library of nothing")
    plan_archives(kept, f"{KEPT}\nsessions: {{unknown: list}}")
    capsys.readouterr()
    assert main(["list", "extras", "manifest.yaml", "--format", "csv"]) == 0
    head, *rows = [line.split(",") for line in capsys.readouterr().out.splitlines()]
    assert head[:3] == ["file", "version", "latest"]
    told = [tuple(row[:3]) for row in rows]
    names = [version for _, version, _ in told]
    assert [(file, latest) for file, _, latest in told] == [
        ("README", "yes"), ("cat.sqlite", "yes"), ("cat.sqlite", "no")
    ]  # fmt: skip
    assert names[1].startswith("20240315_201205_")
    plan(kept, wanted(names='["*.sqlite"]', versions="all"))
    assert kept.apply().exit_code == 0, kept.problems()
    everything = {f"{names[1]}/cat.sqlite": b"second", f"{names[2]}/cat.sqlite": b"first"}
    assert here(kept) == everything
    assert plan(kept, wanted(names='["*.sqlite"]', versions="all")).plan is None
    # An older one in the place of the file itself.
    plan(kept, wanted(versions=f'["{names[2]}"]', path='"old/{file}"'))
    assert kept.apply().exit_code == 0, kept.problems()
    old = {"old/cat.sqlite": b"first"}
    assert here(kept) == everything | old


@pytest.mark.long
def test_what_is_there_already_is_compared_and_not_written(kept: Scene) -> None:
    """A file of the same content is adopted; one of its size with another is left as it is."""
    kept.here.mkdir()
    for name, data in (("cat.sqlite", b"second"), ("README", b"of ALL")):
        (kept.here / name).write_bytes(data)
    plan(kept)
    assert kept.apply().exit_code == 3
    assert [
        (problem.key.rpartition("/")[2][:6], problem.reason) for problem in kept.problems()
    ] == [("README", "occupied")]
    assert here(kept) == {"cat.sqlite": b"second", "README": b"of ALL"}
    kept.rollback()
    assert here(kept) == {"cat.sqlite": b"second", "README": b"of ALL"}


@pytest.mark.long
def test_extras_and_sessions_in_one_plan(kept: Scene) -> None:
    """With extras archives come along where the manifest says which; --only means sessions."""
    library(kept)
    path = kept.directory / "db" / "cat.sqlite"
    path.parent.mkdir()
    path.write_bytes(b"third")
    plan_archives(kept, KEPT)
    assert kept.apply().exit_code == 0, kept.problems()
    both = plan(kept, f'{WANTED}\nsessions: ["2023*"]')
    assert both.plan is not None
    assert [step.verb for step in both.plan.steps] == ["download", "extract"]
    assert "without an index" not in " ".join(both.notes)
    chosen = plan(kept, f'{WANTED}\nsessions: ["*"]', only=("session=2023*",))
    assert chosen.plan is not None
    assert [step.verb for step in chosen.plan.steps] == ["extract"]
    alone = plan(kept)
    assert alone.plan is not None
    assert [step.verb for step in alone.plan.steps] == ["download"]


def test_what_iam_must_allow_is_little(kept: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """D40: to list the bucket, to ask for objects and to read them; nothing of its configuration
    but who pays and whether it keeps versions.
    """
    plan(kept)
    capsys.readouterr()
    assert main(["iam", "manifest.yaml"]) == 0
    statements = json.loads(capsys.readouterr().out)["Statement"]
    assert {action for one in statements for action in one["Action"]} == {
        "s3:GetBucketRequestPayment",
        "s3:GetBucketVersioning",
        "s3:GetObject",
        "s3:GetObjectTagging",
        "s3:ListBucket",
        "s3:RestoreObject",
    }


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"versions": '["1999*"]'}, "no version of an extra is meant"),
        ({"versions": "all", "path": '"{file}"'}, "1 files would have the same name on disk"),
        ({"path": '"{version}"'}, "names the file"),
        ({"path": '"{digest}/{file}"'}, "{file} and {version}"),
    ],
)
def test_what_cannot_be_meant_is_said(kept: Scene, more: dict[str, str], said: str) -> None:
    with pytest.raises(ProblemsError) as caught:
        plan(kept, wanted(**more))
    assert said in str(caught.value.problems)


def test_a_prefix_that_leaves_them_out_is_refused(scene: Scene) -> None:
    with pytest.raises(ProblemsError) as caught:
        plan(scene, 'extras: {key: "db/{file}_{digest}"}')
    assert "a manifest of their own" in str(caught.value.problems)


@pytest.mark.long
def test_a_version_that_is_asleep_is_asked_for(moto_scene: Scene) -> None:
    """D44, D51: out of GLACIER, then downloaded; warm ones before that."""
    keep(moto_scene, "cat.sqlite", b"warm", at=ONCE)
    keep(moto_scene, "old.sqlite", b"cold", at=ONCE, StorageClass="GLACIER")
    result = plan(moto_scene, f"{WANTED}\nrestore: {{days: 7, poll: 1}}")
    assert result.plan is not None
    assert [step.verb for step in result.plan.steps] == ["download", "restore", "download"]
    assert isinstance(result.plan.steps[1].action, Restore)
    assert moto_scene.apply().exit_code == 0, moto_scene.problems()
    assert here(moto_scene) == {"cat.sqlite": b"warm", "old.sqlite": b"cold"}
    assert Path("journal.json").exists()
    assert plan(moto_scene).plan is None
