"""Scenes for two runs that want the same thing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.disk.conftest import pytest_collection_modifyitems  # noqa: F401 - a hook
from tests.engine.conftest import enter
from tests.engine.scene import Scene, open_scene
from tests.servers import Server


@pytest.fixture
def scene(seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """On SeaweedFS, whose conditional PUTs are atomic."""
    with open_scene(seaweed, tmp_path) as made:
        enter(made, monkeypatch)
        yield made


@pytest.fixture
def scratch(scene: Scene) -> Iterator[str]:
    """A place for leases and mirrors, in a bucket of its own."""
    # A scene's bucket is used again, and a name made of it was once found taken.
    bucket = f"scratch-{uuid4().hex[:12]}"
    scene.s3.create_bucket(Bucket=bucket)
    yield f"s3://{bucket}/place"
    for entry in scene.s3.list_objects_v2(Bucket=bucket).get("Contents", ()):
        scene.s3.delete_object(Bucket=bucket, Key=entry["Key"])
    scene.s3.delete_bucket(Bucket=bucket)


def with_scratch(scene: Scene, spec: str, scratch: str) -> Path:
    """The manifest with a scratch in its connection."""
    path = scene.manifest(spec)
    path.write_text(path.read_text().replace("  region:", f"  scratch: {scratch}\n  region:", 1))
    return path
