"""Runs made again from the catalogues of a destination, after the folder ``.s3plan`` was lost.

A catalogue tells of every file which run wrote it, and of a bucket which run deleted it. That
becomes a run's folder again, under its own id: a plan of what it did, and a journal of what is
proved by reading every file now. It ends ``rebuilt``, which is final: it cannot go on, and it can
be rolled back. What no catalogue tells is not made up: approvals, evidence, times, failures, and
objects that were deleted from a bucket which is still there.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct, structs

from s3plan.engine import runs
from s3plan.engine.holding import LOCK
from s3plan.engine.journal import JournalWriter
from s3plan.engine.offline.claims import Claim
from s3plan.engine.offline.verify import Observer, roots_of, verify_trees
from s3plan.engine.runs import Run, timestamp
from s3plan.errors import CatalogueError
from s3plan.inventory.catalogue import CatalogueState, observe_catalogue
from s3plan.localfs.locks import Holder, hold_in
from s3plan.localfs.marker import read_marker
from s3plan.localfs.tree import Tree
from s3plan.model.connection import Connection
from s3plan.model.journal import (
    JOURNAL_FORMAT,
    Intent,
    ItemFailed,
    JournalRecord,
    Outcome,
    Receipts,
    RunEnded,
    RunStarted,
    StepEnded,
    StepOutcome,
    StepStarted,
)
from s3plan.model.local import CatalogueHeader
from s3plan.model.plan import PLAN_FORMAT, PlanHeader, Target
from s3plan.model.steps import Delete, DeleteBucket, Download, Gate, Need, Step, Verify
from s3plan.model.verification import TreeProblem
from s3plan.plan.drafts import StepDraft
from s3plan.plan.reading import PlanFile
from s3plan.plan.seal import seal
from s3plan.rules.endpoints import is_aws
from s3plan.tables import ASKED, CATALOGUE, CATALOGUE_NOTES, ITEMS, Column, Database, TableDef

_RECEIPTS = 10_000
"""Items of one receipt."""

_FAULTS = TableDef("faults", (Column("bucket"), Column("path"), Column("fault"), Column("message")))

_TABLES = (CATALOGUE, CATALOGUE_NOTES, ITEMS, ASKED, _FAULTS)
"""Files that are not as their rows say."""

_RUNS = "SELECT DISTINCT run, bucket FROM catalogue WHERE history IS NULL ORDER BY ALL"

_VERSIONS = "SELECT count(*) FROM catalogue WHERE bucket = ? AND history IS NOT NULL"

# The class is in the attributes; what a listing said of checksums is not kept.
_ITEMS = """
    INSERT INTO items (step, n, key, path, size, etag, modified, storage_class)
    SELECT $step, row_number() OVER (ORDER BY key) - 1, key, path, size, etag, modified,
        coalesce(json_extract_string(attributes, '$.storage_class'), 'STANDARD')
    FROM catalogue
    WHERE bucket = $bucket AND history IS NULL AND path IS NOT NULL AND ($all OR run = $run)"""

_OUTCOMES = """
    SELECT i.n, i.key, i.path, i.size, c.verdict, f.fault, f.message
    FROM items i
    JOIN catalogue c ON c.bucket = $bucket AND c.key = i.key AND c.history IS NULL
    LEFT JOIN faults f ON f.bucket = $bucket AND f.path = i.path
    WHERE i.step = $step ORDER BY i.n"""


class Rebuilt(Struct, frozen=True):
    """A run that is here again, with what its files turned out to be."""

    run: Run
    buckets: tuple[str, ...]
    files: int
    wrong: int


class Rebuilding(Struct, frozen=True):
    """What was rebuilt, oldest first, and the ids of runs that are here already."""

    made: tuple[Rebuilt, ...]
    here: tuple[str, ...]


class Around(Struct, frozen=True):
    """Where runs are rebuilt, by whom, and how their endpoint is reached (None: the usual way)."""

    directory: Path
    approver: str
    holder: Holder
    clock: Callable[[], datetime]
    tool: str
    connection: Connection | None = None


def rebuild(claims: Sequence[Claim], around: Around, observer: Observer) -> Rebuilding:
    """Make every run again that the catalogues of ``claims`` name and that is not here.

    Every file is read, unless all runs are here.
    Raises CatalogueError where a catalogue is damaged or names what is no run, DestinationError
    where the disk or the working directory refuses.
    """
    (destination,) = {claim.destination for claim in claims}
    with (
        TemporaryDirectory(prefix="s3plan-") as scratch,
        Database(Path(scratch), tables=_TABLES) as database,
        Tree.open(destination, create=False) as tree,
        # A run that is going on is not lost, wherever its folder is.
        hold_in(tree, LOCK, around.holder),
    ):
        marker = read_marker(tree)
        states: dict[str, CatalogueState] = {}
        for claim in claims:
            state = observe_catalogue(tree, claim.bucket, database, attributes=True)
            if state is not None:
                states[claim.bucket] = state
        found = _runs_of(database, states)
        here = {run for run in found if runs.run_named(around.directory, run).folder.exists()}
        lost = {run: buckets for run, buckets in found.items() if run not in here}
        if lost:
            verify_trees(claims, _note_into(database), observer)
        maker = _Maker(database, destination, states, around, marker.id if marker else None)
        made = tuple(maker.make(run, buckets) for run, buckets in sorted(lost.items()))
    if made and not (around.directory / runs.JOURNAL_LINK).exists():
        runs.link_latest(around.directory, made[-1].run)
    return Rebuilding(made, tuple(sorted(here)))


def _runs_of(
    database: Database, states: Mapping[str, CatalogueState]
) -> dict[str, tuple[str, ...]]:
    """The runs that catalogues name, with the buckets that each left something of."""
    pairs = set(database.rows(_RUNS))
    for bucket, state in states.items():
        if state.bucket == "deleted" and state.bucket_run is not None:
            pairs.add((state.bucket_run, bucket))
    for run, bucket in sorted(pairs):
        if not runs.is_run_id(run):
            raise CatalogueError(
                "the catalogue names a run that is none",
                address=bucket,
                expected="an id such as 20261120T040000Z-0badcafe",
                found=run,
                next_step="put the catalogue back from a backup",
            )
    return {
        run: tuple(bucket for _, bucket in of_run)
        for run, of_run in groupby(sorted(pairs), key=lambda pair: pair[0])
    }


def _note_into(database: Database) -> Callable[[TreeProblem], None]:
    def note(problem: TreeProblem) -> None:
        if problem.key:
            database.append(
                _FAULTS,
                {
                    "bucket": [problem.bucket],
                    "path": [problem.path],
                    "fault": [problem.fault],
                    "message": [f"{problem.path}: {problem.message}"],
                },
            )

    return note


class _Maker:
    """Makes runs of one destination."""

    def __init__(
        self,
        database: Database,
        destination: str,
        states: Mapping[str, CatalogueState],
        around: Around,
        marker: str | None,
    ) -> None:
        self._database = database
        self._destination = destination
        self._states = states
        self._around = around
        self._marker = marker

    def make(self, run: str, buckets: tuple[str, ...]) -> Rebuilt:
        """The folder of one run: plan, then journal."""
        self._database.execute("DELETE FROM items")
        drafts = [draft for bucket in buckets for draft in self._drafts(run, bucket)]
        now = timestamp(self._around.clock())
        with TemporaryDirectory(prefix="s3plan-") as scratch:
            plan = seal(drafts, self._database, self._header(buckets, now), Path(scratch, "plan"))
            made = runs.begin_rebuilding(self._around.directory, run, plan)
        stored = PlanFile.open(made.plan)
        files = wrong = 0
        with JournalWriter(runs.create_journal(made.journal)) as journal:
            journal.note(self._started(run, stored, now))
            for step in stored.steps:
                good, bad = self._write(journal, step, now)
                if isinstance(step.action, Download | Verify):
                    files, wrong = max(files, good + bad), max(wrong, bad)
            detail = f"rebuilt from the catalogues in {self._destination}"
            journal.note(RunEnded(outcome="rebuilt", time=now, detail=detail))
            asyncio.run(journal.flush())
        # Only now is it a run: a journal without its end could be gone on with.
        return Rebuilt(runs.end_rebuilding(self._around.directory, made), buckets, files, wrong)

    def _drafts(self, run: str, bucket: str) -> Iterator[StepDraft]:
        """What the run did with one bucket, as the catalogue tells it."""
        state = self._states[bucket]
        download = StepDraft(
            Download(self._destination),
            bucket,
            reversibility="free",
            undo="Files that are still as written are removed, where their objects are in S3.",
            reason=f"The catalogue says that this run wrote these files of {bucket}.",
        )
        wrote = self._fill(download, bucket, run, everything=False)
        if wrote:
            yield structs.replace(download, worklist=download.id)
        if state.bucket == "deleted" and state.bucket_run == run:
            yield from self._deletion(bucket, state, download if wrote else None)

    def _deletion(
        self, bucket: str, state: CatalogueState, download: StepDraft | None
    ) -> Iterator[StepDraft]:
        """The bucket is gone, so everything that the catalogue has of it was deleted."""
        roots = roots_of(self._database, self._destination, bucket)
        verify = StepDraft(
            Verify(self._destination, roots[0] if roots else bucket, read_back=True),
            bucket,
            reversibility="free",
            undo="Nothing to undo: it only reads.",
            reason="Every file was read when this run was rebuilt.",
            needs=(Need(download.id),) if download else (),
        )
        delete = StepDraft(
            Delete(self._destination),
            bucket,
            reversibility="costs",
            undo="Objects are uploaded again from the verified files, with their metadata,"
            " tags and class; their dates are new.",
            reason="The catalogue says that the bucket was deleted, and so were its objects.",
            needs=(Need(verify.id),),
            gate=Gate("approve-delete", bucket, verify.id),
        )
        last = verify
        if self._fill(verify, bucket, "", everything=True):
            yield structs.replace(verify, worklist=verify.id)
            yield structs.replace(delete, worklist=verify.id)
            last = delete
        else:
            yield verify
        saved = state.configuration
        yield StepDraft(
            DeleteBucket(
                saved.region if saved else state.header.region,
                self._destination,
                saved.unreadable if saved else (),
            ),
            bucket,
            reversibility="until",
            undo="The bucket is created again, until somebody else takes its name.",
            reason="The catalogue says that this run deleted the bucket.",
            needs=(Need(last.id),),
            gate=Gate("approve-delete", bucket, verify.id),
        )

    def _fill(self, draft: StepDraft, bucket: str, run: str, *, everything: bool) -> int:
        values = {"step": draft.id, "bucket": bucket, "run": run, "all": everything}
        self._database.execute(_ITEMS, values)
        (count,) = self._database.row("SELECT count(*) FROM items WHERE step = ?", [draft.id])
        return int(count)

    def _header(self, buckets: Sequence[str], now: str) -> PlanHeader:
        header = self._states[buckets[0]].header
        return PlanHeader(
            format=PLAN_FORMAT,
            tool=self._around.tool,
            created=now,
            host=socket.gethostname(),
            target=Target(header.endpoint, header.region, header.account),
            connection=self._around.connection or connection_of(header),
            notes=(
                f"Rebuilt from the catalogues in {self._destination}: what they prove, and no more."
                " Approvals and evidence are lost with the journal.",
                *(
                    f"{bucket}: noncurrent versions and delete markers are in the catalogue, and"
                    " are not part of this run any more: a rollback puts back the objects."
                    for bucket in buckets
                    if self._database.row(_VERSIONS, [bucket])[0]
                ),
            ),
        )

    def _started(self, run: str, plan: PlanFile, now: str) -> RunStarted:
        return RunStarted(
            format=JOURNAL_FORMAT,
            run=run,
            digest=plan.digest,
            command="apply",
            target=plan.header.target,
            approver=self._around.approver,
            host=plan.header.host,
            pid=os.getpid(),
            time=now,
            tool=self._around.tool,
            destinations={self._destination: self._marker} if self._marker else {},
        )

    def _write(self, journal: JournalWriter, step: Step, now: str) -> tuple[int, int]:
        """The records of one step; how many of its items are right, and how many are not."""
        journal.note(StepStarted(step=step.id, time=now))
        good = bad = 0
        match step.action:
            case Download() | Verify():
                for record in self._outcomes(step):
                    journal.note(record)
                    if isinstance(record, Receipts):
                        good += len(record.items)
                    else:
                        bad += 1
            case Delete():
                for first in range(0, step.totals.items, _RECEIPTS):
                    end = min(first + _RECEIPTS, step.totals.items)
                    journal.note(
                        Receipts(step=step.id, outcome="done", items=tuple(range(first, end)))
                    )
            case DeleteBucket():
                journal.note(Intent(step=step.id, first=0, last=0))
            case _:
                raise AssertionError(step.verb)
        outcome: StepOutcome = "incomplete" if bad else "done"
        reason = f"{bad:,} files are not as the catalogue says" if bad else ""
        journal.note(StepEnded(step=step.id, outcome=outcome, reason=reason, time=now))
        return good, bad

    def _outcomes(self, step: Step) -> Iterable[JournalRecord]:
        rows = self._database.rows(_OUTCOMES, {"step": step.worklist, "bucket": step.subject})
        waiting: dict[Outcome, list[tuple[int, int]]] = {}
        for n, key, path, size, verdict, fault, message in rows:
            if fault is not None:
                outcome: Outcome = "mismatched" if fault == "mismatched" else "failed"
                yield ItemFailed(step.id, n, key, path, outcome, fault, message)
                continue
            alike = waiting.setdefault(verdict, [])
            alike.append((n, size))
            if len(alike) == _RECEIPTS:
                yield _receipt(step, verdict, alike)
                alike.clear()
        for verdict, alike in waiting.items():
            if alike:
                yield _receipt(step, verdict, alike)


def _receipt(step: Step, verdict: Outcome, items: Sequence[tuple[int, int]]) -> Receipts:
    size = sum(size for _, size in items)
    return Receipts(step.id, verdict, tuple(n for n, _ in items), size)


def connection_of(header: CatalogueHeader) -> Connection:
    """The plain connection to where the objects of a catalogue were."""
    if is_aws(header.endpoint):
        return Connection(region=header.region, expect_account=header.account)
    return Connection(endpoint=header.endpoint, region=header.region, expect_account=header.account)
