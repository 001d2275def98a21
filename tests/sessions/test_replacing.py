"""The gate before an archive is replaced: what is verified, what a person approves, what holds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.cli import main
from s3plan.model.events import RunFinished
from tests.engine.conftest import scene, versioned
from tests.engine.scene import Scene
from tests.sessions.fitsfiles import light
from tests.sessions.test_archiving import LONG_AGO, library, plan, write

__all__ = ["scene", "versioned"]  # fixtures

NIGHT = "2023/20230110_AAAA0000"
KEY = f"raw/{NIGHT}.tar"


@pytest.fixture
def archived(versioned: Scene) -> Scene:
    """Three sessions in a bucket that keeps versions."""
    library(versioned)
    plan(versioned)
    assert versioned.apply().exit_code == 0, versioned.problems()
    return versioned


def apply(scene: Scene, **given: str) -> RunFinished:
    """Apply with an approval of the replacement of KEY on that evidence, where one is given."""
    scene.events.clear()
    replaced = {f"{scene.bucket}/{KEY}": value for value in given.values()}
    approval = api.Approval("tester", replacements=replaced)
    return api.apply(Path("plan.json"), approval=approval, observer=scene.events.append)


def labels(scene: Scene) -> dict[str, str]:
    """What becomes of each file, as the plan lists it."""
    lines = [json.loads(line) for line in Path("plan.json").read_text().splitlines()]
    return {
        line["key"].partition("/")[2]: line["label"]
        for line in lines
        if line["type"] == "item" and line["step"].startswith("verify-replacement")
    }


def change(scene: Scene) -> None:
    write(scene, f"{NIGHT}/lights/b.fits", light(camera="mended"), at=LONG_AGO + 60)
    write(scene, f"{NIGHT}/lights/c.fits", light(camera="new"))
    (scene.directory / "library" / NIGHT / "notes.txt").unlink()


def test_what_changes_or_goes_is_listed_and_approved(
    archived: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    """E: a changed session is a visible, gated replacement; the old archive stays a version."""
    scene = archived
    before = scene.objects()[KEY].body
    change(scene)
    plan(scene, "sessions: {missing: list}")
    assert labels(scene) == {
        "lights/a.fits": "same",
        "lights/b.fits": "changed",
        "lights/c.fits": "added",
        "notes.txt": "gone",
    }
    assert apply(scene).exit_code == 4
    gate = scene.gate()
    assert (gate.subject, gate.passes, gate.takes) == (f"{scene.bucket}/{KEY}", True, ("replace",))
    assert gate.figures == {"same": 1, "added": 1, "changed": 1, "gone": 1, "unknown": 0}
    assert scene.objects()[KEY].body == before
    # The command line says what to type, and takes it.
    assert main(["apply", "--approve"]) == 4
    printed = capsys.readouterr()
    option = f"--approve-replace {gate.subject}@{gate.evidence[:16]}"
    assert option in printed.out + printed.err
    assert main(["apply", "--approve", *option.split()]) == 0
    assert scene.objects()[KEY].body != before
    assert plan(scene, "sessions: {missing: list}").plan is None
    assert scene.rollback() is not None
    assert scene.objects()[KEY].body == before


def test_a_file_that_rotted_on_disk_replaces_nothing(archived: Scene) -> None:
    """Same size, same time, other bytes: the archive has the good copy, and keeps it."""
    scene = archived
    write(scene, f"{NIGHT}/lights/c.fits", light(camera="new"))
    path = scene.directory / "library" / NIGHT / "lights/a.fits"
    stat, data = path.stat(), path.read_bytes()
    path.write_bytes(data[:-1] + b"x")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    plan(scene)
    before = scene.objects()[KEY].body
    assert apply(scene).exit_code == 4
    assert not scene.gate().passes
    assert "lights/a.fits has the size and the time" in " ".join(scene.gate().problems)
    assert scene.objects()[KEY].body == before
    # Mended, the same command goes on; nothing of the old archive changes, so nobody is asked.
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert apply(scene).exit_code == 0, scene.problems()
    assert scene.gate().takes == ()


@pytest.mark.parametrize("meanwhile", ["replaced", "index", "versions", "source"])
@pytest.mark.long
def test_what_is_not_as_planned_holds_the_gate(archived: Scene, meanwhile: str) -> None:
    """Invariant 3: the old archive, its index, its bucket and the files are looked at again."""
    scene = archived
    change(scene)
    plan(scene, "sessions: {missing: list}")
    assert apply(scene).exit_code == 4
    evidence = scene.gate().evidence
    said: dict[str, Any] = {"Bucket": scene.bucket}
    match meanwhile:
        case "replaced":
            scene.put(KEY, b"somebody's")
        case "index":
            scene.put(f"{KEY}.index.jsonl", b"somebody's")
        case "versions":
            status = {"Status": "Suspended"}
            scene.s3.put_bucket_versioning(**said, VersioningConfiguration=status)
        case "source":
            write(scene, f"{NIGHT}/lights/c.fits", light(camera="newer"), at=LONG_AGO + 99)
    before = scene.objects()[KEY].body
    assert apply(scene, given=evidence).exit_code == 4
    assert not scene.gate().passes
    assert scene.objects()[KEY].body == before


@pytest.mark.long
def test_what_nobody_knows_of_the_old_archive_is_approved_too(archived: Scene) -> None:
    """An archive without an index that is replaced (--replace): nothing tells what goes."""
    scene = archived
    scene.delete(f"{KEY}.index.jsonl")
    plan(scene, only=["session=2023*"], replace_archives=True)
    assert set(labels(scene).values()) == {"unknown"}
    assert apply(scene).exit_code == 4
    assert scene.gate().figures["unknown"] == 3
    assert apply(scene, given=scene.gate().evidence).exit_code == 0, scene.problems()
