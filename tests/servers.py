"""Real S3 servers for tests: moto's and SeaweedFS, each in a process and on ports of its own."""

from __future__ import annotations

import contextlib
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from s3plan.demo import programs
from s3plan.demo.programs import find_program, running
from tests.secrets.canaries import ACCESS_KEY, SECRET_KEY, SESSION_TOKEN


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is and what it accepts."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str
    session_token: str | None = field(default=None, repr=False)

    @property
    def environ(self) -> dict[str, str]:
        """The variables that make a Store use this server's keys and nobody's profile."""
        token = {"AWS_SESSION_TOKEN": self.session_token} if self.session_token else {}
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        } | token


@contextlib.contextmanager
def moto(directory: Path) -> Iterator[Server]:
    """The server of moto: AWS's widest surface, slow, accepts any key."""
    program = find_program("moto_server")
    assert program is not None, "moto[server] is not installed"
    with running(programs.moto(program), directory) as endpoint:
        yield Server(endpoint, ACCESS_KEY, SECRET_KEY, "us-east-1", SESSION_TOKEN)


def reset_moto(server: Server) -> None:
    """Forget every bucket."""
    request = urllib.request.Request(f"{server.endpoint}/moto-api/reset", method="POST", data=b"")
    with urllib.request.urlopen(request, timeout=10):
        pass


@contextlib.contextmanager
def seaweedfs(directory: Path) -> Iterator[Server]:
    """SeaweedFS: fast, and honours conditions on every write; refuses some hostile keys."""
    weed = find_program("weed")
    assert weed is not None, "SeaweedFS (weed) is not installed"
    program = programs.seaweedfs(weed, directory, ACCESS_KEY, SECRET_KEY, volumes=1000, size=64)
    with running(program, directory) as endpoint:
        yield Server(endpoint, ACCESS_KEY, SECRET_KEY, "us-east-1")
