"""An S3 server for the length of a benchmark: SeaweedFS on free ports of this machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ACCESS_KEY = "bench"
SECRET_KEY = "bench-secret"
REGION = "us-east-1"
SERVICES = ("master", "volume", "filer", "s3")
READY_SECONDS = 60.0


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
    data = directory / "server"
    data.mkdir()
    identities = data / "identities.json"
    credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = {"name": "bench", "credentials": credentials, "actions": actions}
    identities.write_text(json.dumps({"identities": [identity]}))

    names = [f"{service}.{port}" for service in SERVICES for port in ("port", "port.grpc")]
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    command = [str(tool("weed")), "server", f"-dir={data}", "-ip=127.0.0.1", "-s3"]
    command += [f"-{name}={port}" for name, port in ports.items()]
    command += [f"-s3.config={identities}", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    command += ["-volume.max=100", "-master.volumeSizeLimitMB=1024"]

    log = directory / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=data)
    try:
        endpoint = f"http://127.0.0.1:{ports['s3.port']}"
        _wait_until_ready(endpoint, process, log)
        yield Server(endpoint)
    finally:
        process.kill()  # asked politely it waits ten seconds, and its data goes with it anyway
        process.wait()
        for port in ports.values():  # weed leaves its sockets behind
            for leftover in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                leftover.unlink(missing_ok=True)


def _free_ports(count: int) -> list[int]:
    """Ports nobody listens on; all are held at once, so that no two are the same."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for held in sockets:
            held.bind(("127.0.0.1", 0))
        return [held.getsockname()[1] for held in sockets]


def _wait_until_ready(endpoint: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Ready means that S3 answers, be it with a refusal."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(endpoint, timeout=2).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    sys.exit(f"benchmarks: SeaweedFS did not become ready; its last words:\n{tail}")


def version() -> str:
    """SeaweedFS's own version number."""
    said = subprocess.run([str(tool("weed")), "version"], check=True, capture_output=True)
    return said.stdout.decode().split()[2]
