"""Plans whose worklists stand in files: the way there and back, and no way with other files."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from s3plan.engine.mirror import _NAMES
from s3plan.plan.parts import folder_of, name_of
from s3plan.plan.reading import PlanFile
from s3plan.plan.seal import seal
from tests.engine.scene import OBJECTS_ONLY, approval_in
from tests.tamper.conftest import Desk
from tests.tamper.forge import flip

PROJECT = "apiVersion: s3plan/v1\nkind: Project\nspec: {worklistFilesFrom: 2}\n"
COUNT = 7


@pytest.fixture
def parted(fresh: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Seven objects planned for in files of two."""
    monkeypatch.setattr("s3plan.plan.seal._FEWEST", 1)
    monkeypatch.setattr("s3plan.plan.seal._MOST", 2)
    monkeypatch.setattr(seal, "__kwdefaults__", {**(seal.__kwdefaults__ or {}), "parted_from": 2})
    fresh.scene.fill(COUNT)
    fresh.scene.manifest(OBJECTS_ONLY)
    (fresh.directory / "s3plan.yaml").write_text(PROJECT)
    said = fresh.s3plan("plan", "manifest.yaml")
    assert said.code == 0, said
    return fresh


def files(plan: Path) -> list[Path]:
    """The files of a plan's first worklist, in order."""
    return [folder_of(plan) / name_of(part) for part in PlanFile.open(plan).parts]


def test_there_and_back(parted: Desk) -> None:
    """Shown, applied, held at its gate, gone on with by position, taken back."""
    before = parted.scene.objects()
    assert len(files(parted.plan)) == 4
    assert '"item"' not in parted.plan.read_text()
    digest = PlanFile.open(parted.plan).digest

    shown = parted.s3plan("show")
    assert shown.code == 0
    assert f"{COUNT} objects" in shown.out
    assert "plan.json.parts: 4 files (" in shown.out
    step = PlanFile.open(parted.plan).steps[0].id
    listed = parted.s3plan("show", "--step", step, "--start", "3", "--limit", "2", "--json")
    assert [json.loads(line)["n"] for line in listed.out.splitlines()][-2:] == [3, 4], listed.out
    assert parted.s3plan("show", "--markdown").out.count(step) >= 1
    assert parted.s3plan("validate", "plan.json").code == 0
    assert parted.s3plan("plan", "manifest.yaml", "--out", "again.json").code == 0
    assert PlanFile.open(parted.directory / "again.json").digest == digest
    assert "nothing changed" in parted.s3plan("diff", "plan.json", "again.json").out.lower()

    ran = parted.s3plan("apply", "--approve", digest)
    assert ran.code == 4, ran
    assert len(parted.scene.files()) == COUNT
    shutil.rmtree(folder_of(parted.plan))  # the run has its own
    kept = parted.run.plan
    said = parted.s3plan(
        "apply",
        os.path.relpath(kept),
        "--approve",
        "--approve-delete",
        approval_in(ran.err + ran.out),
    )
    assert said.code == 0, said
    assert parted.scene.objects() == {}
    assert parted.s3plan("status").code == 0
    assert f"{COUNT}" in parted.s3plan("query", "SELECT count(*) FROM objects").out
    back = parted.s3plan("rollback", "journal.json", "--approve")
    assert back.code == 0, back
    assert parted.scene.objects() == before
    rollback = PlanFile.open(parted.run.rollback_plan)
    assert rollback.parts, "the plan of a rollback has files of its own"
    names = [
        os.path.relpath(path, parted.run.folder)
        for path in (*files(kept), *files(rollback.path), kept, rollback.path)
    ]
    assert all(map(_NAMES.fullmatch, names)), "a mirror has all of them"
    parted.scene.put("last")  # so that the bucket is as the fixture wants it


Edit = Callable[[list[Path]], object]


def _swapped(paths: list[Path]) -> None:
    aside = paths[0].with_name("aside")
    paths[0].rename(aside)
    paths[1].rename(paths[0])
    aside.rename(paths[1])


def _as_another(paths: list[Path]) -> None:
    shutil.copy(paths[2], paths[1])


EDITS: list[tuple[Edit, str]] = [
    (lambda paths: flip(paths[0], 100), "edited or damaged"),
    (lambda paths: flip(paths[3], 5), "edited or damaged"),
    (lambda paths: os.truncate(paths[1], 100), "edited or damaged"),
    (lambda paths: paths[1].unlink(), "missing"),
    (lambda paths: paths[3].rename(paths[3].with_name("x.parquet")), "missing"),
    (lambda paths: shutil.rmtree(paths[0].parent), "missing"),
    (_swapped, "edited or damaged"),
    (_as_another, "edited or damaged"),
]


def test_a_plan_with_other_files_is_refused_before_anything(parted: Desk) -> None:
    folder = folder_of(parted.plan)
    kept = shutil.copytree(folder, folder.with_name("kept"))
    for edit, told in EDITS:
        edit(files(parted.plan))
        said = parted.s3plan("apply", "--approve")
        assert (said.code, said.out) == (1, ""), said
        assert "error[plan-file]" in said.err
        assert told in said.err
        assert "at: plan.json.parts/" in said.err, "the file is named"
        assert "next: copy " in said.err
        assert parted.scene.files() == {}, "nothing was done"
        runs = parted.directory / ".s3plan" / "runs"
        assert not runs.exists() or not list(runs.iterdir()), "and no run was begun"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(kept, folder)
    assert parted.s3plan("apply", "--approve").code == 4, "the files that belong to it"


@pytest.mark.long
def test_a_run_whose_file_is_damaged_does_nothing_of_it(parted: Desk) -> None:
    """In the middle of a run, with nobody to copy it again: what comes from the other files is
    done, and the run goes on once the file is back.
    """
    assert parted.s3plan("apply", "--approve").code == 4
    kept = files(parted.run.plan)[3]
    whole = kept.read_bytes()
    flip(kept, len(whole) // 2)
    parted.scene.put("sentinel")
    said = parted.s3plan("apply", "--approve")
    assert said.code in {1, 3}, said
    assert "edited or damaged" in said.err
    assert len(parted.scene.objects()) == COUNT + 1
    kept.write_bytes(whole)
    parted.scene.delete("sentinel")
    assert parted.s3plan("apply", "--approve").code == 4


def test_a_plan_that_is_more_than_one_file_does_not_come_by_standard_input(
    parted: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Input:
        buffer = io.BytesIO(parted.plan.read_bytes())

        @staticmethod
        def isatty() -> bool:
            return False

    monkeypatch.setattr("sys.stdin", Input)
    said = parted.s3plan("apply", "-", "--approve")
    assert said.code == 64, said
    assert "standard input" in said.err
    assert "s3plan apply plan.json" in said.err
