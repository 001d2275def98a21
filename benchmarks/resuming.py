"""Cases: a run of a million objects that was killed goes on.

Nearly all of its objects are in the journal as verified. The plan and the run are s3plan's own; the
receipts are written for it, in the ranges and batches that a download writes, since the objects
need not be there: what is timed ends when the first of the remaining ones is asked for.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec

from benchmarks import ours
from benchmarks.case import Case, Contender, Job, Place
from benchmarks.datasets import Dataset
from benchmarks.front import Front
from benchmarks.goals import Peak, Seconds
from benchmarks.inventories import HOLDER, folder_of, publish
from benchmarks.programs import S3PLAN, WrongResultError
from s3plan.localfs.appendlog import AppendLog
from s3plan.model.journal import Intent, JournalRecord, Receipts, SyncPoint

LEFT = 1_000
"""Objects that the killed run had not come to."""

RANGE, BATCH = 1_000, 64
KILLED = 128 + signal.SIGKILL
LONGEST = 600.0


class _Stage:
    """The killed run, kept to be copied for each run of the benchmark; and the door before it."""

    def __init__(self, place: Place, dataset: Dataset) -> None:
        self.kept = place.scratch / "killed"
        self.front = Front(place.server.endpoint, dataset.bucket)
        self.requests: list[bytes] = []
        self.lock = threading.Lock()

    def prepare(self, job: Job) -> None:
        if not self.kept.exists():
            self._kill_one(job)
        for name, directory in (("work", job.work), ("out", job.output)):
            shutil.rmtree(directory)
            shutil.copytree(self.kept / name, directory, symlinks=True)
        self.requests.clear()
        figures = job.place.scratch / "figures.json"
        self.front.asked = lambda line: self._end(line, figures)

    def _end(self, line: bytes, figures: Path) -> None:
        """Kill what is measured, once: it has asked. Several threads may tell of it together."""
        with self.lock:
            self.requests.append(line)
            if len(self.requests) > 1:
                return
            os.kill(json.loads(figures.read_text())["pid"], signal.SIGKILL)

    def _kill_one(self, job: Job) -> None:
        """Begin a run, kill it at its first request, and write what it would have done."""
        ours.declare(job, ours.EVACUATION, output=job.output, delete="never")
        text = (job.work / "manifest.yaml").read_text()
        text = text.replace(job.server.endpoint, self.front.endpoint)
        report = f"s3://{HOLDER}/{folder_of(job.dataset)}/manifest.json"
        (job.work / "manifest.yaml").write_text(f"{text}  inventory: {{from: {report}}}\n")
        ours.plan(job)
        with (job.work / "said").open("w") as said:
            begun = subprocess.Popen(
                ours.apply(job), cwd=job.work, env=job.environment, stdout=said, stderr=said
            )
        self.front.asked = lambda _: begun.kill()
        if begun.wait(LONGEST) != -signal.SIGKILL:
            raise WrongResultError(f"no run to resume:\n{(job.work / 'said').read_text()[-2000:]}")
        _write_receipts(job)
        self.kept.mkdir()
        for name, directory in (("work", job.work), ("out", job.output)):
            shutil.copytree(directory, self.kept / name, symlinks=True)


def _write_receipts(job: Job) -> None:
    with (job.work / "plan.json").open("rb") as lines:
        next(lines)
        step = json.loads(next(lines))["id"]
    journal = (job.work / "journal.json").resolve()
    log = AppendLog.open(journal)
    encode = msgspec.json.Encoder().encode
    log.append([encode(record) for record in _records(job, step)])
    device = job.output.stat().st_dev
    log.append([encode(SyncPoint(through=log.seq, device=device))])
    log.sync()
    log.close()


def _records(job: Job, step: str) -> Iterator[JournalRecord]:
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    for first in range(0, job.dataset.count - LEFT, RANGE):
        yield Intent(step, first, first + RANGE - 1, time=now)
        for begin in range(first, first + RANGE, BATCH):
            items = tuple(range(begin, min(begin + BATCH, first + RANGE)))
            yield Receipts(step, "verified", items, len(items) * job.dataset.size, now)


@cache
def _stage(place: Place, dataset: Dataset) -> _Stage:
    return _Stage(place, dataset)


def _prepare(job: Job) -> None:
    _stage(job.place, job.dataset).prepare(job)


def _check(job: Job) -> dict[str, float]:
    """What was asked for is one of those that were left."""
    asked = _stage(job.place, job.dataset).requests[0]
    number = int(asked.rpartition(b"/")[2].partition(b".")[0])
    if number < job.dataset.count - LEFT:
        raise WrongResultError(f"{asked!r} is verified already")
    return ours.journal_figures(job)


def _fill(place: Place, dataset: Dataset) -> None:
    place.once(f"report of {dataset.bucket}", lambda: publish(place, dataset, "Parquet"))


RESUMED = Dataset("resumed", 1_000_000, 1024)

CASES = (
    Case(
        "resume",
        f"Resume a run of {RESUMED.count:,} objects, up to the first request for one",
        RESUMED,
        (
            Contender(
                S3PLAN,
                ours.apply,
                "the journal, line by line",
                prepare=_prepare,
                check=_check,
                codes=(KILLED,),
            ),
        ),
        (Seconds(5.0), Peak(500)),
        _fill,
        note=f"All but {LEFT:,} objects are verified in the journal. The process is killed when "
        "its first request for an object arrives; requests for its bucket and for who it is come "
        "before that and count.",
    ),
)
