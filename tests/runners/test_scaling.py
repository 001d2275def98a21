"""More workers copy more objects a second, where a server takes its time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.scene import open_scene
from tests.runners.clusters import dask_cluster
from tests.runners.scaling import rows
from tests.servers import Server

pytestmark = [pytest.mark.dask, pytest.mark.timeout(900)]


def test_four_workers_are_more_than_twice_as_quick_as_one(seaweed: Server, tmp_path: Path) -> None:
    """Issue 11, Show: objects a second at a server that answers 30 ms late."""
    for name in ("scene", "dask"):
        (tmp_path / name).mkdir()
    with (
        open_scene(seaweed, tmp_path / "scene") as scene,
        dask_cluster(tmp_path / "dask", scene.environ, workers=1) as cluster,
    ):
        one, four = rows(scene, cluster, (1, 4), 800)
    assert four.rate > 2 * one.rate
