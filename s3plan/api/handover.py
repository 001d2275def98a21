"""Worklists given to other programs, and receipts for what these did."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from s3plan.api.places import Observer, around_here, house, ignore
from s3plan.errors import UsageError
from s3plan.model.handover import Exported, Looked
from s3plan.model.steps import Item
from s3plan.plan.reading import PlanFile
from s3plan.rules.handover.rclone import split
from s3plan.rules.handover.told import (
    Failure,
    Reasons,
    log_failures,
    report_failures,
)
from s3plan.rules.handover.tools import Tool

MOST_REASONS = 100_000
"""Failures of which the reasons are read; where there are more, something else is wrong."""


def export(tool: Tool, plan: Path, step: str, *, out: Path | None = None) -> Exported:
    """Write the worklist of a step for another program; asks S3 nothing.

    ``out`` is a new directory, by default ``TOOL-STEP`` beside the plan. Raises UsageError where
    the step cannot be given to that program, PlanFileError, and DestinationError.
    """
    from s3plan.engine.handover.exporting import export as write

    found = PlanFile.open(plan)
    named = found.step(step)
    return write(tool, found, named, out or plan.parent / f"{tool}-{step}")


def import_receipts(
    plan: Path,
    step: str,
    *,
    approver: str,
    reports: tuple[Path, ...] = (),
    observer: Observer = ignore,
) -> Looked:
    """Look at what another program did of a step, and write the receipts into the run's journal.

    Only what is found as planned becomes a receipt. ``reports`` are logs of s5cmd or rclone, or
    files of a completion report of S3 Batch Operations: they give reasons for what is not there.
    Raises UsageError and HeldError for a step that it cannot be done for, or not yet, and
    StaleError and LockedError as :func:`apply` does.
    """
    from s3plan.engine.handover.importing import import_receipts as look

    try:
        reasons = Reasons(_failures(reports), MOST_REASONS)
    except OverflowError:
        raise UsageError(
            "the reports tell of too many failures to be of use",
            address=", ".join(map(str, reports)),
            expected=f"at most {MOST_REASONS:,}",
            next_step="leave --report out: S3 is looked at all the same",
        ) from None

    def told(item: Item) -> Failure | None:
        return reasons.of(item.key, below=split(item)[1]) if len(reasons) else None

    around = around_here(observer, None)
    return asyncio.run(look(plan, step, told, approver, around, house()))


def _failures(reports: tuple[Path, ...]) -> Iterator[Failure]:
    for path in reports:
        try:
            with path.open(encoding="utf-8", errors="replace", newline="") as lines:
                if path.suffix == ".csv":
                    yield from report_failures(lines)
                else:
                    yield from log_failures(lines)
        except (OSError, ValueError) as error:
            raise UsageError(
                "the report cannot be read",
                address=str(path),
                expected="a log of s5cmd --json or rclone --use-json-log, or a CSV file of a "
                "completion report",
                found=str(error),
            ) from error
