"""The programs side by side when they archive sessions, and how their work is checked."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from benchmarks.datasets import MIB, Dataset
from benchmarks.server import REGION, tool
from benchmarks.tools import Job, Rclone, S5cmd, Tool, WrongResultError, output_of, s5cmd_program

FILES = 8
"""Files of a session."""

MANIFEST = """\
apiVersion: s3plan/v1
kind: Connection
metadata: {{name: local}}
spec: {{endpoint: "{endpoint}", region: {region}, addressing: path}}
---
apiVersion: s3plan/v1
kind: SessionArchive
metadata: {{name: bench}}
spec:
  source: {{path: "{library}"}}
  sessions: {{pattern: "{{year}}/{{session}}", minAge: 0}}
  target: {{bucket: {bucket}, key: "{{session}}.tar"}}
"""


def make_library(scratch: Path, dataset: Dataset) -> None:
    """``dataset.count`` sessions of ``dataset.size`` random bytes each, once."""
    for session in _sessions(scratch, dataset):
        if session.exists():
            continue
        session.mkdir(parents=True)
        for number in range(FILES):
            with (session / f"{number}.bin").open("wb") as file:
                for _ in range(dataset.size // FILES // MIB):
                    file.write(os.urandom(MIB))


def _sessions(scratch: Path, dataset: Dataset) -> list[Path]:
    return [scratch / "library" / "2024" / f"night-{number}" for number in range(dataset.count)]


class Archiving(Tool):
    """A program that makes a tar of each session in a bucket, which is empty before."""

    def library(self, job: Job) -> Path:
        """The sessions of one year."""
        return job.work.parent / "library" / "2024"

    def names(self, job: Job) -> list[str]:
        """Of the sessions."""
        return [path.name for path in _sessions(job.work.parent, job.dataset)]

    def prepare(self, job: Job) -> None:
        """An empty bucket."""
        if f"s3://{job.dataset.bucket}" not in self._s5cmd(job, "ls").split():
            self._s5cmd(job, "mb", f"s3://{job.dataset.bucket}")
        elif self._listed(job):
            self._s5cmd(job, "rm", f"s3://{job.dataset.bucket}/*")

    def check(self, job: Job) -> None:
        """Every session is one object with all its bytes, as another program lists it."""
        sizes = [int(line.split(None, 3)[2]) for line in self._listed(job) if line.endswith(".tar")]
        if len(sizes) != job.dataset.count or min(sizes) < job.dataset.size:
            raise WrongResultError(f"{self.name} left archives of {sizes} bytes")

    def _listed(self, job: Job) -> list[str]:
        command = [s5cmd_program(), "--endpoint-url", job.server.endpoint]
        command += ["ls", f"s3://{job.dataset.bucket}/*"]
        return output_of(command, cwd=job.work, env=self.environment(job), check=False).splitlines()

    def _s5cmd(self, job: Job, *arguments: str) -> str:
        command = [s5cmd_program(), "--endpoint-url", job.server.endpoint, *arguments]
        return output_of(command, cwd=job.work, env=self.environment(job))

    def _piped(self, job: Job, into: str) -> list[str]:
        """All sessions at once, each through a pipe: nothing on disk in between."""
        pipes = [
            f"tar -C $LIBRARY -cf - {name} | {into.format(name=name)} &" for name in self.names(job)
        ]
        return ["sh", "-c", " ".join([*pipes, "wait"])]


@dataclass
class S3PlanArchive(Archiving):
    """``s3plan apply``: tar, digests, index, and the comparison with what S3 stored."""

    name: str = "s3plan"

    def version(self) -> str:
        """As the program tells it."""
        return output_of([str(tool("s3plan")), "--version"]).split()[-1]

    def environment(self, job: Job) -> dict[str, str]:
        """A state folder of its own."""
        return {**job.server.environment, "XDG_STATE_HOME": str(job.work / "state")}

    def prepare(self, job: Job) -> None:
        """An empty bucket, a manifest and its plan."""
        super().prepare(job)
        text = MANIFEST.format(
            endpoint=job.server.endpoint,
            region=REGION,
            bucket=job.dataset.bucket,
            library=self.library(job).parent,
        )
        (job.work / "manifest.yaml").write_text(text)
        self._run(job, "plan", "manifest.yaml")

    def command(self, job: Job) -> list[str]:
        """Archives and their verification."""
        del job
        return [str(tool("s3plan")), "apply", "--approve"]

    def check(self, job: Job) -> None:
        """Every archive is there, and ``s3plan verify`` calls every one verified."""
        super().check(job)
        found = json.loads(self._run(job, "verify", "manifest.yaml", "--json").splitlines()[-1])
        if found["by_checksum"] != job.dataset.count or found["problem_count"]:
            raise WrongResultError(f"s3plan verify: {found}")

    def _run(self, job: Job, *arguments: str) -> str:
        command = [str(tool("s3plan")), *arguments]
        return output_of(command, cwd=job.work, env=self.environment(job))


@dataclass
class S5cmdArchive(Archiving):
    """``tar | s5cmd pipe``, which verifies nothing."""

    name: str = "s5cmd"

    def version(self) -> str:
        """As the program tells it."""
        return S5cmd().version()

    def environment(self, job: Job) -> dict[str, str]:
        """What the shell puts in."""
        more = {"LIBRARY": str(self.library(job)), "S5CMD": s5cmd_program()}
        return super().environment(job) | more

    def command(self, job: Job) -> list[str]:
        """Its parts and concurrency are left at their defaults."""
        place = f"s3://{job.dataset.bucket}/{{name}}.tar"
        return self._piped(job, f"$S5CMD --endpoint-url {job.server.endpoint} pipe {place}")


@dataclass
class RcloneArchive(Archiving):
    """``tar | rclone rcat``."""

    name: str = "rclone"

    def version(self) -> str:
        """As the program tells it."""
        return Rclone().version()

    def environment(self, job: Job) -> dict[str, str]:
        """As for downloads, and what the shell puts in."""
        more = {"LIBRARY": str(self.library(job)), "RCLONE": str(tool("rclone"))}
        return Rclone().environment(job) | more

    def command(self, job: Job) -> list[str]:
        """Its chunks and concurrency are left at their defaults."""
        return self._piped(job, f"$RCLONE rcat bench:{job.dataset.bucket}/{{name}}.tar")
