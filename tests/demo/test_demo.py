"""The demo is the promise of the first page: it ends well, says so, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.servers import Server


def demo(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "s3plan", "demo", *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_on_a_server_of_its_own() -> None:
    done = demo()
    assert done.returncode == 0, done.stderr
    echoed = [line for line in done.stdout.splitlines() if line.startswith("$ ")]
    assert [line.split()[2] for line in echoed if line.startswith("$ s3plan")] == [
        "plan",
        "apply",
        "status",
        "apply",
        "plan",
        "rollback",
        "rollback",
        "status",
    ]
    assert "No changes.\n" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("291 of 291 objects are as they were")


@pytest.mark.long
def test_on_a_bucket_of_its_own_elsewhere(seaweed: Server, tmp_path: Path) -> None:
    connection = tmp_path / "connection.yaml"
    connection.write_text(
        "apiVersion: s3plan/v1\nkind: Connection\nmetadata: {name: mine}\n"
        f'spec: {{endpoint: "{seaweed.endpoint}", region: us-east-1, addressing: path}}\n'
    )
    client = boto3.client("s3", endpoint_url=seaweed.endpoint, **_keys(seaweed))
    before = client.list_buckets()["Buckets"]
    done = demo(
        "--connection",
        str(connection),
        AWS_ACCESS_KEY_ID=seaweed.access_key,
        AWS_SECRET_ACCESS_KEY=seaweed.secret_key,
    )
    assert done.returncode == 0, done.stderr
    assert "objects are as they were" in done.stdout
    assert client.list_buckets()["Buckets"] == before


def _keys(server: Server) -> Any:
    return {
        "aws_access_key_id": server.access_key,
        "aws_secret_access_key": server.secret_key,
        "region_name": server.region,
    }
