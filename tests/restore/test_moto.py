"""On moto, which knows AWS's classes and restores at once, and whose listings tell nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.conftest import enter
from tests.engine.scene import OBJECTS_ONLY, Scene, open_scene
from tests.servers import Server

CLASSES = (
    "STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER",
    "DEEP_ARCHIVE", "REDUCED_REDUNDANCY",
)  # fmt: skip


@pytest.fixture
def scene(moto_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with open_scene(moto_server, tmp_path) as made:
        enter(made, monkeypatch)
        yield made


def test_every_class_is_evacuated_and_put_back(scene: Scene) -> None:
    """A19, A49, A50: restored are GLACIER and DEEP_ARCHIVE, and nothing else."""
    wanted = {}
    for name in CLASSES:
        wanted[name] = name.encode()
        scene.put(name, wanted[name], StorageClass=name)
    planned = scene.plan(OBJECTS_ONLY + "  restore: {days: 3, poll: 1}\n").plan
    assert planned is not None
    assert [item.key for item in planned.items(planned.steps[0].id)] == ["DEEP_ARCHIVE", "GLACIER"]
    held = scene.apply()
    assert held.exit_code == 4, (held.message, scene.problems())
    assert scene.files() == wanted
    assert scene.apply(delete=scene.gate().evidence).exit_code == 0
    assert scene.keys() == []
    finished = scene.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    listed = scene.s3.list_objects_v2(Bucket=scene.bucket)["Contents"]
    assert {entry["Key"]: entry["StorageClass"] for entry in listed} == dict(
        zip(CLASSES, CLASSES, strict=True)
    )
