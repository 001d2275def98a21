"""Scenes on every server; a test is parametrized with the name of the server's fixture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.conftest import enter
from tests.engine.scene import Scene, open_scene
from tests.servers import Server


@pytest.fixture
def scene(
    request: pytest.FixtureRequest, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    """A bucket and an empty working directory at the server that the test names."""
    running: Server = request.getfixturevalue(server)
    with open_scene(running, tmp_path) as made:
        enter(made, monkeypatch)
        yield made
