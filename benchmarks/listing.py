"""Cases: the objects of a bucket, a line each."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.case import Case, Contender, Job
from benchmarks.datasets import Dataset, fill
from benchmarks.goals import Ratio
from benchmarks.programs import AWS, RCLONE, S3PLAN, S5CMD, WrongResultError, aws, rclone, s5cmd

LISTER = Path(__file__).with_name("lister.py")


def _lines(job: Job) -> None:
    with job.said.open("rb") as file:
        found = sum(line.rstrip().endswith(b".bin") for line in file)
    if found != job.dataset.count:
        raise WrongResultError(f"{job.program.name} lists {found} of {job.dataset.count} objects")


def _ours(job: Job) -> list[str]:
    return [sys.executable, str(LISTER), job.server.endpoint, job.dataset.bucket]


def _rclone(job: Job) -> list[str]:
    options = ["-R", "--fast-list", "--files-only", "--format", "sp"]
    return rclone("lsf", f"bench:{job.dataset.bucket}", *options)


def _aws(job: Job) -> list[str]:
    return aws(job.server, "ls", "--recursive", f"s3://{job.dataset.bucket}")


LISTED = Dataset("listed", 100_000, 16)
BY_S5CMD = Contender(
    S5CMD,
    lambda job: s5cmd(job.server, "ls", f"s3://{job.dataset.bucket}/*"),
    does=" ls",
    check=_lines,
)
BY_RCLONE = Contender(RCLONE, _rclone, does=" lsf", check=_lines)
BY_AWS = Contender(AWS, _aws, does=" s3 ls", check=_lines, slow=True)
BARE = (BY_S5CMD, BY_RCLONE)

CASES = (
    Case(
        "list",
        f"List {LISTED.count:,} objects",
        LISTED,
        (Contender(S3PLAN, _ours, "keys, order, pages", check=_lines), *BARE, BY_AWS),
        (Ratio(0.8, tuple(one.name for one in (*BARE, BY_AWS))),),
        fill,
        note="No command of s3plan only lists: `benchmarks/lister.py` is what `s3plan plan` does "
        "with a listing, and prints it.",
    ),
)
