"""On moto, which knows AWS's classes and restores at once, and whose listings tell nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from s3plan.errors import ArchivedObjectError
from s3plan.store import Bucket
from tests.engine.conftest import enter
from tests.engine.scene import OBJECTS_ONLY, Scene, open_scene
from tests.engine.test_losses import put_without_evidence
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


def test_a_copy_that_expires_before_the_second_read_leaves_a_loss_to_decide_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nothing can be compared with stays unverifiable; the verification comes to its end."""
    put_without_evidence(scene, "sealed.bin", b"content")

    async def expired(self: Bucket, key: str, *_: Any, **__: Any) -> Any:
        raise ArchivedObjectError("the object is archived", address=key)

    monkeypatch.setattr(Bucket, "get_to", expired)
    scene.plan(OBJECTS_ONLY)
    held = scene.apply()
    assert (held.outcome, held.exit_code) == ("held", 4), held.message
    assert scene.gate().figures["unverifiable"] == 1
    assert "--approve-loss" in str(held.next_step)
    assert scene.keys() == ["sealed.bin"]
