"""The bucket that a contender writes to: new before, listed by another program afterwards."""

from __future__ import annotations

from benchmarks.case import Job
from benchmarks.programs import WrongResultError, s5cmd


def target(job: Job) -> str:
    """Its name, which belongs to the run."""
    return f"{_stem(job)}{job.number}"


def new(job: Job) -> None:
    """Make it, and remove those of the runs before with all that is in them.

    One that was emptied would not do: SeaweedFS goes on removing what was in it while the next
    program is timed, and a listing passes over each key that was ever deleted there.
    """
    for name in job.run(s5cmd(job.server, "ls")).split():
        if name.startswith(f"s3://{_stem(job)}"):
            job.run(s5cmd(job.server, "rb", name))
    job.run(s5cmd(job.server, "mb", f"s3://{target(job)}"))


def _stem(job: Job) -> str:
    return f"{job.dataset.bucket}-target-"


def sizes(job: Job, bucket: str, suffix: str = "") -> list[int]:
    """Bytes of each of its objects whose key ends so."""
    # s5cmd ends with 1 where there is nothing.
    lines = job.run(s5cmd(job.server, "ls", f"s3://{bucket}/*"), codes=(0, 1)).splitlines()
    return [int(line.split(None, 3)[2]) for line in lines if line.endswith(suffix)]


def arrived(job: Job) -> None:
    """Every byte is in it; WrongResultError otherwise."""
    found = sizes(job, target(job))
    if (len(found), sum(found)) != (job.dataset.count, job.dataset.bytes):
        raise WrongResultError(f"{job.program.name} left {len(found)} objects, {sum(found)} bytes")
