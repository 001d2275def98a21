"""An S3 server for the length of a benchmark: SeaweedFS on free ports of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from s3plan.demo.programs import running as serving
from s3plan.demo.programs import seaweedfs

ACCESS_KEY = "bench"
SECRET_KEY = "bench-secret"
REGION = "us-east-1"


@dataclass(frozen=True)
class Server:
    """Where the server answers, and what every tool needs in its environment to talk to it."""

    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment with the server's credentials and nobody else's."""
        inherited = {name: value for name, value in os.environ.items() if "AWS_" not in name}
        # An installed program is compiled; the round that is not counted does it for this one.
        inherited.pop("PYTHONDONTWRITEBYTECODE", None)
        return inherited | {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }


def tool(name: str) -> Path:
    """A program of this virtual environment."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        sys.exit(f"benchmarks: {path} is missing; run `make venv`")
    return path


@contextmanager
def running(directory: Path) -> Iterator[Server]:
    """SeaweedFS over ``directory``; it is gone when the block ends."""
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"  # nothing here is for a proxy
    home = directory / "server"
    home.mkdir()
    program = seaweedfs(str(tool("weed")), home, ACCESS_KEY, SECRET_KEY, volumes=100, size=1024)
    with serving(program, home) as endpoint:
        yield Server(endpoint)


def version() -> str:
    """SeaweedFS's own version number."""
    said = subprocess.run([str(tool("weed")), "version"], check=True, capture_output=True)
    return said.stdout.decode().split()[2]
