"""``init sessions`` and ``import s3_config.json``: a start, and what users of astro_cat bring."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from s3plan import api
from s3plan.cli import main
from s3plan.errors import ProblemsError

DEFAULTS: dict[str, Any] = {
    "_comment": "as init-config writes it",
    "enabled": True,
    "aws_region": "ca-west-1",
    "buckets": {"primary": "astro-primary", "backup": "astro-backup", "_comment": "two"},
    "s3_paths": {
        "raw_archives": "backups/raw",
        "session_notes": "backups/sessions",
        "processing_notes": "backups/processing",
        "final_outputs": "backups/final",
        "database_backups": "backups/database",
    },
    "backup_rules": {
        "raw_lights": {
            "archive_policy": "fast",
            "backup_policy": "deep",
            "archive_days": 7,
            "storage_class": "DEEP_ARCHIVE",
        },
        "raw_calibration": {"archive_policy": "fast", "backup_policy": "deep", "archive_days": 7},
        "imaging_sessions": {
            "archive_policy": "standard",
            "backup_policy": "deep",
            "archive_days": 30,
        },
        "processing_sessions": {
            "archive_policy": "delayed",
            "backup_policy": "flexible",
            "archive_days": 90,
            "storage_class": "GLACIER_FLEXIBLE_RETRIEVAL",
        },
    },
    "upload_settings": {
        "multipart_threshold_mb": 100,
        "multipart_chunksize_mb": 25,
        "max_concurrency": 4,
        "use_threads": True,
        "max_bandwidth_mbps": None,
    },
    "restore_settings": {"default_tier": "Standard", "default_days": 7, "restore_path": "x"},
    "archive_settings": {
        "compression_level": 0,
        "use_pigz": True,
        "verify_after_upload": True,
        "keep_archive_index": True,
        "max_archive_size_gb": 50,
        "temp_dir": ".tmp/backup_archives",
    },
    "retry_settings": {"max_retries": 3},
    "logging": {"uploads": True},
    "cost_tracking": {"track_costs": True},
    "notifications": {"email_on_complete": False, "email_address": None, "email_on_error": False},
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def imported(config: dict[str, Any], *, leave_out: bool = False) -> tuple[str, list[Any]]:
    Path("s3_config.json").write_text(json.dumps(config))
    text = api.import_configuration(Path("s3_config.json"), leave_out=leave_out)
    return text, list(yaml.safe_load_all(text))


def test_the_defaults_are_taken_over_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """D19, D47: every field is in the manifest, or is what s3plan does anyway; and it is valid."""
    text, (connection, archive) = imported(DEFAULTS)
    assert connection["spec"] == {"region": "ca-west-1", "limits": {"connections": 4}}
    spec = archive["spec"]
    assert spec["target"] == {
        "bucket": "astro-primary",
        "key": "backups/raw/{year}/{session}.tar",
    }
    assert spec["replica"] == {"bucket": "astro-backup"}
    assert spec["archive"] == {"compression": "none", "maxSize": 50 * 1000**3}
    assert spec["lifecycle"] == {
        "id": "archive-fast-deep",
        "tags": {"archive_policy": "fast", "backup_policy": "deep"},
        "transitions": [{"days": 7, "storageClass": "DEEP_ARCHIVE"}],
    }
    assert spec["extras"][0]["lifecycle"]["transitions"] == [
        {"days": 90, "storageClass": "GLACIER"},
        {"days": 180, "storageClass": "DEEP_ARCHIVE"},
    ]
    # E4: what the tool documents and what it does differ, and a person is told.
    assert "the documented rules match nothing" in text
    Path("manifest.yaml").write_text(text)
    assert main(["import", "s3_config.json"]) == 0
    assert capsys.readouterr().out == text
    (_, found) = api.validate([Path("manifest.yaml")], variables={"LIBRARY": "library"})
    assert found.kind == "SessionArchive"


def test_what_cannot_be_honoured_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    """D47, E14: no setting is read and ignored."""
    config = json.loads(json.dumps(DEFAULTS))
    config["notifications"] |= {"email_on_error": True, "email_address": "me@example.org"}
    config["archive_settings"]["verify_after_upload"] = False
    config["upload_settings"]["multipart_chunksize_mb"] = 8
    config["backup_rules"]["raw_calibration"]["archive_days"] = 3
    config["backup_rules"]["imaging_sessions"]["storage_class"] = "GLACIER"
    config["upload_settings"]["colour"] = "blue"
    with pytest.raises(ProblemsError) as refused:
        imported(config)
    named = {one.what.split(" ")[0] for one in refused.value.problems}
    assert named == {
        "notifications.email_on_error",
        "notifications.email_address",
        "archive_settings.verify_after_upload",
        "upload_settings.multipart_chunksize_mb",
        "upload_settings.colour",
        "backup_rules.raw_calibration.archive_days",
        "backup_rules.imaging_sessions.storage_class",
    }
    text, _ = imported(config, leave_out=True)
    assert "# left out: notifications.email_on_error: define a command in s3plan.yaml" in text
    assert main(["import", "s3_config.json"]) == 1
    assert "archives are always verified" in capsys.readouterr().err


def test_other_values_are_taken_over() -> None:
    config = json.loads(json.dumps(DEFAULTS))
    config["enabled"] = False
    config["buckets"] = {"primary": "one"}
    config["archive_settings"]["compression_level"] = 6
    config["upload_settings"]["max_bandwidth_mbps"] = 80
    _, (connection, archive) = imported(config)
    assert connection["spec"]["limits"]["bandwidth"] == 10_000_000
    assert archive["spec"]["enabled"] is False
    assert archive["spec"]["target"]["key"].endswith(".tar.gz")
    assert "replica" not in archive["spec"]


def test_what_is_no_configuration_is_refused() -> None:
    with pytest.raises(ProblemsError, match="cannot be imported"):
        imported({"a": 1})


def test_a_start_for_sessions(capsys: pytest.CaptureFixture[str]) -> None:
    """D18: a manifest that is valid as it stands; files that are there are kept."""
    assert main(["init", "sessions"]) == 0
    assert capsys.readouterr().out
    variables = yaml.safe_load(Path("local.yaml").read_text())
    (_, archive) = api.validate([Path("manifest.yaml")], variables=variables)
    assert archive.kind == "SessionArchive"
    assert main(["init"]) == 0
    assert "SessionArchive" in Path("manifest.yaml").read_text()


def test_only_what_can_be_imported_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "bucket-lifecycle"]) == 64
    assert main(["import", "everything", "bucket"]) == 64
    assert "s3_config.json" in capsys.readouterr().err
