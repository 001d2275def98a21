"""ArchiveRestore from the manifest to the rollback, warm and cold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from s3plan import api
from s3plan.errors import ProblemsError, UsageError
from s3plan.model.steps import Extract, Restore
from s3plan.rules.archiveindex import content_of, read_index, write_index
from tests.engine.archiving import plan_archives, session
from tests.engine.conftest import scene
from tests.engine.scene import Scene
from tests.restore.conftest import Archive

__all__ = ["scene"]  # a fixture

MANIFEST = """\
apiVersion: s3plan/v1
kind: Connection
metadata: {{name: default}}
spec: {{endpoint: "{endpoint}", region: {region}}}
---
apiVersion: s3plan/v1
kind: ArchiveRestore
metadata: {{name: back}}
spec:
  source: {{bucket: {bucket}, prefix: raw/}}
  destination: {{path: here}}
{more}"""

ONE = {"a.fits": b"a" * 5000, "sub/b.fits": b"b" * 3000, "notes.txt": b"clear sky"}
TWO = {"a.fits": b"other" * 1000, "flat_001.fits": b"f" * 100}


def plan(scene: Scene, more: str = "", **options: Any) -> api.PlanResult:
    server = scene.server
    (scene.directory / "manifest.yaml").write_text(
        MANIFEST.format(
            endpoint=server.endpoint,
            region=server.region,
            bucket=scene.bucket,
            more="".join(f"  {line}\n" for line in more.splitlines()),
        )
    )
    return api.plan([scene.directory / "manifest.yaml"], **options)


def archive_sessions(scene: Scene, **parameters: Any) -> None:
    """Two sessions in S3."""
    session(scene, "one", ONE)
    session(scene, "two", TWO)
    plan_archives(scene, ["one", "two"], **parameters)
    assert scene.apply().exit_code == 0, scene.problems()


@pytest.fixture
def archived(scene: Scene) -> Scene:
    archive_sessions(scene)
    return scene


def here(scene: Scene) -> dict[str, bytes]:
    return {
        str(path.relative_to(scene.here)): path.read_bytes()
        for path in sorted(scene.here.rglob("*"))
        if path.is_file() and ".s3plan" not in path.parts
    }


def below(name: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{name}/{path}": data for path, data in files.items()}


def test_archives_become_files_and_then_there_is_nothing_to_do(archived: Scene) -> None:
    """D44: fetched, compared with the index, extracted; and taken back."""
    result = plan(archived)
    assert result.plan is not None
    assert [step.verb for step in result.plan.steps] == ["extract", "extract"]
    assert result.plan.header.totals.items == len(ONE) + len(TWO)
    assert archived.apply().exit_code == 0, archived.problems()
    assert here(archived) == below("one", ONE) | below("two", TWO)
    assert plan(archived).plan is None
    assert archived.rollback() is not None
    assert here(archived) == {}


def test_only_what_is_missing_is_planned(archived: Scene) -> None:
    """Present files are compared: by time and size, or by reading them."""
    for name, data in below("one", ONE).items():
        path = archived.here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)  # with a time of its own
    result = plan(archived)
    assert result.plan is not None
    (step,) = result.plan.steps
    assert isinstance(step.action, Extract)
    assert step.action.key == "raw/two.tar"


def test_sessions_and_files_are_chosen_by_globs(archived: Scene) -> None:
    """D44: one file of a warm archive."""
    result = plan(archived, 'files: ["flat_*", "sub/*"]\nsessions: ["t*"]')
    assert result.plan is not None
    (step,) = result.plan.steps
    assert [item.key for item in result.plan.items(step.id)] == ["two/flat_001.fits"]
    narrowed = plan(archived, only=("session=o*",))
    assert narrowed.plan is not None
    (step,) = narrowed.plan.steps
    assert isinstance(step.action, Extract)
    assert step.action.key == "raw/one.tar"


def test_a_file_with_other_content_is_in_the_way(archived: Scene) -> None:
    """Invariant 3."""
    path = archived.here / "one" / "a.fits"
    path.parent.mkdir(parents=True)
    for data in (b"x" * 5000, b"short"):
        path.write_bytes(data)
        with pytest.raises(ProblemsError) as caught:
            plan(archived)
        (problem,) = caught.value.problems
        assert (problem.what, problem.found) == (
            "1 files are in the way, with other content",
            "one/a.fits",
        )


def test_two_archives_with_files_of_one_name_are_not_mixed(scene: Scene) -> None:
    """Invariant 6."""
    session(scene, "one", {"A.fits": b"1"})
    plan_archives(scene, ["one"])
    assert scene.apply().exit_code == 0
    session(scene, "ONE", {"a.fits": b"2"})
    plan_archives(scene, ["ONE"])
    assert scene.apply().exit_code == 0
    with pytest.raises(ProblemsError) as caught:
        plan(scene)
    assert [problem.what for problem in caught.value.problems] == [
        "1 files would have the same name on disk"
    ]
    assert plan(scene, 'sessions: ["one"]').plan is not None


def test_an_index_that_is_of_another_archive_is_told(archived: Scene) -> None:
    archived.put("raw/one.tar", b"replaced by hand")
    archived.put("raw/two.tar.index.jsonl", b"{}\n")
    with pytest.raises(ProblemsError) as caught:
        plan(archived)
    (problem,) = caught.value.problems
    assert problem.what == "2 archives have an index that cannot be used"
    assert str(problem.found).startswith("raw/one.tar: the archive is another one by now")


def test_files_of_archives_are_verified_by_planning_again(archived: Scene) -> None:
    plan(archived)
    with pytest.raises(UsageError, match="no catalogue"):
        api.verify(archived.directory / "manifest.yaml")


def test_what_has_no_index_is_told_and_left_alone(archived: Scene) -> None:
    archived.put("raw/old.tar", b"made by another tool")
    assert any("1 object of" in note for note in plan(archived).notes)


def test_hostile_names_of_an_index_stay_in_the_destination(archived: Scene) -> None:
    """Invariant 6, E27: an index that somebody else wrote says where to write."""
    key = "raw/two.tar.index.jsonl"
    body = archived.s3.get_object(Bucket=archived.bucket, Key=key)["Body"].read()
    index = read_index(body)
    names = ("../../outside", "/etc/absolute", ".s3plan/runs/x", "two/../../up", "two/nul")
    member = index.members[0]
    hostile = tuple(replace(member, name=name) for name in names)
    header = replace(index.header, content=content_of(hostile))
    archived.put(key, write_index(header, hostile))
    outside = _outside(archived)
    assert plan(archived, 'sessions: ["two"]').plan is not None
    assert archived.apply().exit_code == 0, archived.problems()
    assert {path.name for path in _outside(archived) - outside} <= {"here"}
    written = {str(p.relative_to(archived.here)) for p in archived.here.rglob("*") if p.is_file()}
    assert {
        "%2E%2E/%2E%2E/outside", "%2F/etc/absolute", "%2Es3plan/runs/x",
        "two/%2E%2E/%2E%2E/up", "two/%6Eul",
    } <= written  # fmt: skip


def _outside(scene: Scene) -> set[Path]:
    """Everything that is there but the destination and what s3plan keeps for itself."""
    own = {"home", ".s3plan", "scratch", "plan.json", "journal.json", "manifest.yaml"}
    return {
        path
        for path in scene.directory.parent.rglob("*")
        if scene.here not in path.parents and not own & set(path.parts)
    }


def test_what_is_asleep_is_asked_for_waited_for_and_extracted(archive: Archive) -> None:
    """D44, A19: request (tier, days), wait, fetch, compare, extract."""
    archive_sessions(archive.scene, storage_class="GLACIER")
    archive.glacier.speed = 7200
    result = plan(archive.scene, "restore: {days: 7, tier: Standard, poll: 1}")
    assert result.plan is not None
    first, *others = result.plan.steps
    assert isinstance(first.action, Restore)
    assert [item.key for item in result.plan.items(first.id)] == ["raw/one.tar", "raw/two.tar"]
    assert [[need.step for need in step.needs] for step in others] == [[first.id]] * 2
    assert archive.scene.apply().exit_code == 0, archive.scene.problems()
    assert sorted(archive.glacier.asked) == [
        ("raw/one.tar", "Standard", 7),
        ("raw/two.tar", "Standard", 7),
    ]
    assert here(archive.scene) == below("one", ONE) | below("two", TWO)
