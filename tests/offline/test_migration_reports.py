"""Reports of a migration by type: exactly the names, columns and keys that checklists ask for."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.cli import main
from tests.engine.conftest import enter
from tests.engine.scene import Scene, open_scene
from tests.engine.test_tables import MANIFEST
from tests.servers import Server


@pytest.fixture(scope="module")
def migrated(
    seaweed: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Scene, Path]]:
    """A migration with one file that was changed after the plan, and its reports in a directory."""
    folder = tmp_path_factory.mktemp("migrated")
    with pytest.MonkeyPatch.context() as patch, open_scene(seaweed, folder) as scene:
        enter(scene, patch)
        scene.put("472/Kaioxys_DarkMacro/youtube_69XL3TrD6mE.mp3", b"audio")
        scene.put("7/=Ann/cv.pdf", b"cv")
        scene.put("7/=Ann/changed.mp3", b"1")
        scene.put_in_parts("7/=Ann/film.mp4", [b"a" * (5 << 20), b"b"])
        (scene.directory / "manifest.yaml").write_text(
            MANIFEST.format(
                endpoint=scene.server.endpoint, region=scene.server.region, bucket=scene.bucket
            ).partition("  catalog:")[0]
        )
        api.plan([Path("manifest.yaml")])
        scene.put("7/=Ann/changed.mp3", b"2")
        assert scene.apply().exit_code == 3
        assert main(["report", "migration", "--out", "reports"]) == 0
        yield scene, scene.directory / "reports"


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


def test_every_report_has_its_file(migrated: tuple[Scene, Path]) -> None:
    """B7, B8, B14, B18, B38, B39, B48, B55."""
    _, folder = migrated
    assert {path.name for path in folder.iterdir()} == {
        "migration_log.csv", "migration_summary.json", "inventory_checksums.csv",
        "inventory_report.json", "verification_report.csv", "rollback_plan.json", "ROLLBACK.md",
        "mapping.csv", "comparison.json", "comparison.md", "certificate.json", "certificate.md",
    }  # fmt: skip


def test_the_log_has_exactly_its_columns(migrated: tuple[Scene, Path]) -> None:
    """B7, B13, B32: every file, also the one that failed, with the reason."""
    scene, folder = migrated
    text = (folder / "migration_log.csv").read_text()
    assert text.splitlines()[0] == (
        "row_id,person_name,old_s3_path,new_s3_path,file_type,file_size,md5_hash,copy_timestamp,"
        "verification_status,error_message"
    )
    rows = {
        row["old_s3_path"].rpartition("/")[2]: row for row in _rows(folder / "migration_log.csv")
    }
    audio = rows["youtube_69XL3TrD6mE.mp3"]
    bucket = scene.bucket
    assert audio == {
        "row_id": "472",
        "person_name": "Kaioxys_DarkMacro",
        "old_s3_path": f"s3://{bucket}/472/Kaioxys_DarkMacro/youtube_69XL3TrD6mE.mp3",
        "new_s3_path": f"s3://{bucket}/audio/472_Kaioxys_DarkMacro_youtube_69XL3TrD6mE.mp3",
        "file_type": "audio",
        "file_size": "5",
        "md5_hash": hashlib.md5(b"audio", usedforsecurity=False).hexdigest(),
        "copy_timestamp": audio["copy_timestamp"],
        "verification_status": "verified",
        "error_message": "",
    }
    assert audio["copy_timestamp"].startswith("20")
    assert rows["film.mp4"]["md5_hash"] == ""
    assert rows["film.mp4"]["error_message"] == (
        "no MD5: the ETag is none, the copy was compared by CRC64NVME; checksums: compute has it"
        " read"
    )
    assert rows["changed.mp3"]["verification_status"] == "drifted"
    assert "changed after the plan" in rows["changed.mp3"]["error_message"]
    assert not rows["cv.pdf"]["person_name"].startswith("="), "a spreadsheet sees no formula"


def test_the_summary_has_exactly_its_keys(migrated: tuple[Scene, Path]) -> None:
    """B8."""
    found = _json(migrated[1] / "migration_summary.json")
    assert list(found) == [
        "total_files_to_migrate", "files_copied", "files_verified", "files_failed", "start_time",
        "end_time",
    ]  # fmt: skip
    assert [found[name] for name in list(found)[:4]] == [4, 3, 3, 1]


def test_the_inventories_count_by_type_and_person(migrated: tuple[Scene, Path]) -> None:
    """B14, B16, B18."""
    _, folder = migrated
    checksums = _rows(folder / "inventory_checksums.csv")
    assert list(checksums[0])[:5] == ["key", "size", "last_modified", "etag", "md5_hash"]
    assert len(checksums) == 4
    found = _json(folder / "inventory_report.json")
    assert found["facts"] == {"files": 4, "persons": 2}
    types = {row["file_type"]: row["files_before"] for row in found["sections"]["types"]}
    assert types == {"audio": 2, "documents": 1, "video": 1}


def test_the_verification_says_by_what_each_copy_was_compared(
    migrated: tuple[Scene, Path],
) -> None:
    """B37, B38: mismatches are flagged."""
    rows = _rows(migrated[1] / "verification_report.csv")
    by = {row["old_s3_path"].rpartition("/")[2]: row for row in rows}
    assert by["cv.pdf"]["compared_by"] == "MD5"
    assert by["film.mp4"]["compared_by"] == "CRC64NVME"
    assert {name for name, row in by.items() if row["mismatch"] == "true"} == {"changed.mp3"}
    types = _json(migrated[1] / "comparison.json")["sections"]["types"]
    assert {row["file_type"]: row["missing"] for row in types}["audio"] == 1


def test_the_way_back_names_every_copy_and_the_command(migrated: tuple[Scene, Path]) -> None:
    """B39."""
    scene, folder = migrated
    found = _json(folder / "rollback_plan.json")
    assert found["facts"]["command"].startswith("s3plan rollback ")
    assert len(found["sections"]["copies"]) == 4
    assert "s3plan rollback" in (folder / "ROLLBACK.md").read_text()
    assert scene.run().id in (folder / "ROLLBACK.md").read_text()


def test_the_certificate_has_the_journals_digest_and_room_to_sign(
    migrated: tuple[Scene, Path],
) -> None:
    """B55: and it does not claim what is not so."""
    scene, folder = migrated
    facts = _json(folder / "certificate.json")["facts"]
    digest = hashlib.sha256(scene.run().journal.read_bytes()).hexdigest()
    assert facts["journal_sha256"] == digest
    assert facts["every_file_verified"] is False
    page = (folder / "certificate.md").read_text()
    assert "Sign-off" in page
    assert "signature" in page
    assert digest in page


@pytest.mark.long
def test_names_can_be_tokens(migrated: tuple[Scene, Path]) -> None:
    """Invariant 7: a report that is given away names nobody."""
    scene, folder = migrated
    out = folder.parent / "redacted"
    assert main(["report", "migration", "--out", str(out), "--redact"]) == 0
    everything = "".join(path.read_text() for path in out.iterdir())
    for name in ("Kaioxys", "69XL3TrD6mE", "Ann", scene.bucket):
        assert name not in everything, name
