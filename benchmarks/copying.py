"""The programs side by side when they copy a bucket within S3, and how their work is checked."""

from __future__ import annotations

import json
from dataclasses import dataclass

from benchmarks.server import REGION, tool
from benchmarks.tools import Job, S5cmd, Tool, WrongResultError, output_of, s5cmd_program

MANIFEST = """\
apiVersion: s3plan/v1
kind: Connection
metadata: {{name: local}}
spec: {{endpoint: "{endpoint}", region: {region}, addressing: path}}
---
apiVersion: s3plan/v1
kind: ObjectGrouping
metadata: {{name: bench}}
spec:
  source: {{bucket: {bucket}, pattern: "{{path}}"}}
  target: {{bucket: {copies}, key: "{{path}}"}}
"""


class Copying(Tool):
    """A program that copies the bucket of a dataset to another one, which is empty before."""

    def copies(self, job: Job) -> str:
        """The bucket that is copied to."""
        return f"{job.dataset.bucket}-copies"

    def prepare(self, job: Job) -> None:
        """An empty bucket."""
        buckets = self._s5cmd(job, "ls").split()
        if f"s3://{self.copies(job)}" not in buckets:
            self._s5cmd(job, "mb", f"s3://{self.copies(job)}")
        elif self._listed(job):
            self._s5cmd(job, "rm", f"s3://{self.copies(job)}/*")

    def check(self, job: Job) -> None:
        """Every byte was copied, as another program lists it; WrongResultError otherwise."""
        sizes = [int(line.split(None, 3)[2]) for line in self._listed(job)]
        if (len(sizes), sum(sizes)) != (job.dataset.count, job.dataset.bytes):
            raise WrongResultError(f"{self.name} left {len(sizes)} copies, {sum(sizes)} bytes")

    def _listed(self, job: Job) -> list[str]:
        pattern = f"s3://{self.copies(job)}/*"
        command = [s5cmd_program(), "--endpoint-url", job.server.endpoint, "ls", pattern]
        return output_of(command, cwd=job.work, env=self.environment(job), check=False).splitlines()

    def _s5cmd(self, job: Job, *arguments: str) -> str:
        command = [s5cmd_program(), "--endpoint-url", job.server.endpoint, *arguments]
        return output_of(command, cwd=job.work, env=self.environment(job))


@dataclass
class S3PlanCopy(Copying):
    """``s3plan apply``: copy, compare and record. Planning is not timed."""

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
            copies=self.copies(job),
        )
        (job.work / "manifest.yaml").write_text(text)
        self._run(job, "plan", "manifest.yaml")

    def command(self, job: Job) -> list[str]:
        """Copies and their verification."""
        del job
        return [str(tool("s3plan")), "apply", "--approve"]

    def check(self, job: Job) -> None:
        """Every copy is there, and ``s3plan status`` calls every one verified."""
        super().check(job)
        (bucket,) = json.loads(self._run(job, "status", "--json"))["buckets"]
        steps = {step["verb"]: step["counts"]["verified"] for step in bucket["steps"]}
        if set(steps.values()) != {job.dataset.count}:
            raise WrongResultError(f"s3plan status: {steps} of {job.dataset.count} are verified")

    def _run(self, job: Job, *arguments: str) -> str:
        command = [str(tool("s3plan")), *arguments]
        return output_of(command, cwd=job.work, env=self.environment(job))


@dataclass
class S5cmdCopy(Copying):
    """``s5cmd cp`` from bucket to bucket, which verifies nothing."""

    name: str = "s5cmd"

    def version(self) -> str:
        """As the program tells it."""
        return S5cmd().version()

    def command(self, job: Job) -> list[str]:
        """32 workers were its best on two cores."""
        source, target = f"s3://{job.dataset.bucket}/*", f"s3://{self.copies(job)}/"
        options = ["--endpoint-url", job.server.endpoint, "--log", "error", "--numworkers", "32"]
        return [s5cmd_program(), *options, "cp", source, target]
