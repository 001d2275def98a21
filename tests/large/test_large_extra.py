"""A file that no single PUT can carry, kept as an extra, with the real limits: sparse, 5.5 GiB."""

from __future__ import annotations

import os
import time

import pytest

from s3plan.rules.parts import count_of_parts
from tests.engine.scene import Scene
from tests.sessions.test_archiving import LONG_AGO, plan

SIZE = 5632 << 20
EXTRAS = 'extras: [{from: "db/*.sqlite", key: "backups/{stem}_{modified}{ext}"}]'


@pytest.mark.large
@pytest.mark.timeout(1800)
def test_a_file_over_five_gib_is_put_and_taken_back(scene: Scene) -> None:
    """D51, A45: in parts of 256 MiB, verified as a whole; then nothing to do; then gone."""
    (scene.directory / "library").mkdir()
    path = scene.directory / "db" / "catalogue.sqlite"
    path.parent.mkdir()
    with path.open("wb") as file:
        file.truncate(SIZE)
        for at in (0, 5 << 30, SIZE - 16):
            file.seek(at)
            file.write(f"here {at:>11}".encode())
    os.utime(path, (LONG_AGO, LONG_AGO))
    assert plan(scene, EXTRAS).plan is not None
    began = time.monotonic()
    assert scene.apply().exit_code == 0, scene.problems()
    print(f"\nput and verified in {time.monotonic() - began:.1f} s")  # noqa: T201 - for who runs it by hand
    listed = scene.s3.list_objects_v2(Bucket=scene.bucket)["Contents"]
    ((key, size, etag),) = [(one["Key"], one["Size"], one["ETag"].strip('"')) for one in listed]
    assert (size, count_of_parts(etag)) == (SIZE, 22)
    for at in (0, 5 << 30, SIZE - 16):
        got = scene.s3.get_object(Bucket=scene.bucket, Key=key, Range=f"bytes={at}-{at + 15}")
        assert got["Body"].read() == f"here {at:>11}".encode()
    assert plan(scene, EXTRAS).plan is None
    assert scene.rollback() is not None
    assert scene.keys() == []
