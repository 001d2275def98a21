"""A million objects: asking about them needs no more memory than is allowed (make test-load)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from s3plan.engine import runs
from s3plan.localfs.catalogue import Catalogue
from s3plan.localfs.tree import Tree
from s3plan.model.connection import Connection
from s3plan.model.journal import (
    JOURNAL_FORMAT,
    GateRecord,
    JournalRecord,
    Receipts,
    RunEnded,
    RunStarted,
    StepEnded,
    StepStarted,
)
from s3plan.model.local import CatalogueRow, FileStat
from s3plan.model.objects import Checksum, ObjectAttributes
from s3plan.model.plan import PLAN_FORMAT, PlanHeader, Target
from s3plan.model.steps import Delete, Download, Gate, Totals, Verify
from s3plan.plan import StepDraft
from s3plan.plan.seal import seal
from s3plan.tables import ITEMS, Database
from tests.offline.evacuated import MODIFIED, RUN, header
from tests.peaks import peak

pytestmark = [pytest.mark.load, pytest.mark.timeout(900)]

COUNT = 1_000_000
CEILING = 600 << 20
"""Bytes: the tables' 256 MiB, Python's own, and what is on its way between the two."""

NOTHING = Checksum("CRC64NVME", "AAAAAAAAAAA=")
ETAG = "d41d8cd98f00b204e9800998ecf8427e"
BATCH = 20_000


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a run of a million objects that ended well; without the files."""
    place = tmp_path_factory.mktemp("million")
    keys = sorted(f"year-{n % 20}/folder-{n % 997:04}/object-{n:09}.dat" for n in range(COUNT))
    with Tree.open(place / "here", create=True) as tree:
        catalogue = Catalogue.open_for_append(tree, header("big"))
        for first in range(0, COUNT, BATCH):
            catalogue.append(
                [
                    CatalogueRow(
                        key=key, path=f"big/{key}", size=0, etag=ETAG, modified=MODIFIED,
                        evidence=NOTHING, verdict="verified", file=FileStat(1, 2, 0, 4), run=RUN,
                        attributes=ObjectAttributes(), checksums=(NOTHING,), tags_known=True,
                    )
                    for key in keys[first : first + BATCH]
                ]
            )  # fmt: skip
        catalogue.sync()
        catalogue.close()
    _run(place, keys)
    return place


def _run(place: Path, keys: list[str]) -> None:
    def draft(action: Download | Verify | Delete, **more: object) -> StepDraft:
        return StepDraft(action, "big", reversibility="free", undo="", reason="", **more)  # type: ignore[arg-type]

    here = str(place / "here")
    download = draft(Download(here))
    download = draft(Download(here), worklist=download.id)
    verify = draft(Verify(here, "big"), worklist=download.id)
    delete = draft(
        Delete(here), worklist=download.id, gate=Gate("approve-delete", "big", verify.id)
    )
    told = header("big")
    target = Target(told.endpoint, told.region, told.account)
    with Database(place / "scratch") as database:
        for first in range(0, COUNT, BATCH):
            some = keys[first : first + BATCH]
            database.append(
                ITEMS,
                {
                    "n": list(range(first, first + len(some))),
                    "key": some,
                    "path": [f"big/{key}" for key in some],
                },
                {
                    "step": download.id, "size": 0, "etag": ETAG, "modified": MODIFIED,
                    "storage_class": "STANDARD",
                },
            )  # fmt: skip
        plan = seal(
            [download, verify, delete],
            database,
            PlanHeader(
                format=PLAN_FORMAT, tool="t", created=MODIFIED, host="h", target=target,
                connection=Connection(),
            ),
            place / "plan.json",
        )  # fmt: skip
    run = runs.make_run(runs.run_named(place, RUN), plan)
    records: list[JournalRecord] = [
        RunStarted(
            format=JOURNAL_FORMAT, run=RUN, digest=plan.digest, command="apply", target=target,
            approver="a", host="h", pid=1, time=MODIFIED, tool="t",
        )
    ]  # fmt: skip
    for step in plan.steps:
        records.append(StepStarted(step.id, MODIFIED))
        outcome = "done" if step.verb == "delete" else "verified"
        records += [
            Receipts(step.id, outcome, tuple(range(first, first + 1000)))  # type: ignore[arg-type]
            for first in range(0, COUNT, 1000)
        ]
        records.append(StepEnded(step.id, "done", "", MODIFIED))
    records.append(GateRecord(verify.id, "big", "e", True, Totals(COUNT, 0), {}, MODIFIED))
    records.append(RunEnded("done", MODIFIED))
    import msgspec

    log = runs.create_journal(run.journal)
    log.append([msgspec.json.encode(record) for record in records])
    log.sync()
    log.close()
    runs.link_latest(place, run)


@pytest.mark.parametrize(
    "arguments",
    [
        ("query", "SELECT state, count(*) FROM files GROUP BY state"),
        ("query", "FROM bucket_status"),
        ("query", "SELECT key FROM files", "--out", "keys.csv"),
        ("query", "SELECT key FROM files", "--out", "tokens.csv", "--redact"),
        ("report", "inventory"),
        ("report", "closeout", "--sample", "1000", "--format", "json", "--out", "closeout.json"),
        ("verify", "here", "--report", "verify.jsonl"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_memory_does_not_grow_with_the_objects(finished: Path, arguments: tuple[str, ...]) -> None:
    """Invariant 8."""
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    environ |= {"XDG_STATE_HOME": str(finished / "state")}
    process = subprocess.Popen(
        [sys.executable, "-m", "s3plan", *arguments],
        cwd=finished,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        # None of the million files is there: verify has them all to report.
        most = peak(process, code=3 if arguments[0] == "verify" else 0)
    finally:
        process.kill()
    assert most < CEILING, f"{most >> 20} MiB"
