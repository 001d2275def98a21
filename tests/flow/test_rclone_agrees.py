"""rclone, which knows nothing of s3plan, compares the bucket with the destination."""

from __future__ import annotations

import pytest

from s3plan.rules.naming import is_plain
from tests.engine.scene import OBJECTS_ONLY, Scene
from tests.flow.rclone import rclone_check


@pytest.mark.long
def test_no_difference_between_the_bucket_and_the_destination_before_the_deletion(
    scene: Scene,
) -> None:
    keys = ("a b.txt", "plus+plus.txt", "deep/er/est.bin", "\U0001f600.txt", "quote'\".txt", "100%")
    assert all(map(is_plain, keys[:3]))
    for key in keys:
        scene.put(key, f"content of {key}".encode())
    scene.put("large.bin", bytes(range(256)) * 8192)
    scene.put("empty", b"")
    scene.manifest(OBJECTS_ONLY)
    assert scene.s3plan("plan", "manifest.yaml").code == 0
    assert scene.s3plan("apply", "--approve").code == 4, "held before the deletion"

    checked = rclone_check(scene)
    assert checked.code == 0, checked.out + checked.err
    assert sorted(checked.out.splitlines()) == sorted(
        f"= {key}" for key in (*keys, "large.bin", "empty")
    )

    (scene.copies / "empty").write_bytes(b"x")
    assert rclone_check(scene).code != 0, "the witness would tell"
