"""rclone as a witness: it knows nothing of s3plan, and compares a bucket with its copies."""

from __future__ import annotations

import subprocess

import pytest

from s3plan.demo.programs import find_program
from tests.engine.scene import Ran, Scene


def rclone_check(scene: Scene) -> Ran:
    """``rclone check`` of the scene's bucket against its destination, a line a file."""
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
        timeout=300,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)
