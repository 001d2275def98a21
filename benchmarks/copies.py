"""Cases: a bucket to another one, within S3."""

from __future__ import annotations

from benchmarks import buckets, limits, ours
from benchmarks.case import Case, Contender, Job
from benchmarks.datasets import KIB, Dataset, fill
from benchmarks.goals import Ratio
from benchmarks.programs import AWS, RCLONE, S3PLAN, S5CMD, aws, rclone, s5cmd


def _prepare(job: Job) -> None:
    buckets.new(job)
    ours.declare(job, ours.GROUPING, copies=buckets.target(job))
    ours.plan(job)


def _check(job: Job) -> dict[str, float]:
    buckets.arrived(job)
    return ours.verified(job)


def _s5cmd(job: Job) -> list[str]:
    source, copies = f"s3://{job.dataset.bucket}/*", f"s3://{buckets.target(job)}/"
    return s5cmd(job.server, "cp", source, copies)


def _aws(job: Job) -> list[str]:
    source, copies = f"s3://{job.dataset.bucket}", f"s3://{buckets.target(job)}"
    return aws(job.server, "sync", source, copies, "--only-show-errors")


OURS = Contender(S3PLAN, ours.apply, "CRC64NVME", prepare=_prepare, check=_check)
PEERS = (
    Contender(S5CMD, _s5cmd, prepare=buckets.new, check=buckets.arrived),
    Contender(
        RCLONE,
        lambda job: rclone("copy", f"bench:{job.dataset.bucket}", f"bench:{buckets.target(job)}"),
        does=" copy",
        prepare=buckets.new,
        check=buckets.arrived,
    ),
    Contender(AWS, _aws, does=" s3 sync", prepare=buckets.new, check=buckets.arrived, slow=True),
)

COPIED = Dataset("small", 5_000, 16 * KIB)

CASES = (
    Case(
        "copy-5000",
        f"Copy within S3 and verify {COPIED.title}",
        COPIED,
        (OURS, *PEERS, limits.COPY),
        (Ratio(0.8, tuple(peer.name for peer in PEERS)), *ours.JOURNAL),
        fill,
    ),
)
