"""What real runs leave is verified later by `s3plan verify`, with no server left to ask."""

from __future__ import annotations

import pytest

from s3plan import api
from tests.engine.scene import COPY_ONLY, WHOLE, Scene
from tests.offline.evacuated import rot


@pytest.mark.long
def test_a_deleted_bucket_is_verified_from_what_is_on_the_disk(scene: Scene) -> None:
    """Requirements A29 and A38, after everything has left S3."""
    scene.fill(7)
    scene.put("large", b"x" * (3 << 20))
    scene.put("a//b\x1b", b"hostile")
    scene.put("marker/", b"")
    assert scene.apply(delete=scene.apply_to_gate(WHOLE)).outcome == "done"
    for target in (scene.here, scene.directory / "journal.json", scene.directory / "manifest.yaml"):
        verified = api.verify(target)
        assert verified.passes, (target, verified)
        [figures] = verified.buckets
        assert figures.file_count == figures.checksum_verified_count == 10
        assert figures.retained == 10, "the bucket is gone: these are the only copies"
    rot(scene.copies / "large")
    ran = scene.s3plan("verify", "journal.json")
    assert ran.code == 3, ran
    assert f"object: s3://{scene.bucket}/large" in ran.out


def test_a_rolled_back_run_leaves_nothing_to_miss(scene: Scene) -> None:
    scene.fill(3)
    scene.plan(COPY_ONLY)
    assert scene.apply().outcome == "done"
    scene.rollback()
    verified = api.verify(scene.here)
    assert verified.passes
    assert verified.buckets[0].file_count == 0
