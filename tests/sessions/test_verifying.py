"""``s3plan verify`` of a SessionArchive: what is there, what it is, and in which class."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.cli import main
from s3plan.model.verification import ArchivesVerified
from tests.engine.conftest import scene
from tests.engine.scene import Scene
from tests.sessions.test_archiving import library, plan

__all__ = ["scene"]  # a fixture

ONE = "raw/2023/20230110_AAAA0000.tar"
TWO = "raw/2024/20240211_AAAA0000.tar"


@pytest.fixture
def archived(scene: Scene) -> Scene:
    """Three sessions, all in S3."""
    library(scene)
    plan(scene)
    assert scene.apply().exit_code == 0, scene.problems()
    return scene


def verify(**options: Any) -> ArchivesVerified:
    return api.verify_archives(Path("manifest.yaml"), **options)


def faults(found: ArchivesVerified) -> list[tuple[str, str]]:
    return sorted((problem.fault, problem.key) for problem in found.problems)


def test_archives_are_held_against_their_indexes(archived: Scene) -> None:
    """D28: all of them, by the checksum that S3 stores; and read whole where asked."""
    found = verify(download=2)
    assert (found.passes, found.sessions, found.archives) == (True, 3, 3)
    assert (found.by_checksum, found.downloaded, found.unindexed) == (3, 2, 0)
    assert main(["verify", "manifest.yaml"]) == 0


def test_each_failure_says_which_it_is(archived: Scene, tmp_path: Path) -> None:
    """D6, D42, E11: missing, changed; and what is only adopted is not called verified."""
    body = archived.s3.get_object(Bucket=archived.bucket, Key=TWO)["Body"].read()
    archived.put(TWO, body[:-1] + b"x")
    archived.delete(f"{ONE}.index.jsonl")
    third = "raw/2024/20240315_AAAA0000.tar"
    archived.delete(third)
    report = tmp_path / "report.jsonl"
    found = verify(report=report)
    assert faults(found) == [("changed", TWO), ("missing", third)]
    assert found.unindexed == 1
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [line["type"] for line in lines] == ["archive-problem"] * 2 + ["archives-verified"]
    assert main(["verify", "manifest.yaml"]) == 3


def test_one_session_is_chosen(archived: Scene) -> None:
    """D29."""
    archived.delete(TWO)
    assert verify(only=["session=2023*"]).archives == 1
    assert main(["verify", "manifest.yaml", "--only", "session=2023*"]) == 0
    assert main(["verify", "manifest.yaml", "--only", "session=20240211*"]) == 3


def test_an_archive_in_another_class_is_told(scene: Scene) -> None:
    """D52: the class expected against the real one."""
    library(scene)
    plan(scene)
    assert scene.apply().exit_code == 0
    text = (scene.directory / "manifest.yaml").read_text()
    key = 'key: "raw/{year}/{session}.tar"'
    assert key in text
    text = text.replace(key, f"{key}, storageClass: STANDARD_IA")
    (scene.directory / "manifest.yaml").write_text(text)
    found = verify()
    assert found.faults == {"wrong-class": 3}
    assert (found.problems[0].expected, found.problems[0].found) == ("STANDARD_IA", "STANDARD")


def test_what_is_about_other_things_is_refused(
    archived: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "manifest.yaml", "--exclude", "bucket=x"]) == 64
    assert "--only session=GLOB" in capsys.readouterr().err
