"""The four tables of astro_cat, from journals: columns as its users know them, and filled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.cli import main
from tests.engine.conftest import moto_scene, scene
from tests.engine.scene import Scene
from tests.sessions.test_archiving import apply, library, plan
from tests.sessions.test_files import NOTES, beside

__all__ = ["moto_scene", "scene"]  # fixtures


def rows(view: str) -> list[dict[str, Any]]:
    with api.query(f"SELECT * FROM {view}") as answer:
        names = [column.name for column in answer.columns]
        return [dict(zip(names, row, strict=True)) for row in answer.rows]


def test_every_run_is_in_the_history(moto_scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """D5, D12, D46: archives, notes, log and statistics over all runs of the directory.

    D20: nobody makes these tables; the first run is enough.
    """
    scene = moto_scene
    library(scene)
    beside(scene, "notes/2023/20230110_AAAA0000_notes.md", b"clear")
    apply(scene, plan(scene, f"lifecycle: {{policy: fast}}\n{NOTES}", limit=1))
    for view in ("archives", "session_notes", "log", "stats"):
        assert rows(f"s3_backup_{view}")
    apply(scene, plan(scene, NOTES, limit=1))
    first, second = rows("s3_backup_archives")
    assert [first["session_id"], second["session_id"]] == [
        "20230110_AAAA0000",
        "20240211_AAAA0000",
    ]
    assert first["session_date"] == "2023-01-10"
    assert first["session_year"] == "2023"
    assert (first["archive_policy"], first["current_storage_class"]) == ("fast", "STANDARD")
    assert (first["expected_storage_class"], first["verification_method"]) == (
        "STANDARD",
        "full-object",
    )
    assert first["transition_date"] > first["uploaded_at"][:10]
    assert first["camera_name"] == "ASI2600MM"
    assert (first["file_count"], first["verified"]) == (3, True)
    assert first["s3_etag"] == scene.s3.head_object(Bucket=scene.bucket, Key=first["s3_key"])[
        "ETag"
    ].strip('"')
    empty = {name for name, value in first.items() if value is None}
    assert empty == {
        "s3_version_id",
        "backup_policy",
        "restore_requested_at",
        "restore_expires_at",
        "restore_status",
        "restore_tier",
        "telescope_name",
        "notes",
    }
    (note,) = rows("s3_backup_session_notes")
    assert (note["session_id"], note["year"], note["file_size_bytes"]) == (
        "20230110_AAAA0000",
        "2023",
        5,
    )
    log = rows("s3_backup_log")
    assert [one["operation_type"] for one in log].count("upload") == 3
    assert {one["operation_status"] for one in log} == {"success"}
    stats = {one["period_type"]: one for one in rows("s3_backup_stats")}
    assert set(stats) == {"daily", "weekly", "monthly"}
    assert (stats["daily"]["total_archives"], stats["daily"]["uploads_count"]) == (2, 3)
    capsys.readouterr()
    assert main(["report", "log", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["facts"] == {"events": len(log), "archives": 2}
    # What was taken back is no archive, and is in the log.
    assert scene.rollback() is not None
    assert [one["session_id"] for one in rows("s3_backup_archives")] == ["20230110_AAAA0000"]
    assert "delete" in {one["operation_type"] for one in rows("s3_backup_log")}


@pytest.mark.long
def test_names_can_be_tokens(scene: Scene) -> None:
    """A report that is given away names no bucket, key or session."""
    library(scene)
    apply(scene, plan(scene, limit=1))
    with api.query("SELECT * FROM s3_backup_archives", redacted=True) as answer:
        (row,) = answer.rows
    text = " ".join(map(str, row))
    assert scene.bucket not in text
    assert "20230110_AAAA0000" not in text


def test_a_failed_upload_is_in_the_log(scene: Scene) -> None:
    """With its reason; and it is no archive."""
    library(scene)
    plan(scene, limit=1)
    (scene.directory / "library/2023/20230110_AAAA0000/notes.txt").write_bytes(b"changed")
    assert scene.apply().exit_code == 3
    assert rows("s3_backup_archives") == []
    (event,) = rows("s3_backup_log")
    assert (event["operation_status"], event["session_id"]) == ("failed", "20230110_AAAA0000")
    assert event["error_code"]
    assert "notes.txt" in event["error_message"]
    assert Path("journal.json").exists()
