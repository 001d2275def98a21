"""An S3 server for the length of the demo: SeaweedFS where its wheel is, moto's otherwise."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from s3plan.demo.programs import Program, find_program, moto, running, seaweedfs
from s3plan.errors import EndpointError

ACCESS_KEY, SECRET_KEY = "demo-access-key", "demo-secret-key"
"""Credentials that only the demo's own server knows."""


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
    program = _program(directory)
    with running(program, directory, environ) as endpoint:
        yield DemoServer(program.name, endpoint, environ)


def _program(directory: Path) -> Program:
    weed = find_program("weed")
    if weed is not None:
        return seaweedfs(weed, directory, ACCESS_KEY, SECRET_KEY, volumes=100, size=64)
    server = find_program("moto_server")
    if server is not None:
        return moto(server)
    raise EndpointError(
        "there is no S3 server to show this on",
        expected="SeaweedFS or moto's server beside this Python",
        next_step='pip install "s3plan[demo]", or s3plan demo --connection FILE',
    )
