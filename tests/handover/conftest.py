"""Scenes on SeaweedFS, and the programs that worklists are written for."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3plan.demo.programs import find_program
from tests.engine.conftest import enter
from tests.engine.scene import Scene, open_scene
from tests.servers import Server


@pytest.fixture
def scene(seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """On SeaweedFS; the programs are found as `rclone` and `s5cmd`."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("rclone", "s5cmd"):
        program = _program(name)
        if program is not None:
            (folder / name).symlink_to(program)
    work = tmp_path / "work"
    work.mkdir()
    with open_scene(seaweed, work) as made:
        enter(made, monkeypatch)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        monkeypatch.setenv("RCLONE_CONFIG", "/notfound")
        yield made


def run(command: str) -> int:
    """A command as it was printed, by a shell."""
    return subprocess.run(["sh", "-c", command], check=False, timeout=60).returncode


def _program(name: str) -> str | None:
    # The wheel's script is Python around the program, and takes longer than a small copy.
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.origin is not None:
        inside = Path(spec.origin).parent / "bin" / name
        if inside.exists():
            return str(inside)
    return find_program(name)
