"""`s3plan report`: what happened, for people, spreadsheets and programs."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.cli import main
from s3plan.engine.reports import REPORTS
from s3plan.errors import UsageError
from tests.engine.scene import COPY_ONLY, OBJECTS_ONLY, WHOLE, Scene
from tests.offline.evacuated import evacuate, rot

JSON = dict[str, Any]


def read(name: str, **options: Any) -> tuple[JSON, dict[str, list[JSON]]]:
    """Facts and sections of a report."""
    with api.report(name, **options) as made:
        sections = {
            section.name: [
                dict(zip([c.name for c in section.columns], row, strict=True))
                for row in section.rows
            ]
            for section in made.sections
        }
        return dict(made.facts), sections


def failed(scene: Scene, count: int = 1) -> None:
    """A run some of whose downloads met other files."""
    for number in range(count):
        scene.put(f"blocked-{number:02}", b"content")
    scene.put("fine", b"fine")
    scene.plan(COPY_ONLY)
    scene.copies.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (scene.copies / f"blocked-{number:02}").write_bytes(b"another")
    assert scene.apply().outcome == "incomplete"


# --- inventory ------------------------------------------------------------------------------------


def test_the_inventory_counts_by_class_and_bucket_before_anything_is_run(scene: Scene) -> None:
    """Requirement A70, from the plan alone."""
    scene.put("a", b"xx")
    scene.put("b", b"yyy", StorageClass="GLACIER_IR")
    scene.put("c", b"z", StorageClass="GLACIER_IR")
    scene.plan(COPY_ONLY)
    facts, sections = read("inventory")
    assert (facts["objects"], facts["bytes"], facts["buckets"]) == (3, 6, 1)
    assert sections["classes"] == [
        {"bucket": scene.bucket, "storage_class": "GLACIER_IR", "objects": 2, "bytes": 4},
        {"bucket": scene.bucket, "storage_class": "STANDARD", "objects": 1, "bytes": 2},
    ]
    [bucket] = sections["buckets"]
    assert (bucket["objects"], bucket["on_disk"], bucket["largest"]) == (3, 0, 3)
    assert [row["key"] for row in sections["largest"]] == ["b", "a", "c"]


def test_the_inventory_of_a_destination_needs_no_run(tmp_path: Path) -> None:
    evacuate(tmp_path, "b", {"k": b"four"}, storage_class="STANDARD_IA")
    facts, sections = read("inventory", source=tmp_path)
    assert (facts["objects"], facts["bytes"]) == (1, 4)
    assert sections["classes"][0]["storage_class"] == "STANDARD_IA"
    assert sections["buckets"][0]["on_disk"] == 1


# --- errors ---------------------------------------------------------------------------------------


def test_every_failure_has_its_key_its_reason_and_what_to_type(scene: Scene) -> None:
    """Requirements A38 and A75."""
    failed(scene, 12)
    facts, sections = read("errors")
    assert (facts["failures"], facts["outcome"]) == (12, "incomplete")
    assert [row["key"] for row in sections["failures"]] == [f"blocked-{n:02}" for n in range(12)]
    first = sections["failures"][0]
    assert (first["bucket"], first["verb"], first["reason"]) == (
        scene.bucket, "download", "occupied",
    )  # fmt: skip
    assert first["next_step"].startswith("s3plan apply ")
    assert sections["steps"][0]["state"] == "incomplete"
    for number in range(12):
        (scene.copies / f"blocked-{number:02}").unlink()
    typed = first["next_step"].removeprefix("s3plan ").split()
    ran = scene.s3plan(*typed)
    assert ran.code == 0, "what the report says to type mends it"
    assert read("errors")[1]["failures"] == []


def test_the_screen_shows_the_first_errors_and_a_file_all(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    """Requirement A75."""
    failed(scene, 12)
    assert main(["report", "errors"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("next_step: ") == 10
    assert "... and 2 more" in shown
    assert main(["report", "errors", "--max-errors", "1"]) == 0
    assert "... and 11 more" in capsys.readouterr().out
    assert main(["report", "errors", "--out", "errors.txt"]) == 0
    assert Path("errors.txt").read_text().count("next_step: ") == 12
    assert main(["report", "errors", "--format", "csv"]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert sum(row[:2] == [scene.bucket, "download"] and len(row) == 8 for row in rows) == 12


def test_drift_asks_for_another_plan(scene: Scene) -> None:
    scene.put("k", b"before")
    scene.plan(COPY_ONLY)
    scene.put("k", b"after!")
    scene.apply()
    [failure] = read("errors")[1]["failures"]
    assert (failure["outcome"], failure["next_step"]) == ("drifted", "s3plan plan again")


# --- closeout -------------------------------------------------------------------------------------


def test_a_closeout_says_complete_equal_checked_and_where_the_journal_is(scene: Scene) -> None:
    """Requirement A82."""
    scene.fill(9)
    scene.put("marker/", b"")
    assert scene.apply(delete=scene.apply_to_gate(WHOLE)).outcome == "done"
    facts, sections = read("closeout", sample=4, seed="june")
    assert facts["complete"] is True
    assert facts["structure_equal"] is True
    assert facts["spot_check_passed"] is True
    assert (facts["spot_check_files"], facts["spot_check_seed"]) == (4, "june")
    run = scene.run()
    assert facts["journal_archived_in"] == str(run.folder)
    assert len(sections["spot_check"]) == 4
    files = {row["file"]: row["sha256"] for row in sections["journal"]}
    assert files["journal.json"] == hashlib.sha256(run.journal.read_bytes()).hexdigest()
    assert files["plan.json"] == hashlib.sha256(run.plan.read_bytes()).hexdigest()
    assert any(name.startswith("evidence/") for name in files)
    [bucket] = sections["buckets"]
    assert (bucket["missing"], bucket["extra"], bucket["delete_complete"]) == (0, 0, True)
    assert [row["approver"] for row in sections["approvals"]] == ["tester"]
    assert [row["role"] for row in sections["sign_off"]] == ["done by", "checked by"]


@pytest.mark.long
def test_the_sample_follows_from_the_seed(scene: Scene) -> None:
    scene.fill(40)
    scene.plan(COPY_ONLY)
    scene.apply()

    def drawn(seed: str) -> list[str]:
        return [row["key"] for row in read("closeout", sample=5, seed=seed)[1]["spot_check"]]

    assert drawn("a") == drawn("a")
    assert drawn("a") != drawn("b")
    keys = [row["key"] for row in read("inventory")[1]["largest"]]
    assert len(drawn("")) == 5
    mine = sorted(
        {*keys, *(f"d{n % 3}/object-{n:04}.txt" for n in range(40))},
        key=lambda key: hashlib.sha256(f"a\n{scene.bucket}\n{key}".encode()).hexdigest(),
    )
    assert drawn("a") == sorted(mine[:5]), "as the documentation says that it is drawn"


def test_a_closeout_tells_what_is_wrong(scene: Scene) -> None:
    scene.fill(6)
    scene.plan(OBJECTS_ONLY)
    assert scene.apply().outcome == "held"
    files = sorted(path for path in scene.copies.rglob("*") if path.is_file())
    rot(files[0])
    files[1].unlink()
    files[2].write_bytes(b"")
    (scene.copies / "stray").write_bytes(b"")
    facts, sections = read("closeout", sample=100)
    assert facts["complete"] is False
    assert facts["structure_equal"] is False
    assert facts["spot_check_passed"] is False
    assert [row["fault"] for row in sections["structure"]] == ["extra", "missing", "other size"]
    wrong = [row["found"] for row in sections["spot_check"] if row["found"] != "as recorded"]
    assert sorted(wrong) == ["mismatched", "mismatched", "missing"]
    [bucket] = sections["buckets"]
    assert (bucket["missing"], bucket["extra"]) == (2, 1)


def test_a_closeout_is_about_a_run(tmp_path: Path) -> None:
    evacuate(tmp_path, "b", {"k": b"x"})
    for name in ("closeout", "errors"):
        with pytest.raises(UsageError, match="about a run"):
            read(name, source=tmp_path)


# --- all of them ----------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("name", REPORTS)
def test_every_report_has_every_format_and_can_be_given_away(
    scene: Scene, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Requirement A43. Nothing that names a bucket, a key, a place or a person is left."""
    scene.put("secret-key", b"x", StorageClass="GLACIER_IR")
    scene.put("=secret()", b"x")
    failed(scene)
    for form in ("text", "csv", "json", "markdown"):
        assert main(["report", name, "--format", form]) == 0
        plain = capsys.readouterr().out
        assert scene.bucket in plain or name not in {"inventory", "errors", "closeout"}
        if form == "json":
            parsed = json.loads(plain)
            # Figures alone are a plain object: programs of others read them (row B8).
            if name != "migration-summary":
                assert parsed["report"] == name
                assert all(isinstance(rows, list) for rows in parsed["sections"].values())
        assert main(["report", name, "--format", form, "--redact"]) == 0
        redacted = capsys.readouterr().out
        for word in ("secret", "blocked", scene.bucket, str(scene.directory), "tester"):
            assert word not in redacted, (form, word)


def test_a_report_appears_whole_or_not_at_all(scene: Scene) -> None:
    failed(scene)
    Path("report.md").write_text("older")
    assert main(["report", "closeout", "--out", "report.md"]) == 0
    assert Path("report.md").read_text().startswith("# Closeout of run ")
    Path("report.md").write_text("older")
    scene.here.rename(scene.directory / "unplugged")
    assert main(["report", "closeout", "--out", "report.md"]) == 1
    assert Path("report.md").read_text() == "older"
