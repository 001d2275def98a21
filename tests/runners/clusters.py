"""A Dask scheduler and workers as processes of their own, to be killed one by one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from s3plan.demo.programs import free_ports

START = 90.0
"""Seconds that a process may take to come, on a machine that does other things as well."""


class DaskCluster:
    """One scheduler and its workers; a worker that is killed stays dead."""

    def __init__(self, directory: Path, environ: Mapping[str, str]) -> None:
        self.directory = directory
        self.environ = dict(environ) | {"PYTHONWARNINGS": "ignore"}
        self.port = free_ports(1)[0]
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler: subprocess.Popen[bytes] | None = None
        self._logs = 0

    @property
    def address(self) -> str:
        """As ``--scheduler`` takes it."""
        return f"tcp://127.0.0.1:{self.port}"

    def start(self, workers: int = 2) -> None:
        """A scheduler at the same address as ever, and so many workers."""
        file = self.directory / "scheduler.json"
        file.unlink(missing_ok=True)
        self.scheduler = self._process(
            "scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard",
            "--no-show", "--scheduler-file", str(file),
        )  # fmt: skip
        deadline = time.monotonic() + START
        while not _is_written(file):
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)
        for _ in range(workers):
            self.add_worker()

    def add_worker(self) -> None:
        """One more worker; it comes when it comes."""
        self.workers.append(
            self._process(
                "worker",
                self.address,
                "--host",
                "127.0.0.1",
                "--no-nanny",
                "--nthreads",
                "2",
                "--no-dashboard",
                "--local-directory",
                str(self.directory),
                "--death-timeout",
                "30",
            )
        )

    def kill_worker(self) -> None:
        """Kill -9 of the oldest worker."""
        _end(self.workers.pop(0), signal.SIGKILL)

    def kill_scheduler(self) -> None:
        """Kill -9 of the scheduler; its workers go on, and end some time later."""
        assert self.scheduler is not None
        _end(self.scheduler, signal.SIGKILL)

    def end_workers(self) -> None:
        """End every worker."""
        while self.workers:
            self.kill_worker()

    def close(self) -> None:
        """End all processes."""
        self.end_workers()
        if self.scheduler is not None:
            self.kill_scheduler()

    def said(self) -> str:
        """What the processes wrote."""
        return "\n".join(log.read_text()[-2000:] for log in self.directory.glob("*.log"))

    def _process(self, what: str, *arguments: str) -> subprocess.Popen[bytes]:
        self._logs += 1
        with (self.directory / f"{what}-{self._logs}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments],
                cwd=self.directory,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )


@contextmanager
def dask_cluster(
    directory: Path, environ: Mapping[str, str], workers: int = 2
) -> Iterator[DaskCluster]:
    """A scheduler with so many workers, all gone at the end."""
    cluster = DaskCluster(directory, environ)
    try:
        cluster.start(workers)
        yield cluster
    finally:
        cluster.close()


def _is_written(file: Path) -> bool:
    try:
        return bool(json.loads(file.read_text()))
    except (FileNotFoundError, ValueError):
        return False


def _end(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    process.send_signal(number)
    process.wait(30)
