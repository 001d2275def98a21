"""Real S3 servers for tests: moto's and SeaweedFS, each in a process and on ports of its own."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.secrets.canaries import ACCESS_KEY, SECRET_KEY, SESSION_TOKEN

_READY_SECONDS = 60


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


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def find_program(name: str) -> str | None:
    """A program of this environment or of the path."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


@contextlib.contextmanager
def moto(directory: Path) -> Iterator[Server]:
    """The server of moto: AWS's widest surface, slow, accepts any key."""
    (port,) = free_ports(1)
    program = find_program("moto_server")
    assert program is not None, "moto[server] is not installed"
    endpoint = f"http://127.0.0.1:{port}"
    with _process(
        [program, "-H", "127.0.0.1", "-p", str(port)],
        directory / "moto.log",
        f"{endpoint}/moto-api/",
    ):
        yield Server(endpoint, ACCESS_KEY, SECRET_KEY, "us-east-1", SESSION_TOKEN)


def reset_moto(server: Server) -> None:
    """Forget every bucket."""
    request = urllib.request.Request(f"{server.endpoint}/moto-api/reset", method="POST", data=b"")
    with urllib.request.urlopen(request, timeout=10):
        pass


@contextlib.contextmanager
def seaweedfs(directory: Path) -> Iterator[Server]:
    """SeaweedFS: fast, and honours conditions on every write; refuses some hostile keys."""
    program = find_program("weed")
    assert program is not None, "SeaweedFS (weed) is not installed"
    names = ("master", "volume", "filer", "s3")
    ports = free_ports(2 * len(names))
    identity = {
        "name": "test",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = directory / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    data = directory / "data"
    data.mkdir()
    command = [
        *(program, "server", f"-dir={data}", "-s3", f"-s3.config={config}"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *("-volume.max=1000", "-master.volumeSizeLimitMB=64"),
    ]
    for index, name in enumerate(names):
        command.append(f"-{name}.port={ports[2 * index]}")
        command.append(f"-{name}.port.grpc={ports[2 * index + 1]}")
    endpoint = f"http://127.0.0.1:{ports[6]}"
    try:
        with _process(command, directory / "weed.log", f"{endpoint}/healthz"):
            yield Server(endpoint, ACCESS_KEY, SECRET_KEY, "us-east-1")
    finally:
        for port in ports:
            for leftover in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                leftover.unlink(missing_ok=True)


@contextlib.contextmanager
def _process(command: list[str], log: Path, ready: str) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent)
    try:
        deadline = time.monotonic() + _READY_SECONDS
        while not _answers(ready):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{command[0]} does not start:\n{log.read_text()[-4000:]}")
            time.sleep(0.1)
        yield
    finally:
        process.kill()  # SeaweedFS takes 20 s to go by itself
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return error.code < 500
    except OSError:
        return False
