"""Three steps with one worklist, and its rows, for tests of plan files."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from s3plan.model.connection import Connection
from s3plan.model.plan import PLAN_FORMAT, PlanHeader, Target
from s3plan.model.steps import Delete, Download, Gate, Need, Verify
from s3plan.plan.drafts import StepDraft
from s3plan.tables import ITEMS, Database

HEADER = PlanHeader(
    format=PLAN_FORMAT,
    tool="0.1.0",
    created="2026-11-20T04:00:00.000Z",
    host="here",
    target=Target("http://s3.example", "eu-central-1"),
    connection=Connection(),
)
ETAG = "d41d8cd98f00b204e9800998ecf8427e"
TIME = "2026-11-01T00:00:00.000Z"


def drafts() -> tuple[StepDraft, ...]:
    download = StepDraft(Download("/data"), "b", "free", "Files are removed.", "New.", seconds=1.5)
    download = msgspec.structs.replace(download, worklist=download.id)
    verify = StepDraft(
        Verify("/data", "b", read_back=True),
        "b",
        "free",
        "Nothing.",
        "Because.",
        needs=(Need(download.id),),
        worklist=download.id,
    )
    delete = StepDraft(
        Delete("/data"),
        "b",
        "costs",
        "Objects are uploaded again.",
        "Asked for.",
        needs=(Need(verify.id),),
        gate=Gate("approve-delete", "b", verify.id),
        worklist=download.id,
        warnings=("Look twice.",),
    )
    return download, verify, delete


def fill(database: Database, keys: Sequence[str], **columns: Sequence[str | int | None]) -> None:
    count = len(keys)
    rows: dict[str, Sequence[str | int | None]] = {
        "n": range(count),
        "key": keys,
        "path": [f"b/{key}" for key in keys],
        "size": range(count),
        "etag": [ETAG] * count,
        "modified": [TIME] * count,
        "storage_class": ["STANDARD"] * count,
        "checksum": [None] * count,
    }
    database.append(ITEMS, rows | columns, {"step": drafts()[0].id})
