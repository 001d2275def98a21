"""A scene with the played service beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from s3plan.engine import walk
from s3plan.model.capabilities import UNPROBED, Capabilities
from tests.batch.fake import BatchOperations, batch_operations
from tests.batch.jobs import SCRATCH
from tests.engine.conftest import enter
from tests.engine.scene import Scene, open_scene
from tests.servers import Server


@pytest.fixture
def scene(seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """On SeaweedFS."""
    with open_scene(seaweed, tmp_path) as made:
        enter(made, monkeypatch)
        unprobed(monkeypatch)
        with suppress(made.s3.exceptions.ClientError):  # it is there already
            made.s3.create_bucket(Bucket=SCRATCH)
        yield made


def unprobed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here rests on what the endpoint honours, and probing takes longer than a run."""

    async def nothing(*_: object) -> Capabilities:
        return UNPROBED

    monkeypatch.setattr(walk, "capabilities_for", nothing)


@pytest.fixture
def service(scene: Scene) -> Iterator[BatchOperations]:
    """S3 Batch Operations over the scene's server."""
    with batch_operations(scene.s3) as played:
        yield played
