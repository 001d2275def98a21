"""A run that is held at its delete gate, made once; every test works on a copy of its folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from s3plan.cli import main
from s3plan.engine.runs import Run
from tests.engine.scene import OBJECTS_ONLY, Scene, approval_in, open_scene
from tests.servers import Server, moto


@dataclass(frozen=True)
class Said:
    """How a command ended, in this process."""

    code: int
    out: str
    err: str


@dataclass
class Desk:
    """A copy of a working directory, and the command line in it."""

    scene: Scene
    directory: Path
    approval: str
    capture: pytest.CaptureFixture[str]

    def s3plan(self, *arguments: str) -> Said:
        """Run a command here; no traceback ever reaches a user."""
        self.capture.readouterr()
        code = main(arguments)
        read = self.capture.readouterr()
        assert "Traceback" not in read.err, read.err
        assert "error[internal]" not in read.err, read.err
        return Said(code, read.out, read.err)

    @property
    def plan(self) -> Path:
        """The plan in the working directory."""
        return self.directory / "plan.json"

    @property
    def run(self) -> Run:
        """The run's folder."""
        return Run(next((self.directory / ".s3plan" / "runs").iterdir()))

    @property
    def catalogue(self) -> Path:
        """The catalogue in the destination, which every copy shares."""
        return self.scene.here / ".s3plan" / "catalogue" / f"{self.scene.bucket}.jsonl"


@pytest.fixture(scope="session")
def own_moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A moto that nobody empties between two tests."""
    with moto(tmp_path_factory.mktemp("moto-tamper")) as server:
        yield server


@pytest.fixture(scope="session")
def held(own_moto: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scene, str]]:
    """A run of three objects, verified and waiting for its approval, and that approval."""
    with open_scene(own_moto, tmp_path_factory.mktemp("held")) as scene:
        scene.fill(3)
        manifest = scene.manifest(OBJECTS_ONLY)
        # Copies of the directory keep the one destination.
        manifest.write_text(manifest.read_text().replace("./here", str(scene.here)))
        assert scene.s3plan("plan", "manifest.yaml").code == 0
        ran = scene.s3plan("apply", "--approve")
        assert ran.code == 4, ran.err
        yield scene, approval_in(ran.out + ran.err)


@pytest.fixture
def desk(
    held: tuple[Scene, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Desk]:
    """The held run in a directory of the test's own; bucket and destination are as they were."""
    scene, approval = held
    copy = tmp_path / "work"
    shutil.copytree(scene.directory, copy, symlinks=True, ignore=shutil.ignore_patterns("here"))
    kept = tmp_path / "kept"
    shutil.copytree(scene.here, kept, copy_function=shutil.copy2)
    _enter(scene, copy, monkeypatch)
    before = scene.objects()
    yield Desk(scene, copy, approval, capfd)
    assert scene.objects() == before, "nothing was deleted, and nothing written, in S3"
    for path in kept.rglob("*"):
        there = scene.here / path.relative_to(kept)
        if path.is_file() and there.read_bytes() != path.read_bytes():
            # In place: evidence and catalogue know the file by its inode.
            there.write_bytes(path.read_bytes())
            os.utime(there, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))


@pytest.fixture
def fresh(
    own_moto: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Desk]:
    """An empty directory and an empty bucket."""
    with open_scene(own_moto, tmp_path) as scene:
        _enter(scene, scene.directory, monkeypatch)
        yield Desk(scene, scene.directory, "", capfd)


def _enter(scene: Scene, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(directory)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in scene.environ.items():
        monkeypatch.setenv(name, value)
