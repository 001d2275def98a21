"""Scenes whose s3plan speaks through the proxy, while the witness speaks to the server itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from s3plan.api import places
from s3plan.store import Bucket, Patience, Store
from tests.engine.conftest import enter
from tests.engine.scene import Scene, open_scene
from tests.faults.proxy import Proxy, proxy_to
from tests.servers import Server

QUICK = Patience(attempts=4, slowdowns=8, base=0.01, cap=0.05, connect=5, stall=2)


@dataclass
class Between:
    """A scene and the proxy that stands in it."""

    scene: Scene
    proxy: Proxy


@contextmanager
def _between(server: Server, directory: Path, patch: pytest.MonkeyPatch) -> Iterator[Between]:
    with open_scene(server, directory) as scene, proxy_to(server.endpoint) as proxy:
        enter(scene, patch)
        scene.server = replace(server, endpoint=proxy.endpoint)
        patch.setattr(places, "Store", partial(Store, patience=QUICK))
        yield Between(scene, proxy)


@pytest.fixture
def between(seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Between]:
    """On SeaweedFS."""
    with _between(seaweed, tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture
def between_moto(
    moto_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Between]:
    """On moto, which looks neither at signatures nor at clocks."""
    with _between(moto_server, tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listings in pages of four keys."""
    defaults: Any = ("", "", 4)
    monkeypatch.setattr(Bucket.pages, "__defaults__", defaults)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long ones run only where ``-m`` names them."""
    if "load" in (config.option.markexpr or ""):
        return
    left_out = [item for item in items if item.get_closest_marker("load")]
    items[:] = [item for item in items if not item.get_closest_marker("load")]
    config.hook.pytest_deselected(items=left_out)
