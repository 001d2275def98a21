"""Cases: all objects of a bucket deleted, and 5,000 put back.

s3plan deletes what it has copied: a run that is held at its gate is approved, and every file is
looked at and every object compared once more before it goes. The rollback puts the objects back
from the verified copies and takes the copies away.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks import buckets, ours, uploads
from benchmarks.case import Case, Contender, Job
from benchmarks.datasets import KIB, Dataset, fill_again
from benchmarks.goals import Ratio
from benchmarks.programs import RCLONE, S3PLAN, S5CMD, WrongResultError, rclone, s5cmd

HELD = 4
"""s3plan's exit code at a gate."""


def _refill(job: Job) -> None:
    fill_again(job.server, job.dataset)


def _hold(job: Job) -> None:
    """Download everything, up to the gate that asks whether to delete."""
    _refill(job)
    ours.evacuation(job, delete="afterVerification")
    ours.plan(job)
    said = job.run(ours.apply(job), codes=(HELD,))
    (job.work / "approval").write_text(ours.approval(said))


def _approve(job: Job) -> list[str]:
    approval = (job.work / "approval").read_text()
    return [*ours.apply(job), "--approve-delete", approval]


def _gone(job: Job) -> None:
    if left := len(buckets.sizes(job, job.dataset.bucket)):
        raise WrongResultError(f"{job.program.name} left {left} objects")


def _ours_gone(job: Job) -> dict[str, float]:
    _gone(job)
    return ours.verified(job)


def _delete(job: Job) -> None:
    """What is rolled back: everything is copied, verified and deleted."""
    _hold(job)
    job.run(_approve(job))


def _roll_back(job: Job) -> list[str]:
    del job
    return ours.s3plan("rollback", "journal.json", "--approve")


def _back(job: Job) -> None:
    found = buckets.sizes(job, job.dataset.bucket)
    if (len(found), sum(found)) != (job.dataset.count, job.dataset.bytes):
        raise WrongResultError(f"{len(found)} objects, {sum(found)} bytes are back")
    if left := [path for path in job.output.rglob("*.bin") if ".s3plan" not in path.parts]:
        raise WrongResultError(f"{len(left)} copies are left")


DELETED = Dataset("deleted", 50_000, 1 * KIB)
OURS = Contender(S3PLAN, _approve, "copies and objects, again", prepare=_hold, check=_ours_gone)
PEERS = (
    Contender(
        S5CMD,
        lambda job: s5cmd(job.server, "rm", f"s3://{job.dataset.bucket}/*"),
        does=" rm",
        prepare=_refill,
        check=_gone,
    ),
    Contender(
        RCLONE,
        lambda job: rclone("delete", f"bench:{job.dataset.bucket}"),
        does=" delete",
        prepare=_refill,
        check=_gone,
    ),
)

BACK = Dataset("back", 5_000, 16 * KIB)


CASES = (
    Case(
        "delete-50000",
        f"Delete {DELETED.title}, each proved to be copied",
        DELETED,
        (OURS, *PEERS),
        (Ratio(1.0, tuple(peer.name for peer in PEERS)), *ours.JOURNAL),
        note="Objects are of 1 KiB, since the bucket is filled anew for every run. `aws s3 rm` "
        "sends a request for each object and is left out.",
    ),
    Case(
        "rollback-5000",
        f"Roll back the deletion and the download of {BACK.title}",
        BACK,
        (
            Contender(S3PLAN, _roll_back, "CRC64NVME", prepare=_delete, check=_back),
            replace(uploads.PEERS[0], does=" cp, which only uploads"),
        ),
        fill=uploads.fill,
        note="Nobody else rolls back. s5cmd uploads as many files, and takes nothing away.",
    ),
)
