"""The offline commands as they are typed: what they print where, and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from s3plan.cli import main
from tests.offline.evacuated import evacuate, rot

HOSTILE = "esc\x1b[31m\u202e"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    evacuate(tmp_path / "archive", "photos", {f"k{n}": b"content" for n in range(20)})
    evacuate(tmp_path / "archive", "names", {HOSTILE: b"content"})
    return tmp_path / "archive"


def test_verify_ends_with_0_and_says_so(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "archive"]) == 0
    out, err = capsys.readouterr()
    assert "Verified: every file is as its catalogue says: 21 files, 147 B" in out
    assert "verify photos" in err, "progress is no result"


def test_verify_ends_with_3_and_names_the_first_problems(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Requirements A38 and A75."""
    for number in range(15):
        (archive / f"photos/k{number}").unlink()
    [path] = (archive / "names").iterdir()
    rot(path)
    assert main(["verify", "archive", "--report", "all.jsonl"]) == 3
    out = capsys.readouterr().out
    assert out.count("missing: ") == 9
    assert "object: s3://names/esc\\x1b[31m\\u202e" in out
    assert "... and 6 more\n" in out
    assert "Not as recorded: 16 problems" in out
    assert len(Path("all.jsonl").read_text().splitlines()) == 17
    assert main(["verify", "archive", "--max-errors", "0"]) == 3
    assert "missing: " not in capsys.readouterr().out


def test_verify_tells_programs_every_problem(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (archive / "photos/k1").unlink()
    (archive / "photos" / "new\x1b").write_text("")
    assert main(["verify", "archive", "--json"]) == 3
    out = capsys.readouterr().out
    assert "\x1b" not in out
    lines = [json.loads(line) for line in out.splitlines()]
    problems = [line for line in lines if line["type"] == "tree-problem"]
    assert [(p["fault"], p["path"]) for p in problems] == [
        ("missing", "photos/k1"),
        ("extra", "photos/new\x1b"),
    ]
    assert lines[-1]["type"] == "tree-verified"
    assert lines[-1]["problem_count"] == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_verify_leaves_a_large_file_in_the_middle_when_it_is_told_to(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Requirement A33: 130, no report, nothing left behind."""
    evacuate(tmp_path / "d", "b", {"k": b"x"}, algorithm="MD5")
    with (tmp_path / "d/b/k").open("r+b") as file:
        file.truncate(1 << 40)  # sparse: a year at the pace of MD5
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": str(tmp_path)}
    arguments = ["verify", "d", "--report", "r.jsonl"]
    process = subprocess.Popen(
        [sys.executable, "-m", "s3plan", *arguments],
        cwd=tmp_path,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        while "verify b" not in process.stderr.readline():
            assert process.poll() is None
        time.sleep(0.3)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, out + err
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["d"]
