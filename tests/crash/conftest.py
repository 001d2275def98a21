"""A bucket that is evacuated and put back again and again, and what is told of its deaths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.harness import DEATHS, Cycle, executioner
from tests.engine.conftest import enter
from tests.engine.scene import Scene, open_scene
from tests.servers import Server


@pytest.fixture(scope="module")
def cycle(seaweed: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cycle]:
    """Begun: its bucket is filled, and what an undisturbed cycle does is known."""
    directory = tmp_path_factory.mktemp("cycle")
    with open_scene(seaweed, directory) as scene, executioner(directory) as made:
        cycle = Cycle(scene, made)
        cycle.start()
        yield cycle


@pytest.fixture
def scene(seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """For what is not killed: this process is the one that died."""
    with open_scene(seaweed, tmp_path) as made:
        enter(made, monkeypatch)
        yield made


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long runs only where ``-m`` names them."""
    if "crash" in (config.option.markexpr or ""):
        return
    left_out = [item for item in items if item.get_closest_marker("crash")]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How often s3plan was killed."""
    if DEATHS:
        terminalreporter.write_line(
            f"s3plan was killed {DEATHS.total()} times, at {len(DEATHS)} different places"
        )
