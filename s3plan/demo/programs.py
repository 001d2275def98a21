"""Programs that serve S3 on ports of this machine: SeaweedFS and moto's server."""

from __future__ import annotations

import json
import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from s3plan.errors import EndpointError

PATIENCE = 60.0
"""Seconds a server may take to answer."""

_PORTS = range(15_000, 32_768)
"""Below those that the kernel gives to outgoing connections (ip_local_port_range, 32768 upwards):
of these, one that is free now may be somebody's own end of a connection when the server comes."""

_ATTEMPTS = 3
_WEED_PORTS = tuple(
    f"{service}.{port}"
    for service in ("master", "volume", "filer", "s3")
    for port in ("port", "port.grpc")
)


@dataclass(frozen=True, slots=True)
class Program:
    """A server to start: what to type, given its ports, and where it says that it is ready."""

    name: str
    ports: int
    command: Callable[[list[int]], list[str]]
    s3_port: int
    """Which of its ports speaks S3."""
    ready: str
    """A path that answers without credentials once it serves."""


def find_program(name: str) -> str | None:
    """A program beside this Python, else on PATH."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def seaweedfs(
    program: str, directory: Path, access_key: str, secret_key: str, *, volumes: int, size: int
) -> Program:
    """SeaweedFS with one identity that may do everything; ``size`` of a volume in MiB.

    Its data and its file of identities lie in ``directory``.
    """
    identity = {
        "name": "owner",
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = directory / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    data = directory / "data"
    data.mkdir()

    def command(ports: list[int]) -> list[str]:
        return [
            *(program, "server", f"-dir={data}", "-s3", f"-s3.config={config}"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *(f"-volume.max={volumes}", f"-master.volumeSizeLimitMB={size}"),
            *(f"-{name}={port}" for name, port in zip(_WEED_PORTS, ports, strict=True)),
        ]

    return Program("SeaweedFS", len(_WEED_PORTS), command, _WEED_PORTS.index("s3.port"), "/healthz")


def moto(program: str) -> Program:
    """The server of moto, which keeps everything in memory and accepts any key."""
    return Program(
        "moto", 1, lambda ports: [program, "-H", "127.0.0.1", "-p", str(ports[0])], 0, "/moto-api/"
    )


@contextmanager
def running(
    program: Program, directory: Path, environ: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Start the program and give its endpoint; it is killed when the block ends.

    It writes ``server.log`` in ``directory``. Where another process was quicker to take one of
    its ports it is started again on others. Raises EndpointError when it does not come.
    """
    log = directory / "server.log"
    for attempt in range(1, _ATTEMPTS + 1):
        ports = free_ports(program.ports)
        endpoint = f"http://127.0.0.1:{ports[program.s3_port]}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                program.command(ports), stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, cwd=directory, env=environ,
            )  # fmt: skip
        try:
            if _comes(process, endpoint + program.ready):
                yield endpoint
                return
        finally:
            # Its data goes with it, so there is nothing that it would have to put in order first;
            # SeaweedFS takes up to 20 s to go by itself.
            process.kill()
            process.wait()
            for port in ports:  # SeaweedFS leaves its sockets behind
                for leftover in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108
                    leftover.unlink(missing_ok=True)
        said = log.read_text(errors="replace")
        if attempt == _ATTEMPTS or "address already in use" not in said.lower():
            raise EndpointError(
                f"{program.name} did not start on this machine",
                address=endpoint,
                found=said[-2000:].strip(),
                next_step="s3plan demo --connection FILE shows the same on an endpoint of yours",
            )


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens; all are held at once, so that no two are the same."""
    chance = random.SystemRandom()
    with ExitStack() as stack:
        held: list[int] = []
        while len(held) < count:
            port = chance.choice(_PORTS)
            one = stack.enter_context(socket.socket())
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            held.append(port)
        return held


def _comes(process: subprocess.Popen[bytes], url: str) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not _answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _answers(url: str) -> bool:
    # A proxy of the environment is not for this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return error.code < 500
    except OSError:
        return False
