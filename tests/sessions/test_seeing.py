"""Lists, status and reports of sessions: what is archived, where it lies, what is left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from s3plan import api
from s3plan.cli import main
from tests.engine.conftest import moto_scene, scene
from tests.engine.scene import Scene
from tests.sessions.test_archiving import apply, library, plan, write

__all__ = ["moto_scene", "scene"]  # fixtures


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_a_list_of_sessions(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """D31, D32, D33, E13: id, date, camera, telescope, archived, size; by year; without one."""
    library(scene)
    write(scene, "2024/20240315_AAAA0000/lights/c.fits", _light(TELESCOP="FSQ-106"))
    apply(scene, plan(scene, only=["session=2023*"]))
    capsys.readouterr()
    lines = run(capsys, "list", "sessions", "manifest.yaml").splitlines()
    assert [line.split()[0] for line in lines[1:]] == [
        "20230110_AAAA0000",
        "20240211_AAAA0000",
        "20240315_AAAA0000",
    ]
    assert "2023-01-10" in lines[1]
    assert "yes" in lines[1]
    assert "FSQ-106" in lines[3]
    found = run(capsys, "list", "sessions", "manifest.yaml", "--not-archived", "--format", "csv")
    assert [line.split(",")[0] for line in found.splitlines()[1:]] == [
        "20240211_AAAA0000",
        "20240315_AAAA0000",
    ]
    of_year = run(capsys, "list", "sessions", "manifest.yaml", "--year", "2023")
    assert len(of_year.splitlines()) == 2


def _light(**cards: str) -> bytes:
    from tests.sessions.fitsfiles import light

    return light(**cards)


def test_sessions_by_year(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """D21: per year sessions, files, size, average, and the time that the upload takes."""
    library(scene)
    write(scene, "2024/20240315_AAAA0000/big", b"x" * 900_000)
    apply(scene, plan(scene, only=["session=2023*"]))
    capsys.readouterr()
    text = run(capsys, "report", "sessions", "manifest.yaml", "--mbps", "0.001", "--format", "json")
    years = {row["year"]: row for row in json.loads(text)["sections"]["years"]}
    assert (years["2023"]["sessions"], years["2023"]["archived"], years["2023"]["files"]) == (
        1,
        1,
        3,
    )
    assert years["2023"]["upload_hours"] == 0
    assert years["2024"]["average"] == years["2024"]["bytes"] // 2
    # 8 bits a byte, 1,000 bits a second.
    assert years["all"]["upload_hours"] == pytest.approx(
        years["all"]["left"] * 8 / 1000 / 3600, 0.1
    )


def test_the_status_of_a_manifest(moto_scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """D30, D52: percent, sizes, classes expected and real, transition date, state of a restore."""
    library(moto_scene)
    apply(moto_scene, plan(moto_scene, "lifecycle: {policy: fast}", only=["session=2023*"]))
    key = "raw/2024/20240211_AAAA0000.tar"
    moto_scene.put(key, b"of the replaced tool", StorageClass="DEEP_ARCHIVE")
    capsys.readouterr()
    text = run(capsys, "--json", "status", "manifest.yaml")
    found = json.loads(text)
    assert found["facts"][f"{moto_scene.bucket}: archived"] == "2 (66.7 %)"
    rows = {row["session"]: row for row in found["sections"]["archives"]}
    ours, theirs = rows["20230110_AAAA0000"], rows["20240211_AAAA0000"]
    assert (ours["class"], ours["expected"], theirs["class"]) == (
        "STANDARD",
        "STANDARD",
        "DEEP_ARCHIVE",
    )
    assert ours["transition"] > ours["archived"][:10]
    assert (theirs["state"], theirs["restore"]) == ("adopted", None)
    moto_scene.s3.restore_object(
        Bucket=moto_scene.bucket,
        Key=key,
        RestoreRequest={"Days": 3, "GlacierJobParameters": {"Tier": "Bulk"}},
    )
    (asked,) = [one for one in api.sessions(Path("manifest.yaml"), restores=True) if one.restore]
    assert asked.session == "20240211_AAAA0000"
    # People read the same.
    assert "20230110_AAAA0000" in run(capsys, "status", "manifest.yaml")


@pytest.mark.long
def test_what_is_gone_from_disk_is_retained(scene: Scene) -> None:
    library(scene)
    apply(scene, plan(scene))
    for path in sorted((scene.directory / "library/2023").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (gone,) = [one for one in api.sessions(Path("manifest.yaml")) if one.state == "retained"]
    assert (gone.session, gone.files, gone.date) == ("20230110_AAAA0000", 3, "2023-01-10")
    assert gone.camera is not None
    assert plan(scene).plan is None


def test_only_a_manifest_of_sessions_has_sessions(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.manifest()
    assert main(["list", "sessions", "manifest.yaml"]) == 64
    assert "one document of kind SessionArchive" in capsys.readouterr().err
