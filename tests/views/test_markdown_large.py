"""A million items on one page: CPU seconds and megabytes, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from s3plan.model.connection import Connection
from s3plan.model.plan import PLAN_FORMAT, PlanHeader, Target
from s3plan.model.steps import AnyAction, Delete, Download, Gate, Need, Verify
from s3plan.plan import StepDraft, step_id
from s3plan.plan.seal import seal
from s3plan.tables import Database

MEBIBYTE = 1024**2

# The high-water mark of this process alone: ru_maxrss would begin with that of its parent.
_MEASURED = """
import sys, time
from s3plan.cli import main
code = main()
print(time.process_time(), file=sys.stderr)
sys.stderr.write(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")))
sys.exit(code)
"""

# Keys in the order of a listing, in 300 folders, two classes.
_ITEMS = """
    INSERT INTO items (step, n, key, path, size, etag, modified, storage_class)
    SELECT $step, row_number() OVER () - 1, key, 'photos/' || key, size, md5(key),
           '2024-01-01T00:00:00.000Z', class
    FROM (
        SELECT format('{:04d}/{:02d}/IMG_{:07d}.jpg', 2000 + r % 25, r % 12 + 1, r) AS key,
               r * 7919 % 9000000 AS size,
               CASE WHEN r % 3 = 0 THEN 'STANDARD_IA' ELSE 'STANDARD' END AS class
        FROM range($count) AS t(r) ORDER BY key
    )
"""


def large_plan(tmp_path: Path, count: int) -> Path:
    """A plan that downloads, verifies and deletes ``count`` objects."""
    download, verify = Download("/archive"), Verify("/archive", "photos", read_back=True)
    first, second = step_id(download, "photos"), step_id(verify, "photos")
    gate = Gate("approve-delete", "photos", second)
    drafts = [
        _draft(download, first),
        _draft(verify, first, Need(first)),
        _draft(Delete("/archive"), first, Need(second), gate=gate),
    ]
    header = PlanHeader(
        format=PLAN_FORMAT,
        tool="0",
        created="2026-11-20T00:00:00.000Z",
        host="host",
        target=Target("https://s3.us-east-1.amazonaws.com", "us-east-1", "123456789012"),
        connection=Connection(),
    )
    with Database(tmp_path / "scratch", memory_limit=1024 * MEBIBYTE) as database:
        database.execute(_ITEMS, {"step": first, "count": count})
        return seal(drafts, database, header, tmp_path / "plan.json").path


def _draft(action: AnyAction, worklist: str, *needs: Need, gate: Gate | None = None) -> StepDraft:
    return StepDraft(
        action, "photos", "costs", "Undo.", "Why.", needs=needs, gate=gate, worklist=worklist
    )


@pytest.mark.parametrize(
    ("count", "seconds", "mebibytes"),
    [
        (100_000, 5, 150),
        pytest.param(1_000_000, 5, 300, marks=pytest.mark.load),
    ],
)
def test_many_items_are_rendered_quickly_in_little_memory(
    tmp_path: Path, count: int, seconds: float, mebibytes: int
) -> None:
    plan = large_plan(tmp_path, count)
    command = [sys.executable, "-c", _MEASURED, "show", str(plan), "--markdown"]
    shown = subprocess.run(command, capture_output=True, check=True)
    # Of its own: what else the machine does meanwhile is not its doing.
    words = shown.stderr.decode().split()
    took, most = float(words[0]), int(words[2]) / 1024
    assert f"{count:,} objects".encode() in shown.stdout
    assert len(shown.stdout) <= 60_000
    assert took < seconds, took
    assert most < mebibytes, most
