"""Cases: files of a directory to a bucket.

s3plan uploads them as `extras` of a SessionArchive, which any files may be: each is read and
hashed, put under a key that must be free, and looked at there.
"""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks import buckets, ours
from benchmarks.case import Case, Contender, Job, Place
from benchmarks.datasets import KIB, MIB, Dataset
from benchmarks.goals import Goal, Ratio
from benchmarks.programs import AWS, RCLONE, S3PLAN, S5CMD, aws, rclone, s5cmd

EXTRAS = """\
apiVersion: s3plan/v1
kind: SessionArchive
metadata: {{name: bench}}
spec:
  source: {{path: "{nothing}"}}
  sessions: {{pattern: "{{year}}/{{session}}"}}
  target: {{bucket: {archives}, key: "{{session}}.tar"}}
  extras:
    - {{from: "{files}/*.bin", key: "{{stem}}_{{digest}}{{ext}}"}}
"""


def files(place: Place, dataset: Dataset) -> Path:
    """The directory that is uploaded."""
    return place.scratch / f"{dataset.bucket}-files"


def fill(place: Place, dataset: Dataset) -> None:
    """A file for each object, in one directory."""
    place.once(str(files(place, dataset)), lambda: _make(files(place, dataset), dataset))


def _make(directory: Path, dataset: Dataset) -> None:
    directory.mkdir()
    rest = os.urandom(dataset.size - 8)
    for number in range(dataset.count):
        path = directory / f"{number:06d}.bin"
        path.write_bytes(number.to_bytes(8, "big") + rest)


def _prepare(job: Job) -> None:
    buckets.new(job)
    (job.work / "nothing").mkdir()
    ours.declare(
        job,
        EXTRAS,
        nothing=job.work / "nothing",
        archives=buckets.target(job),
        files=files(job.place, job.dataset),
    )
    ours.plan(job)


def _check(job: Job) -> dict[str, float]:
    buckets.arrived(job)
    return ours.verified(job)


def _s5cmd(job: Job) -> list[str]:
    source = f"{files(job.place, job.dataset)}/*.bin"
    return s5cmd(job.server, "cp", source, f"s3://{buckets.target(job)}/")


def _rclone(job: Job) -> list[str]:
    return rclone("copy", str(files(job.place, job.dataset)), f"bench:{buckets.target(job)}")


def _aws(job: Job) -> list[str]:
    source, target = str(files(job.place, job.dataset)), f"s3://{buckets.target(job)}"
    return aws(job.server, "sync", source, target, "--only-show-errors")


OURS = Contender(S3PLAN, ours.apply, "CRC64NVME", prepare=_prepare, check=_check)
PEERS = (
    Contender(S5CMD, _s5cmd, prepare=buckets.new, check=buckets.arrived),
    Contender(RCLONE, _rclone, "MD5", does=" copy", prepare=buckets.new, check=buckets.arrived),
    Contender(
        AWS,
        _aws,
        "CRC64NVME",
        does=" s3 sync",
        prepare=buckets.new,
        check=buckets.arrived,
        slow=True,
    ),
)


def _case(name: str, dataset: Dataset, *goals: Goal) -> Case:
    title = f"Upload and verify {dataset.title}"
    quickest = Ratio(0.9, tuple(peer.name for peer in PEERS))
    return Case(name, title, dataset, (OURS, *PEERS), (quickest, *goals), fill)


CASES = (
    _case("upload-5000", Dataset("uploads", 5_000, 16 * KIB), *ours.JOURNAL),
    _case("upload-large", Dataset("large-uploads", 4, 256 * MIB)),
)
