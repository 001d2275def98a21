"""A scene on moto, for what real runs leave."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.conftest import enter
from tests.engine.scene import Scene, open_scene
from tests.servers import Server


@pytest.fixture
def scene(moto_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A bucket, and this process in its working directory."""
    with open_scene(moto_server, tmp_path) as made:
        enter(made, monkeypatch)
        yield made
