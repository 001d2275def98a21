"""Scenes on disks that fail: mounted where the tests may mount, injected elsewhere."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.engine.conftest import enter
from tests.engine.scene import Scene, open_scene
from tests.servers import Server


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked ``disk`` runs only where ``-m`` names it, as `make test-disk` does."""
    if "disk" in (config.option.markexpr or ""):
        return
    left_out = [item for item in items if item.get_closest_marker("disk")]
    items[:] = [item for item in items if not item.get_closest_marker("disk")]
    config.hook.pytest_deselected(items=left_out)


@dataclass
class Mounts:
    """Mounts of one test; all are gone at its end."""

    points: list[Path] = field(default_factory=list)

    def memory(self, point: Path, **options: str | int) -> None:
        """A disk in memory, such as ``size="1m", nr_inodes=20``."""
        point.mkdir(exist_ok=True)
        given = ",".join(f"{name}={value}" for name, value in options.items())
        _run("mount", "-t", "tmpfs", "-o", given, "tmpfs", str(point))
        self.points.append(point)

    def plug(self, disk: Path, point: Path) -> None:
        """A directory that plays a disk, mounted at ``point``."""
        disk.mkdir(exist_ok=True)
        point.mkdir(exist_ok=True)
        _run("mount", "--bind", str(disk), str(point))
        self.points.append(point)

    def unplug(self, point: Path) -> None:
        """Off the tree at once, whoever uses it: what is open stays open, as with a yanked disk."""
        self.points.remove(point)
        _run("umount", "--lazy", str(point))

    def again(self, point: Path, *options: str) -> None:
        """Remounted with other options."""
        _run("mount", "-o", ",".join(["remount", *options]), str(point))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=10)


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[Mounts]:
    """Skipped where the kernel does not let us mount: the same faults are injected as well."""
    made = Mounts()
    try:
        made.memory(tmp_path / "probe", size="64k")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root may mount here; test_injected.py plays the same faults")
    made.unplug(tmp_path / "probe")
    yield made
    for point in reversed(list(made.points)):
        made.unplug(point)


@pytest.fixture
def scene(seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """On SeaweedFS."""
    with open_scene(seaweed, tmp_path) as made:
        enter(made, monkeypatch)
        yield made


@pytest.fixture
def moto_scene(
    moto_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    """On moto."""
    with open_scene(moto_server, tmp_path) as made:
        enter(made, monkeypatch)
        yield made


def ballast(folder: Path, leave: int) -> Path:
    """A file that fills the disk of ``folder`` up to ``leave`` bytes."""
    path = folder / "ballast"
    figures = os.statvfs(folder)
    path.write_bytes(b"\0" * max(0, figures.f_bavail * figures.f_frsize - leave))
    return path
