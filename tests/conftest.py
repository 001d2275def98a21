"""Fixtures every layer may use: real servers, started once per session and only when asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import Server, find_program, moto, reset_moto, seaweedfs

_MARKS = {"moto_server": "moto", "seaweed": "seaweedfs"}


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server of moto, empty at the start of every test."""
    with moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """SeaweedFS; buckets stay, so every test makes buckets of its own."""
    if find_program("weed") is None:
        pytest.skip("SeaweedFS (weed) is not installed")
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(autouse=True)
def _empty_moto(request: pytest.FixtureRequest) -> None:
    if "moto_server" in request.fixturenames:
        reset_moto(request.getfixturevalue("moto_server"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the servers they use, so that ``-m "not seaweedfs"`` needs no discipline."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in _MARKS:
                item.add_marker(_MARKS[fixture])
