"""`s3plan query`: plan, journal and catalogues as tables that anybody may ask and nobody change."""

from __future__ import annotations

import hashlib
import hmac
import html
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.cli import main
from s3plan.engine.history import find_source, open_history
from s3plan.engine.redaction import redaction_key
from s3plan.errors import CatalogueError, JournalError, UsageError
from s3plan.model.events import AnyEvent, Warned
from s3plan.rules.classes import ARCHIVED_CLASSES
from tests.engine.scene import COPY_ONLY, WHOLE, Scene
from tests.offline.evacuated import evacuate

DOCS = Path(__file__).parents[2] / "docs/query.md"
EXAMPLES = re.findall(r"```sql\n(.*?)```", DOCS.read_text(), re.DOTALL)
OUTSIDE = [
    "FROM read_text('/etc/passwd')",
    "FROM '/etc/passwd'",
    "FROM read_csv('/etc/passwd')",
    "FROM read_parquet('https://example.org/x')",
    "FROM glob('/*')",
    "FROM duckdb_secrets()",
    "FROM sql",
    "COPY (SELECT 1) TO '/tmp/stolen.csv'",
    "ATTACH '/tmp/stolen.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET memory_limit = '100GB'",
    "RESET memory_limit",
    "PRAGMA memory_limit='100GB'",
    "EXPORT DATABASE '/tmp/stolen'",
    "DROP VIEW files",
    "UPDATE failures SET message = ''",
    "CREATE TABLE t AS SELECT 1",
    "SELECT 1; SELECT 2",
    "",
    "SELECT",
    "SELECT nothing FROM files",
]

FILES = [
    "bucket",
    "key",
    "size",
    "etag",
    "storage_class",
    "last_modified",
    "local_path",
    "local_checksum",
    "state",
    "error_message",
    "glacier_restore_requested_at",
    "glacier_restored_at",
    "created_at",
    "updated_at",
]
BUCKET_STATUS = [
    "bucket",
    "file_count",
    "total_size",
    "storage_class_counts",
    "scan_complete",
    "sync_complete",
    "verify_complete",
    "delete_complete",
    "local_file_count",
    "verified_file_count",
    "size_verified_count",
    "checksum_verified_count",
    "size_only_count",
    "total_bytes_verified",
    "created_at",
    "updated_at",
]


def ask(sql: str, source: Path | None = None) -> list[dict[str, Any]]:
    with api.query(sql, source=source) as answer:
        names = [column.name for column in answer.columns]
        return [dict(zip(names, row, strict=True)) for row in answer.rows]


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    evacuate(tmp_path / "archive", "photos", {"a/1": b"one", "a/2": b"twotwo", "=cmd()": b"x"})
    evacuate(tmp_path / "archive", "cold", {"c": b"cold"}, storage_class="GLACIER_IR")
    return tmp_path / "archive"


# --- a run, from its plan to its rollback ---------------------------------------------------------


@pytest.mark.long
def test_the_views_of_the_replaced_tool_follow_a_run_to_its_end_and_back(scene: Scene) -> None:
    """Requirements A3, A27, A28; mistake E28: no figure vanishes with the name of a phase.

    The columns are those of the replaced migrator's tables, whatever stage the run is at.
    """
    scene.fill(5, lambda n: b"x" * (n + 1))
    scene.put("warm", b"warm!", StorageClass="STANDARD_IA")
    scene.plan(WHOLE)
    [planned] = ask("FROM bucket_status")
    assert list(planned) == BUCKET_STATUS
    assert (planned["file_count"], planned["total_size"]) == (6, 20)
    assert json.loads(planned["storage_class_counts"]) == {"STANDARD": 5, "STANDARD_IA": 1}
    assert planned["local_file_count"] == 0
    assert planned["verified_file_count"] is None, "nobody has looked"
    assert planned["scan_complete"]
    assert not planned["sync_complete"]
    assert {row["state"] for row in ask("FROM files")} == {"discovered"}
    assert ask("FROM migration_metadata WHERE key = 'current_phase'")[0]["value"] == "scanning"

    assert scene.apply().outcome == "held"
    [held] = ask("FROM bucket_status")
    counts = [
        "file_count",
        "local_file_count",
        "verified_file_count",
        "size_verified_count",
        "checksum_verified_count",
        "size_only_count",
        "total_size",
        "total_bytes_verified",
    ]
    figures = {name: held[name] for name in counts}
    assert list(figures.values()) == [6, 6, 6, 6, 6, 0, 20, 20]
    flags = ["scan_complete", "sync_complete", "verify_complete", "delete_complete"]
    assert [held[flag] for flag in flags] == [True, True, True, False]
    assert {row["state"] for row in ask("FROM files")} == {"verified"}

    assert scene.apply(delete=scene.gate().evidence).outcome == "done"
    [deleted] = ask("FROM bucket_status")
    assert {name: deleted[name] for name in counts} == figures
    assert [deleted[flag] for flag in flags] == [True] * 4
    [file, *_] = ask("FROM files ORDER BY key")
    assert list(file) == FILES
    assert file["state"] == "deleted"
    assert Path(file["local_path"]).read_bytes() == b"x"
    assert file["created_at"] <= file["updated_at"]
    assert ask("FROM migration_metadata WHERE key = 'current_phase'")[0]["value"] == "complete"
    [approval] = ask("SELECT * FROM approvals")
    assert (approval["approver"], approval["decision"]) == ("tester", "approved")

    scene.rollback()
    [back] = ask("FROM bucket_status")
    assert not back["delete_complete"]
    assert {row["state"] for row in ask("FROM files")} == {"discovered"}, "in S3, and only there"
    outcomes = ask("SELECT verb, outcome, count(*) AS n FROM items GROUP BY ALL ORDER BY ALL")
    assert {"verb": "upload", "outcome": "verified", "n": 6} in outcomes
    assert [row["command"] for row in ask("FROM runs")] == ["apply", "rollback"]


def test_what_failed_is_in_failures_and_in_files(scene: Scene) -> None:
    scene.put("blocked", b"content")
    scene.put("fine", b"fine")
    scene.plan(COPY_ONLY)
    scene.copies.mkdir(parents=True)
    (scene.copies / "blocked").write_bytes(b"another")
    assert scene.apply().outcome == "incomplete"
    [failure] = ask("SELECT s.verb, f.* FROM failures f JOIN steps s USING (step)")
    assert (failure["verb"], failure["key"], failure["reason"]) == (
        "download", "blocked", "occupied",
    )  # fmt: skip
    states = {row["key"]: row["state"] for row in ask("FROM files")}
    assert states == {"blocked": "failed", "fine": "synced"}
    [said] = ask("SELECT error_message FROM files WHERE key = 'blocked'")
    assert said["error_message"] == failure["message"]


@pytest.mark.parametrize("sql", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_documented_example_answers(archive: Path, sql: str) -> None:
    """Requirement A27."""
    rows = ask(sql, archive)
    assert rows is not None


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 10


def test_the_backlog_counts_what_must_be_restored_and_nothing_else(scene: Scene) -> None:
    """Requirement A37; mistake E23: GLACIER_IR is read at once, DEEP_ARCHIVE is not."""
    for name in ("STANDARD", "GLACIER_IR", "STANDARD_IA", "GLACIER", "DEEP_ARCHIVE"):
        scene.put(f"key-{name}", b"content", StorageClass=name)
    path = _planned_items(scene)
    [backlog] = [sql for sql in EXAMPLES if "DEEP_ARCHIVE" in sql]
    found = ask(backlog, path)
    assert {row["storage_class"] for row in found} == set(ARCHIVED_CLASSES)
    assert [row["objects"] for row in found] == [1, 1]


def _planned_items(scene: Scene) -> Path:
    """A plan with objects of every class, sealed as planning does."""
    from s3plan.model.connection import Connection
    from s3plan.model.plan import PLAN_FORMAT, PlanHeader, Target
    from s3plan.model.steps import Download
    from s3plan.plan import StepDraft
    from s3plan.plan.seal import seal
    from s3plan.tables import ITEMS, Database

    entries = scene.s3.list_objects_v2(Bucket=scene.bucket)["Contents"]
    draft = StepDraft(
        Download(str(scene.here)), scene.bucket, reversibility="free", undo="", reason=""
    )
    from msgspec import structs

    draft = structs.replace(draft, worklist=draft.id)
    header = PlanHeader(
        format=PLAN_FORMAT, tool="test", created="2026-11-20T00:00:00.000Z", host="h",
        target=Target("http://localhost", "us-east-1"), connection=Connection(),
    )  # fmt: skip
    with Database(scene.directory / "scratch") as database:
        database.append(
            ITEMS,
            {
                "n": list(range(len(entries))),
                "key": [entry["Key"] for entry in entries],
                "path": [entry["Key"] for entry in entries],
                "size": [entry["Size"] for entry in entries],
                "etag": ["e"] * len(entries),
                "modified": ["2026-11-20T00:00:00.000Z"] * len(entries),
                "storage_class": [entry["StorageClass"] for entry in entries],
            },
            {"step": draft.id},
        )
        seal([draft], database, header, scene.directory / "other.json")
    return scene.directory / "other.json"


# --- what it may not do ---------------------------------------------------------------------------


@pytest.mark.parametrize("sql", OUTSIDE)
def test_a_query_reaches_no_file_no_setting_and_changes_nothing(archive: Path, sql: str) -> None:
    with pytest.raises(UsageError) as caught:
        ask(sql, archive)
    assert "LINE 1" not in str(caught.value)
    assert not Path("/tmp/stolen.csv").exists()
    assert not Path("/tmp/stolen.db").exists()


def test_a_mistake_is_explained(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "SELECT * FROM fils", "--from", str(archive)]) == 64
    err = capsys.readouterr().err
    assert 'Did you mean "files"?' in err
    assert "SHOW ALL TABLES" in err


def test_ctrl_c_ends_a_query_that_would_take_years(archive: Path) -> None:
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    large = "range(1000000000)"
    sql = f"SELECT count(*) FROM {large} a, {large} b WHERE (a.range * b.range) % 7 = 3"
    process = subprocess.Popen(
        [sys.executable, "-m", "s3plan", "query", sql, "--from", str(archive)],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        time.sleep(3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, out + err
    assert "Traceback" not in err


def test_a_large_answer_is_streamed(archive: Path) -> None:
    with api.query("SELECT * FROM range(50000000)", source=archive) as answer:
        assert next(iter(answer.rows)) == (0,)


# --- where it looks -------------------------------------------------------------------------------


def test_a_directory_without_a_run_says_what_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(JournalError, match="neither a run nor a plan"):
        ask("FROM files")


def test_a_destination_that_is_not_there_is_told_and_left_out(scene: Scene) -> None:
    scene.fill(2)
    scene.plan(COPY_ONLY)
    scene.apply()
    scene.here.rename(scene.directory / "unplugged")
    events: list[AnyEvent] = []
    with api.query("SELECT count(*) FROM files", observer=events.append) as answer:
        assert list(answer.rows) == [(2,)]
    [warned] = [event for event in events if isinstance(event, Warned)]
    assert str(scene.here) in warned.message


def test_a_damaged_catalogue_is_no_empty_one(archive: Path) -> None:
    catalogue = archive / ".s3plan/catalogue/photos.jsonl"
    catalogue.write_bytes(catalogue.read_bytes().replace(b"verified", b"veriphied", 1))
    with pytest.raises(CatalogueError):
        ask("FROM files", archive)


# --- how it is written ----------------------------------------------------------------------------


def test_formats(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sql = "SELECT key, size, NULL AS nothing, state = 'synced' AS here FROM files"
    sql += " WHERE bucket = 'photos' ORDER BY key"

    def said(*arguments: str) -> str:
        assert main(["query", sql, "--from", str(archive), *arguments]) == 0
        return capsys.readouterr().out

    assert said() == (
        "key     size  nothing  here\n=cmd()     1           yes\n"
        "a/1        3           yes\na/2        6           yes\n"
    )
    assert said("--format", "csv") == (
        "key,size,nothing,here\n'=cmd(),1,,true\na/1,3,,true\na/2,6,,true\n"
    ), "a spreadsheet sees no formula"
    assert json.loads(said("--json").partition("\n")[0]) == {
        "key": "=cmd()", "size": 1, "nothing": None, "here": True,
    }  # fmt: skip
    assert said("--format", "markdown").splitlines()[:3] == [
        "| key | size | nothing | here |",
        "| --- | --- | --- | --- |",
        "| =cmd&#40;&#41; | 1 |  | yes |",
    ]
    assert said("--out", "answer.csv") == ""
    assert Path("answer.csv").read_text().startswith("key,size")


def test_hostile_names_reach_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "esc\x1b[31m\u202e\n|<script>"
    evacuate(tmp_path / "d", "b", {key: b"x"})
    sql = "SELECT key FROM files"
    for form in ("text", "csv", "markdown"):
        assert main(["query", sql, "--from", str(tmp_path / "d"), "--format", form]) == 0
        out = capsys.readouterr().out
        assert "esc\\x1b[31m\\u202e\\n|<script>" in html.unescape(out)
        assert not {"\x1b", "\u202e"} & set(out)
        assert form != "markdown" or "<" not in out
    assert main(["query", sql, "--from", str(tmp_path / "d"), "--json"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert json.loads(out) == {"key": key}


def test_numbers_that_json_does_not_have(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sql = (
        "SELECT 'nan'::DOUBLE a, 2::HUGEINT ** 100 b, DATE '2026-11-20' c, [1, 2] d, 1.50 e,"
        " 'x'::BLOB f, (2::HUGEINT << 100) g, -5 h, '-5' i"
    )
    assert main(["query", sql, "--from", str(archive), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["a"], row["c"], row["d"], row["f"]) == (None, "2026-11-20", [1, 2], "78")
    assert row["g"] == 2 << 100
    assert main(["query", sql, "--from", str(archive), "--format", "csv"]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith(",-5,'-5")


# --- redaction ------------------------------------------------------------------------------------


def test_redacted_names_are_tokens_that_stay_the_same(scene: Scene) -> None:
    """Requirement A43. A token is HMAC-SHA-256 under the user's key (RFC 2104)."""
    scene.put("secret-key", b"content")
    scene.put("other/secret", b"x", Metadata={"owner": "secret-person"})
    scene.plan(COPY_ONLY)
    scene.copies.mkdir(parents=True)
    (scene.copies / "secret-key").write_bytes(b"another")
    scene.apply()

    def everything() -> str:
        text = ""
        key = redaction_key(scene.directory)
        with open_history(find_source(None, Path()), print, redaction_key=key) as history:
            names = list(history.database.rows("SELECT table_name FROM information_schema.tables"))
            for (name,) in names:
                text += json.dumps(list(history.database.rows(f'FROM "{name}" ORDER BY ALL')))
        return text

    text = everything()
    assert "secret" not in text
    assert scene.bucket not in text
    assert str(scene.directory) not in text
    assert "tester" not in text
    assert everything() == text
    key = scene.directory / "redaction.key"
    assert key.stat().st_mode & 0o777 == 0o600
    token = hmac.new(key.read_bytes(), b"secret-key", hashlib.sha256).hexdigest()[:16]
    assert f"key-{token}" in text
    with api.query("SELECT path, message FROM failures", redacted=True) as answer:
        [(path, message)] = answer.rows
    assert str(message).startswith(f"{path}: something else is in the way"), "the words stay"
