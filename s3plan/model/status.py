"""What ``s3plan status`` tells: a run seen per bucket."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from s3plan.model.journal import JobStage, Loss
from s3plan.model.steps import Totals

BucketState = Literal[
    "pending",
    "configuring",
    "restoring",
    "syncing",
    "verifying",
    "deleting",
    "completed",
    "failed",
    "held",
    "skipped",
]

Phase = Literal["scanning", "glacier_restore", "glacier_wait", "migrate", "complete"]
"""The phases of the replaced bucket migrator, kept for people who know them."""


class Counts(Struct, frozen=True):
    """Items by how they ended; ``unknown`` will be looked at when the run is resumed.

    ``restoring`` are archived objects that S3 is at, ``expired`` those that are to be asked for
    again.
    """

    done: int = 0
    verified: int = 0
    unverifiable: int = 0
    mismatched: int = 0
    failed: int = 0
    drifted: int = 0
    kept: int = 0
    unknown: int = 0
    pending: int = 0
    restoring: int = 0
    expired: int = 0


class JobStatus(Struct, frozen=True):
    """A job of S3 Batch Operations for so many ``items``, as the journal knows it.

    ``id`` is empty until S3 gave one; ``status`` is how S3 says that it ended, empty until then.
    ``time`` is when the journal last said something of it (RFC 3339).
    """

    id: str
    stage: JobStage
    items: int
    status: str
    time: str


class StepStatus(Struct, frozen=True):
    """One step: ``state`` is pending, running, done, incomplete, held or skipped. ``jobs`` are
    there where S3 Batch Operations was given some of it.
    """

    id: str
    verb: str
    state: str
    totals: Totals
    counts: Counts
    done_bytes: int
    reason: str = ""
    jobs: tuple[JobStatus, ...] | UnsetType = UNSET


class BucketStatus(Struct, frozen=True):
    """One bucket. The flags are the replaced tool's: all objects here, verified, gone from S3.

    ``losses`` are what its deletion would lose, ``approve`` the options that open a held delete
    gate, None where nothing waits for them.
    """

    bucket: str
    state: BucketState
    totals: Totals
    synced: bool
    verified: bool
    deleted: bool
    steps: tuple[StepStatus, ...]
    figures: dict[str, int]
    approve: str | None = None
    losses: tuple[Loss, ...] = ()


class RunStatus(Struct, frozen=True):
    """A whole run. ``running`` tells whether a process holds it now; ``next_step`` is a command."""

    run: str
    command: str
    journal: str
    digest: str
    outcome: str
    phase: Phase
    running: str | None
    started: str
    updated: str
    totals: Totals
    buckets: tuple[BucketStatus, ...]
    failures: tuple[str, ...]
    next_step: str | None


class StatusReport(Struct, frozen=True, tag_field="type", tag="status-report"):
    """How a run stood at one time (RFC 3339): a line of its ``status.jsonl``.

    ``percent`` is of all items that steps do something to, by how many of them it is done.
    """

    time: str
    percent: float
    done: int
    items: int
    status: RunStatus


class RunSummary(Struct, frozen=True):
    """One run of a directory. ``problem`` says why its journal cannot be read, empty if it can.

    ``running`` names the process that holds it now, ``next_step`` is a command.
    """

    id: str
    command: str
    outcome: str
    running: str | None
    started: str
    updated: str
    journal: str
    buckets: tuple[str, ...]
    next_step: str | None
    problem: str = ""


class LockStatus(Struct, frozen=True):
    """A lock or lease that somebody holds. ``address`` is a path or ``s3://bucket/key``.

    ``is_alive`` tells of a holder on this host whether its process runs; None of all others.
    """

    address: str
    what: str
    holder: str
    is_alive: bool | None
