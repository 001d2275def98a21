"""Cases: a bucket to a directory."""

from __future__ import annotations

import os
from dataclasses import replace

from benchmarks import limits, ours
from benchmarks.case import Case, Contender, Job
from benchmarks.datasets import GIB, KIB, MIB, Dataset, fill
from benchmarks.goals import Goal, Growth, Ratio
from benchmarks.programs import AWS, RCLONE, S3PLAN, S5CMD, WrongResultError, aws, rclone, s5cmd

SUMMED = ", then md5sum"


def _arrived(job: Job) -> None:
    """Every byte is in the output, leaving alone what s3plan keeps beside it."""
    sizes = [
        path.stat().st_size
        for path in job.output.rglob("*")
        if path.is_file() and ".s3plan" not in path.parts
    ]
    if (len(sizes), sum(sizes)) != (job.dataset.count, job.dataset.bytes):
        raise WrongResultError(f"{job.program.name} left {len(sizes)} files, {sum(sizes)} bytes")


def _prepare(job: Job) -> None:
    ours.evacuation(job)
    ours.plan(job)


def _s5cmd(job: Job) -> list[str]:
    return s5cmd(job.server, "cp", f"s3://{job.dataset.bucket}/*", f"{job.output}/")


def _summed(job: Job) -> list[str]:
    copy = " ".join(f"'{word}'" if "*" in word else word for word in _s5cmd(job))
    files = f"find {job.output} -type f -print0"
    return ["sh", "-c", f"{copy} && {files} | xargs -0 -n 64 -P {os.cpu_count()} md5sum > sums"]


def _and_check(job: Job) -> list[str]:
    place = [f"bench:{job.dataset.bucket}", str(job.output)]
    return [
        "sh",
        "-c",
        f"{' '.join(rclone('copy', *place))} && {' '.join(rclone('check', *place))}",
    ]


def _ours_arrived(job: Job) -> dict[str, float]:
    _arrived(job)
    return ours.downloaded(job)


def _and_summed(job: Job) -> None:
    _arrived(job)
    if len((job.work / "sums").read_text().splitlines()) != job.dataset.count:
        raise WrongResultError("md5sum has not read every file")


OURS = Contender(S3PLAN, ours.apply, "CRC64NVME", prepare=_prepare, check=_ours_arrived)
BY_S5CMD = Contender(S5CMD, _s5cmd, check=_arrived)
SUMMED_S5CMD = Contender(
    S5CMD, _summed, "nothing: it only computes MD5", does=SUMMED, check=_and_summed
)
BY_RCLONE = Contender(
    RCLONE,
    lambda job: rclone("copy", f"bench:{job.dataset.bucket}", str(job.output)),
    "MD5 where the ETag is one",
    does=" copy",
    check=_arrived,
)
SYNCED = Contender(
    RCLONE,
    lambda job: rclone("sync", f"bench:{job.dataset.bucket}", str(job.output)),
    "MD5 where the ETag is one",
    does=" sync",
    check=_arrived,
)
CHECKED = Contender(
    RCLONE,
    _and_check,
    "MD5, read again",
    does=" copy and check",
    check=_arrived,
)
BY_AWS = Contender(
    AWS,
    lambda job: aws(
        job.server, "sync", f"s3://{job.dataset.bucket}", str(job.output), "--only-show-errors"
    ),
    "what S3 stored",
    does=" s3 sync",
    check=_arrived,
    slow=True,
)


def _prepare_fifth(job: Job) -> None:
    ours.evacuation(job)
    with (job.work / "manifest.yaml").open("a") as file:
        file.write('  select: {prefix: "00"}\n')
    ours.plan(job)


def _fifth_arrived(job: Job) -> dict[str, float]:
    fifth = replace(job.dataset, count=job.dataset.count // 5)
    return _ours_arrived(replace(job, dataset=fifth))


A_FIFTH = replace(OURS, does=", a fifth of it", prepare=_prepare_fifth, check=_fifth_arrived)


def _case(name: str, dataset: Dataset, others: tuple[Contender, ...], *goals: Goal) -> Case:
    title = f"Download and verify {dataset.title}"
    return Case(name, title, dataset, (OURS, *others), goals, fill=fill)


def _large(name: str, dataset: Dataset) -> Case:
    others = (BY_S5CMD, SUMMED_S5CMD, BY_RCLONE, limits.DOWNLOAD)
    unverified, summed = Ratio(1.0, (BY_S5CMD.name,)), Ratio(0.6, (SUMMED_S5CMD.name,))
    return _case(name, dataset, others, unverified, summed)


EVERYBODY = (BY_S5CMD, SUMMED_S5CMD, BY_RCLONE, SYNCED, CHECKED, BY_AWS, limits.DOWNLOAD)
QUICKEST = Ratio(0.6, (BY_S5CMD.name, BY_RCLONE.name))

CASES = (
    _case("download-5000", Dataset("small", 5_000, 16 * KIB), EVERYBODY, QUICKEST, *ours.JOURNAL),
    _case(
        "download-50000",
        Dataset("many", 50_000, 16 * KIB),
        (BY_S5CMD, BY_RCLONE, A_FIFTH, limits.DOWNLOAD),
        QUICKEST,
        Growth(1.2, A_FIFTH.name),
        *ours.JOURNAL,
    ),
    _large("download-large", Dataset("large", 4, 256 * MIB)),
    _large("download-huge", Dataset("huge", 1, 2 * GIB)),
)
