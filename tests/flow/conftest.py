"""Scenes on both servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.scene import Scene, open_scene
from tests.servers import Server


@pytest.fixture(params=["seaweed", pytest.param("moto_server", marks=pytest.mark.long)])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """A bucket and an empty working directory, on SeaweedFS and on moto."""
    server: Server = request.getfixturevalue(request.param)
    with open_scene(server, tmp_path) as made:
        if request.param == "moto_server":
            # As S3 makes buckets today: moto cannot tell the ACL of an upload in parts.
            enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
            made.s3.put_bucket_ownership_controls(Bucket=made.bucket, OwnershipControls=enforced)
        yield made
