"""The demo's story: fill a bucket, plan, apply with its gates, status, and everything back."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from s3plan.demo.content import digests_of, fill, remove
from s3plan.demo.server import embedded_server
from s3plan.errors import HeldError
from s3plan.model.connection import Connection
from s3plan.store import Store

BUCKET = "old-photos"

_MANIFEST = """\
apiVersion: s3plan/v1
kind: BucketEvacuation
metadata: {{name: demo}}
spec:
  buckets: {{include: [{bucket}]}}
  destination: {{path: backup}}
  delete: afterVerification
  deleteBucket: true
"""

_CONNECTION = """\
apiVersion: s3plan/v1
kind: Connection
metadata: {{name: demo}}
spec: {{endpoint: "{endpoint}", region: us-east-1, addressing: path}}
---
"""


@dataclass(frozen=True, slots=True)
class _Stage:
    """Where the story plays."""

    directory: Path
    bucket: str
    connection: Connection
    environ: Mapping[str, str]
    tell: Callable[[str], None]


def run(connection: tuple[Connection, str] | None, tell: Callable[[str], None]) -> None:
    """Play the demo in a temporary directory, telling each line through ``tell``.

    ``connection`` is a connection of the person's own with the text of its manifest; None starts a
    server. Raises HeldError unless the digests before and after agree.
    """
    with tempfile.TemporaryDirectory(prefix="s3plan-demo-") as name:
        directory = Path(name)
        work = directory / "work"
        work.mkdir()
        if connection is not None:
            mine, text = connection
            bucket = f"s3plan-demo-{os.urandom(6).hex()}"
            manifest = f"{text.rstrip()}\n---\n" + _MANIFEST.format(bucket=bucket)
            (work / "manifest.yaml").write_text(manifest)
            _play(_Stage(work, bucket, mine, dict(os.environ), tell))
            return
        with embedded_server(directory) as server:
            tell(f"# {server.name} is listening on {server.endpoint}")
            manifest = _CONNECTION.format(endpoint=server.endpoint) + _MANIFEST.format(
                bucket=BUCKET
            )
            (work / "manifest.yaml").write_text(manifest)
            own = Connection(
                name="demo", endpoint=server.endpoint, region="us-east-1", addressing="path"
            )
            _play(_Stage(work, BUCKET, own, server.environ, tell))


def _play(stage: _Stage) -> None:
    tell = stage.tell
    store = Store(stage.connection, environ=stage.environ)
    store.control.create_bucket(stage.bucket, store.target.region)
    client = store.control.witness()
    try:
        fill(client, stage.bucket)
        before = digests_of(client, stage.bucket)
        tell(f"\n# bucket {stage.bucket} holds {len(before)} objects, some with awkward keys")
        tell("$ cat manifest.yaml")
        tell((stage.directory / "manifest.yaml").read_text().rstrip())
        _command(stage, ["plan", "manifest.yaml"], 0)
        tell("\n# download and verify; the deletion waits at its gate (exit code 4)")
        _command(stage, ["apply", "--approve"], 4)
        _command(stage, ["status"], 0)
        status = json.loads(_quiet(stage, ["status", "--json"]))
        tell("\n# a person has looked at the figures and approves that evidence")
        option = shlex.split(status["buckets"][0]["approve"])
        _command(stage, ["apply", "--approve", *option], 0)
        tell("\n# the bucket is gone; the same manifest has nothing left to do")
        _command(stage, ["plan", "manifest.yaml"], 0)
        tell("\n# and back again")
        _command(stage, ["rollback", "journal.json"], 0)
        _command(stage, ["rollback", "journal.json", "--approve"], 0)
        _command(stage, ["status"], 0)
        after = digests_of(client, stage.bucket)
    finally:
        remove(client, stage.bucket)
    if before != after:
        wrong = sorted(
            key for key in before.keys() | after.keys() if before.get(key) != after.get(key)
        )
        raise HeldError(
            f"{len(wrong)} objects are not as they were",
            expected=f"{len(before)} objects with the same bytes, metadata and tags",
            found=", ".join(wrong[:10]),
        )
    left = [path for path in (stage.directory / "backup").rglob("*") if _is_copy(stage, path)]
    if left:
        raise HeldError(f"{len(left)} files were left behind", found=str(left[0]))
    tell(
        f"\n# SHA-256 over bytes, metadata and tags: {len(after)} of {len(before)} objects "
        "are as they were"
    )


def _is_copy(stage: _Stage, path: Path) -> bool:
    return path.is_file() and path.relative_to(stage.directory / "backup").parts[0] != ".s3plan"


def _command(stage: _Stage, arguments: Sequence[str], expected: int) -> None:
    """Run one command for the person to see. Raises HeldError at another exit code."""
    stage.tell("")
    stage.tell(f"$ s3plan {shlex.join(arguments)}")
    sys.stdout.flush()
    done = subprocess.run(
        [sys.executable, "-m", "s3plan", *arguments],
        cwd=stage.directory, env=dict(stage.environ), stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    if done.returncode != expected:
        raise HeldError(
            f"s3plan {arguments[0]} ended otherwise than it should",
            expected=f"exit code {expected}",
            found=f"exit code {done.returncode}",
        )


def _quiet(stage: _Stage, arguments: Sequence[str]) -> str:
    return subprocess.run(
        [sys.executable, "-m", "s3plan", *arguments],
        cwd=stage.directory, env=dict(stage.environ), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
