"""Scenes behind an archive that the proxy plays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from s3plan.api import places
from s3plan.store import Store
from tests.engine.conftest import enter
from tests.engine.scene import Scene, open_scene
from tests.faults.conftest import QUICK
from tests.faults.proxy import Asked, Proxy, proxy_to
from tests.restore.glacier import Glacier
from tests.servers import Server


@dataclass
class Archive:
    """A scene, the proxy in front of its server, and the archive that the proxy plays."""

    scene: Scene
    proxy: Proxy
    glacier: Glacier

    def asked(self, method: str, query: str | None = None) -> list[Asked]:
        """Requests for objects, or with a query parameter, that arrived."""
        return [
            asked
            for asked in self.proxy.asked
            if asked.method == method
            and (bool(asked.key) if query is None else query in asked.query)
        ]


@pytest.fixture
def archive(seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """On SeaweedFS, whose clock is the test's."""
    with open_scene(seaweed, tmp_path) as scene, proxy_to(seaweed.endpoint) as proxy:
        enter(scene, monkeypatch)
        scene.server = replace(seaweed, endpoint=proxy.endpoint)
        monkeypatch.setattr(places, "Store", partial(Store, patience=QUICK))
        glacier = Glacier()
        glacier.play(proxy)
        yield Archive(scene, proxy, glacier)
