"""rclone, which knows nothing of s3plan, compares the bucket with the destination."""

from __future__ import annotations

import subprocess

import pytest

from s3plan.rules.naming import is_plain
from tests.engine.scene import OBJECTS_ONLY, Ran, Scene
from tests.servers import find_program


def _rclone_check(scene: Scene) -> Ran:
    program = find_program("rclone")
    if program is None:
        pytest.skip("rclone is not installed")
    remote = (
        f":s3,provider=Other,env_auth=true,region={scene.server.region},force_path_style=true,"
        f"endpoint='{scene.server.endpoint}':{scene.bucket}"
    )
    done = subprocess.run(
        [program, "check", remote, str(scene.copies), "--config", "", "--combined", "-"],
        env=scene.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


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

    checked = _rclone_check(scene)
    assert checked.code == 0, checked.out + checked.err
    assert sorted(checked.out.splitlines()) == sorted(
        f"= {key}" for key in (*keys, "large.bin", "empty")
    )

    (scene.copies / "empty").write_bytes(b"x")
    assert _rclone_check(scene).code != 0, "the witness would tell"
