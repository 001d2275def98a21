"""Scenes: a bucket and a working directory of a test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.scene import Scene, open_scene, open_versioned
from tests.servers import Server


def enter(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process one that was started in the scene's directory."""
    monkeypatch.chdir(scene.directory)
    for name, value in scene.environ.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def scene(seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """On SeaweedFS, which honours conditions and keeps checksums."""
    with open_scene(seaweed, tmp_path) as made:
        enter(made, monkeypatch)
        yield made


@pytest.fixture
def versioned(seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """On SeaweedFS, in a new bucket that keeps versions."""
    with open_versioned(seaweed, tmp_path) as made:
        enter(made, monkeypatch)
        yield made


@pytest.fixture
def moto_scene(
    moto_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    """On moto, which knows most of what AWS knows."""
    with open_scene(moto_server, tmp_path) as made:
        enter(made, monkeypatch)
        yield made
