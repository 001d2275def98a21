"""The scratch database: exact text, bound values, no way out, nothing left behind."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from s3plan.tables import (
    ASKED,
    LISTING,
    TABLES,
    TREE,
    Database,
    ScratchError,
    directory_of,
    is_ascii,
)

HOSTILE = ("a'b", 'q"; DROP TABLE listing; --', "nul\x00in", "\x1f\x7f", "é", "e\u0301", "😀", "")


def test_keys_come_back_exactly_as_they_went_in(tmp_path: Path) -> None:
    with Database(tmp_path) as database:
        database.append(
            LISTING,
            {"key": HOSTILE, "size": range(len(HOSTILE)), "etag": [None] * len(HOSTILE)},
            {"bucket": "b'; DROP TABLE listing"},
        )
        rows = list(database.rows("SELECT bucket, key, size, etag FROM listing ORDER BY size"))
    assert rows == [("b'; DROP TABLE listing", key, n, None) for n, key in enumerate(HOSTILE)]


def test_text_sorts_by_its_utf8_bytes(tmp_path: Path) -> None:
    keys = ["Z", "a", "é", "\uffff", "😀", "a/b", "a.b", "A"]
    with Database(tmp_path) as database:
        database.append(LISTING, {"key": keys})
        got = [key for (key,) in database.rows("SELECT key FROM listing ORDER BY key")]
    assert got == sorted(keys, key=lambda key: key.encode())


def test_other_statements_may_run_while_rows_are_read(tmp_path: Path) -> None:
    with Database(tmp_path) as database:
        database.append(TREE, {"path": [str(n) for n in range(25_000)]})
        seen = 0
        for batch in database.batches("SELECT path FROM tree"):
            seen += len(batch)
            assert database.row("SELECT count(*) FROM tree") == (25_000,)
    assert seen == 25_000


def test_it_reads_no_files_and_keeps_its_settings(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("x\n1\n")
    with Database(tmp_path) as database:
        with pytest.raises(duckdb.Error, match=r"(?i)permission"):
            database.execute("SELECT * FROM read_csv(?)", [str(tmp_path / "secret.csv")])
        with pytest.raises(duckdb.Error, match=r"(?i)locked"):
            database.execute("SET enable_external_access = true")


def test_it_leaves_nothing_behind(tmp_path: Path) -> None:
    with Database(tmp_path / "scratch") as database:
        assert {name for (name,) in database.rows("SELECT table_name FROM duckdb_tables()")} == {
            table.name for table in TABLES
        }
    database.close()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_full_memory_is_an_error_with_advice(tmp_path: Path) -> None:
    with (
        Database(tmp_path, memory_limit=16 * 1024 * 1024, threads=1) as database,
        pytest.raises(ScratchError) as caught,
    ):
        # One value cannot be spilled in parts.
        database.execute("SELECT string_agg(repeat('x', 1000), '') FROM range(200000)")
    assert caught.value.next_step is not None
    assert "TMPDIR" in caught.value.next_step


def test_a_scratch_directory_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ScratchError):
        Database(tmp_path / "file")


def test_directories_and_ascii_are_what_python_says(tmp_path: Path) -> None:
    paths = [
        "a/b/c",
        "a/b/",
        "a",
        "",
        "/",
        "/a",
        "//",
        "//x/",
        "a\\b/c",
        "é/ü",
        "a/\u0308b",
        "x\n/y",
    ]
    with Database(tmp_path) as database:
        database.append(TREE, {"path": paths})
        rows = list(
            database.rows(f"SELECT path, {directory_of('path')}, {is_ascii('path')} FROM tree")
        )
    assert rows == [(path, path[: path.rfind("/") + 1], path.isascii()) for path in paths]


def test_text_of_many_rows_comes_in_stretches_and_in_order(tmp_path: Path) -> None:
    """Also where a stretch has no rows, and where rows did not come in their order."""
    numbers = [*range(500, 1_000), *range(500)]
    with Database(tmp_path) as database:
        database.append(ASKED, {"n": numbers, "key": [f"{n}\n" for n in numbers]})
        sql = "SELECT key FROM asked WHERE n >= $first AND n < $behind AND n % $of = 0 ORDER BY n"
        texts = list(database.texts(sql, {"of": 7}, count=1_003, stretch=2))
    assert len(texts) == 502
    assert "".join(texts) == "".join(f"{n}\n" for n in range(0, 1_000, 7))
