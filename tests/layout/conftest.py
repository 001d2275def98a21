"""Scenes of changed layouts: a bucket of objects, and what stands beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.conftest import enter, moto_scene, scene, versioned
from tests.engine.scene import Scene, open_scene
from tests.servers import Server

__all__ = ["moto_scene", "scene", "versioned"]


@pytest.fixture
def rgw_scene(rgw: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """On Ceph's RGW, whose copies know no conditions."""
    with open_scene(rgw, tmp_path) as made:
        enter(made, monkeypatch)
        yield made
