"""The scenes of the engine's tests, for the way from a plan to its approval."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.conftest import enter, scene
from tests.engine.scene import Scene, open_versioned
from tests.servers import Server

__all__ = ["scene", "versioned"]


@pytest.fixture
def versioned(seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A bucket that keeps versions."""
    with open_versioned(seaweed, tmp_path) as made:
        enter(made, monkeypatch)
        yield made
