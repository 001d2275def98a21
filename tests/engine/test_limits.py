"""How many objects are worked on at once, and how long one may take."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from s3plan.engine.handlers import ranged
from s3plan.store import Bucket
from tests.engine.scene import COPY_ONLY, Scene

MIB = 1 << 20


@pytest.mark.parametrize(("limit", "most"), [("", 8), (", objects: 2", 2)])
def test_objects_are_limited_apart_from_connections(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    """C20, C39: limits.objects; without it there are as many as connections."""
    scene.fill(24)
    under_way: set[str] = set()
    highest = 0
    get = Bucket.get

    async def counting(self: Bucket, key: str, **options: Any) -> Any:
        nonlocal highest
        under_way.add(key)
        highest = max(highest, len(under_way))
        await asyncio.sleep(0.02)
        try:
            return await get(self, key, **options)
        finally:
            under_way.discard(key)

    monkeypatch.setattr(Bucket, "get", counting)
    scene.plan(COPY_ONLY, bandwidth="1GB" + limit)
    assert scene.apply().exit_code == 0
    assert highest == most


def test_an_object_has_one_deadline_and_keeps_what_it_has(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C21, E44: each range comes in time and the object does not; nothing half done has a name."""
    monkeypatch.setattr(ranged, "RANGED_FROM", 2 * MIB)
    monkeypatch.setattr(ranged, "RANGE", MIB)
    body = bytes(range(251)) * (26 << 10)  # 6.4 MiB
    scene.put("large.bin", body)
    scene.put("small.txt", b"in time")
    scene.plan(COPY_ONLY, bandwidth="4MB, parts: 2, objectTimeout: 1")
    finished = scene.apply()
    assert finished.outcome == "incomplete"
    (problem,) = scene.problems()
    assert (problem.key, problem.outcome, problem.reason) == (
        "large.bin",
        "failed",
        "object-timeout",
    )
    assert "within 1 seconds (limits.objectTimeout)" in problem.message
    assert scene.files() == {"small.txt": b"in time"}
    # The same command goes on with the ranges that are here.
    for _ in range(4):
        if scene.apply().exit_code == 0:
            break
    assert scene.files()["large.bin"] == body
