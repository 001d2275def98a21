"""examples/unattended: what cron and systemd run, as they run it."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.conftest import scene
from tests.engine.scene import Scene
from tests.sessions.test_archiving import LONG_AGO, library, plan, write

__all__ = ["scene"]  # a fixture

EXAMPLES = Path(__file__).parents[2] / "examples" / "unattended"


def run(scene: Scene) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [EXAMPLES / "archive-sessions.sh"],
        cwd=scene.directory,
        env={**os.environ, **scene.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
def test_the_script_adds_and_only_adds(scene: Scene) -> None:
    """D37: unattended runs archive what is new, say No changes, and leave what changed."""
    library(scene)
    plan(scene, "changed: list")
    first = run(scene)
    assert first.returncode == 0, first.stderr
    assert len(scene.keys()) == 6
    assert "No changes." in run(scene).stdout
    # D45: what cron types once a month.
    *_, verify = (EXAMPLES / "crontab").read_text().strip().rpartition("&& s3plan ")
    looked = scene.s3plan(*verify.split())
    assert (looked.code, "3 archives" in looked.out) == (0, True), looked
    before = scene.objects()
    write(scene, "2023/20230110_AAAA0000/notes.txt", b"changed", at=LONG_AGO + 60)
    left = run(scene)
    assert left.returncode == 0
    assert "changed since they were archived" in left.stdout + left.stderr
    assert scene.objects() == before
    (scene.directory / "library").rename(scene.directory / "unmounted")
    assert run(scene).returncode == 1


def test_what_systemd_and_cron_read() -> None:
    """Both name the script that is beside them."""
    service = configparser.ConfigParser(interpolation=None)
    service.read(EXAMPLES / "archive-sessions.service")
    assert service["Service"]["ExecStart"].endswith("/archive-sessions.sh")
    timer = configparser.ConfigParser(interpolation=None)
    timer.read(EXAMPLES / "archive-sessions.timer")
    assert timer["Timer"]["OnCalendar"] == "Sun 02:00"
    lines = (EXAMPLES / "crontab").read_text().splitlines()
    jobs = [line.split(None, 5) for line in lines if not line.startswith("#")]
    assert [len(job) for job in jobs] == [6, 6]
    assert "archive-sessions.sh" in jobs[0][5]
