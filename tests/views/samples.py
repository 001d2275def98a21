"""Plans, statuses and runs that the tests of views and commands show: values only, no I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from s3plan.errors import PlanFileError
from s3plan.model.connection import Connection
from s3plan.model.events import GateReached, RunFinished
from s3plan.model.journal import Loss
from s3plan.model.plan import PLAN_FORMAT, ManifestRef, PlanHeader, PlanPart, Target
from s3plan.model.status import BucketStatus, Counts, RunStatus, StepStatus
from s3plan.model.steps import (
    Delete,
    DeleteBucket,
    Download,
    Gate,
    Item,
    Need,
    Step,
    Totals,
    Verify,
)
from s3plan.plan.reading import ItemRow

DIGEST = "sha256:3f2a91bc77d0" + "5e" * 26
EVIDENCE = "a1b2c3d4e5f60718" + "9a" * 24
BUCKET = "old-photos"

HOSTILE_KEYS = (
    "\x1b[2Jgone",
    "[red]not red[/red]",
    "photo\u202egpj.exe",
    "two\nlines\r",
    "tab\there",
    "bell\x07 and c1 \x9b31m",
    "zero\u200bwidth",
    ":smile: emoji code",
    "line\u2028separator",
)


@dataclass(frozen=True)
class SamplePlan:
    """As much of a plan file as views and commands use."""

    header: PlanHeader
    steps: tuple[Step, ...]
    digest: str
    worklist: tuple[Item, ...]
    path: Path = Path("plan.json")
    parts: tuple[PlanPart, ...] = ()

    def step(self, step: str) -> Step:
        for known in self.steps:
            if known.id == step:
                return known
        raise PlanFileError(f"the plan has no step {step}", address="plan.json")

    def items(self, step: str, start: int = 0, /) -> Iterator[Item]:
        assert self.step(step).worklist is not None
        return iter(self.worklist[start:])

    def rows(self, step: str, /) -> Iterator[list[ItemRow]]:
        yield [
            ItemRow(item.n, item.key, item.path, item.size, item.storage_class)
            for item in self.items(step)
        ]


def item(n: int, key: str, size: int = 2_100_000, path: str | None = None) -> Item:
    return Item(
        step="download-1a2b3c4d",
        n=n,
        key=key,
        path=path if path is not None else f"{BUCKET}/{key}",
        size=size,
        etag="d41d8cd98f00b204e9800998ecf8427e",
        modified="2026-11-01T08:00:00.000Z",
    )


ITEMS = (
    item(0, "2019/01/first.jpg"),
    item(1, "2020/raw/large.cr2", 48_000_000),
    item(2, "2024/12/last.jpg", 900_000, "old-photos/2024/12/last%2Ejpg"),
)

TOTALS = Totals(1204, 19_542_101_196)


def evacuation(items: tuple[Item, ...] = ITEMS, subject: str = BUCKET) -> SamplePlan:
    """A bucket that is downloaded, verified, deleted."""
    shared = "download-1a2b3c4d"
    steps = (
        Step(
            id=shared,
            action=Download("/data/photos"),
            subject=subject,
            needs=(),
            gate=None,
            reversibility="free",
            undo="The downloaded files are removed.",
            reason="1,204 objects are not on disk yet.",
            totals=TOTALS,
            worklist=shared,
            seconds=130.0,
        ),
        Step(
            id="verify-5e6f7a8b",
            action=Verify("/data/photos", subject, read_back=True),
            subject=subject,
            needs=(Need(shared),),
            gate=None,
            reversibility="free",
            undo="Nothing to take back.",
            reason="Deletion needs evidence that every object is on disk.",
            totals=TOTALS,
            worklist=shared,
            seconds=40.0,
        ),
        Step(
            id="delete-9c0d1e2f",
            action=Delete("/data/photos"),
            subject=subject,
            needs=(Need("verify-5e6f7a8b"),),
            gate=Gate("approve-delete", subject, "verify-5e6f7a8b"),
            reversibility="costs",
            undo="Every object is uploaded again from the verified copy.",
            reason="The manifest says delete: afterVerification.",
            totals=TOTALS,
            worklist=shared,
            seconds=3.0,
        ),
        Step(
            id="delete-bucket-3a4b5c6d",
            action=DeleteBucket("eu-central-1", "/data/photos", unsaved=("website",)),
            subject=subject,
            needs=(Need("delete-9c0d1e2f"),),
            gate=None,
            reversibility="until",
            undo="The bucket is created again, unless somebody else has taken its name.",
            reason="The manifest says deleteBucket: true.",
            totals=Totals(),
            seconds=0.5,
            warnings=(
                "Anybody can take the name of a deleted bucket, and would then receive what is "
                "still sent to it.",
            ),
        ),
    )
    header = PlanHeader(
        format=PLAN_FORMAT,
        tool="0.1.0",
        created="2026-11-20T04:23:11Z",
        host="desk",
        target=Target("https://s3.eu-central-1.amazonaws.com", "eu-central-1", "123456789012"),
        connection=Connection(),
        manifests=(ManifestRef("manifest.yaml", "BucketEvacuation", "photos", "ab" * 32),),
        totals=TOTALS,
        notes=("12 keys end in / and become empty directories.",),
    )
    return SamplePlan(header, steps, DIGEST, items)


FIGURES = {
    "file_count": 1204,
    "total_size": TOTALS.bytes,
    "verified_file_count": 1204,
    "checksum_verified_count": 1204,
    "total_bytes_verified": TOTALS.bytes,
    "local_file_count": 1204,
}

GATE = GateReached(
    subject=BUCKET,
    evidence=EVIDENCE,
    passes=True,
    figures=FIGURES,
    totals=TOTALS,
    guard="each deletion carries the planned ETag, which this endpoint honours",
)

LOSING = msgspec.structs.replace(
    GATE,
    losses=(
        Loss(
            "unverifiable",
            Totals(12, 48_000_000),
            tuple(f"2019/raw/{number}.cr2" for number in range(10)),
            ".s3plan/runs/20261120T042311Z-3f2a91bc/evidence/verify-5e6f7a8b.jsonl",
        ),
        Loss("no-copy", Totals(1, 900), ("2020/old version\x1b[2J.jpg",)),
    ),
)

DONE = RunFinished(
    run="20261120-042311-3f2a91bc",
    outcome="done",
    exit_code=0,
    done=1204,
    failed=0,
    drifted=0,
    skipped=0,
    kept=0,
    bytes=TOTALS.bytes,
    seconds=128.4,
    message="",
    next_step="take it back with `s3plan rollback journal.json`",
)

HELD = RunFinished(
    run="20261120-042311-3f2a91bc",
    outcome="held",
    exit_code=4,
    done=1204,
    failed=0,
    drifted=0,
    skipped=1204,
    kept=0,
    bytes=TOTALS.bytes,
    seconds=128.4,
    message="held: waits for approval of the deletion; remaining: 1",
    next_step="s3plan apply --approve",
)

INCOMPLETE = RunFinished(
    run="20261120-042311-3f2a91bc",
    outcome="incomplete",
    exit_code=3,
    done=1090,
    failed=110,
    drifted=4,
    skipped=0,
    kept=0,
    bytes=1_000_000_000,
    seconds=12.25,
    message="4 objects changed since the plan was made",
    next_step="`s3plan apply plan.json --approve` goes on with what failed",
    failed_names=tuple(f"old-photos/{n:03}.jpg" for n in range(100)),
)

STATUS = RunStatus(
    run="20261120-042311-3f2a91bc",
    command="apply",
    journal=".s3plan/runs/20261120-042311-3f2a91bc/journal.json",
    digest=DIGEST,
    outcome="held",
    phase="migrate",
    running=None,
    started="2026-11-20T04:23:11Z",
    updated="2026-11-20T04:25:40Z",
    totals=Totals(1704, 20_000_000_000),
    buckets=(
        BucketStatus(
            bucket="logs",
            state="completed",
            totals=Totals(500, 457_898_804),
            synced=True,
            verified=True,
            deleted=True,
            steps=(),
            figures={},
        ),
        BucketStatus(
            bucket=BUCKET,
            state="held",
            totals=TOTALS,
            synced=True,
            verified=True,
            deleted=False,
            steps=(
                StepStatus(
                    "download-1a2b3c4d",
                    "download",
                    "done",
                    TOTALS,
                    Counts(verified=1204),
                    TOTALS.bytes,
                ),
                StepStatus(
                    "verify-5e6f7a8b",
                    "verify",
                    "done",
                    TOTALS,
                    Counts(verified=1204),
                    TOTALS.bytes,
                ),
                StepStatus(
                    "delete-9c0d1e2f",
                    "delete",
                    "held",
                    TOTALS,
                    Counts(pending=1204),
                    0,
                    "approval is missing",
                ),
            ),
            figures=FIGURES,
            approve=f"--approve-delete {BUCKET}@{EVIDENCE[:16]}",
        ),
    ),
    failures=(),
    next_step=f"`s3plan apply --approve --approve-delete {BUCKET}@{EVIDENCE[:16]}`",
)
