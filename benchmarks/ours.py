"""How s3plan is told to do the work of a case, and how its verdicts are held against the work.

A run in which a single item has another verdict than "verified" fails.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.case import Job
from benchmarks.datasets import ALGORITHM
from benchmarks.goals import Figure
from benchmarks.programs import S3PLAN, WrongResultError
from benchmarks.server import REGION

CONNECTION = """\
apiVersion: s3plan/v1
kind: Connection
metadata: {{name: local}}
spec: {{endpoint: "{endpoint}", region: {region}, addressing: path}}
---
"""

EVACUATION = """\
apiVersion: s3plan/v1
kind: BucketEvacuation
metadata: {{name: bench}}
spec:
  buckets: {{include: [{bucket}]}}
  destination: {{path: "{output}"}}
  delete: {delete}
"""

GROUPING = """\
apiVersion: s3plan/v1
kind: ObjectGrouping
metadata: {{name: bench}}
spec:
  source: {{bucket: {bucket}, pattern: "{{path}}"}}
  target: {{bucket: {copies}, key: "{{path}}"}}
"""


def declare(job: Job, kind: str, **fields: object) -> None:
    """Write ``manifest.yaml``: the connection, and one document of ``kind``."""
    text = (CONNECTION + kind).format(
        endpoint=job.server.endpoint, region=REGION, bucket=job.dataset.bucket, **fields
    )
    (job.work / "manifest.yaml").write_text(text)


def evacuation(job: Job, delete: str = "never") -> None:
    """A manifest that downloads the bucket to ``job.output``."""
    declare(job, EVACUATION, output=job.output, delete=delete)


def s3plan(*arguments: str) -> list[str]:
    """``s3plan``, where it is installed."""
    return [S3PLAN.path(), *arguments]


def plan(job: Job, *arguments: str) -> None:
    """Plan what the manifest says; not timed."""
    job.run(s3plan("plan", "manifest.yaml", *arguments))


def apply(job: Job) -> list[str]:
    """Everything but deletion is approved; ``--debug`` tells what the journal cost."""
    del job
    return s3plan("--debug", "apply", "--approve")


def downloaded(job: Job) -> dict[str, float]:
    """Every file is there, its verdict is in the catalogue, and the run says the same."""
    bucket = _completed(job, "download")
    algorithms = Counter(row["evidence"]["algorithm"] for row in _catalogue(job.output))
    if algorithms != {ALGORITHM: bucket["steps"][0]["counts"]["verified"]}:
        raise WrongResultError(f"s3plan verified by {dict(algorithms)}")
    return journal_figures(job)


def verified(job: Job) -> dict[str, float]:
    """Every step that has verdicts has nothing but "verified"."""
    _completed(job)
    return journal_figures(job)


def approval(said: str) -> str:
    """What a gate asks to be given to ``--approve-delete``."""
    found = re.search(r"--approve-delete (\S+@[0-9a-f]{12,})", said)
    if found is None:
        raise WrongResultError(f"s3plan asks for no approval:\n{said[-2000:]}")
    return found[1]


BYTES, SHARE = "bytes of journal an object", "% of time for the journal"

JOURNAL = (Figure(BYTES, 120), Figure(SHARE, 5))
"""What is promised of a journal."""

_TIMES = re.compile(r"open=([\d.]+)s encoding=([\d.]+)s .*waiting=([\d.]+)s")


def journal_figures(job: Job) -> dict[str, float]:
    """What the journal cost: its size, and the time of encoding it and waiting for it.

    The share is of the time that it was open, which is less than that of the process.
    """
    size = (job.work / "journal.json").resolve().stat().st_size
    figures = {BYTES: size / job.dataset.count}
    if told := _TIMES.search(job.told.read_text()):
        is_open, encoding, waiting = map(float, told.groups())
        figures[SHARE] = 100 * (encoding + waiting) / is_open
    return figures


def _completed(job: Job, *verbs: str) -> dict[str, Any]:
    (bucket,) = json.loads(job.run(s3plan("status", "--json")))["buckets"]
    counts = {
        # What is deleted has no verdict of its own: its step is behind the gate of those that have.
        step["verb"]: step["counts"]["done" if step["verb"] == "delete" else "verified"]
        for step in bucket["steps"]
        if not verbs or step["verb"] in verbs
    }
    if bucket["state"] != "completed" or set(counts.values()) != {job.dataset.count}:
        raise WrongResultError(
            f"s3plan status: {bucket['bucket']} is {bucket['state']}; of {job.dataset.count} "
            f"objects are verified: {counts}"
        )
    found: dict[str, Any] = bucket
    return found


def _catalogue(output: Path) -> Iterable[dict[str, Any]]:
    for path in (output / ".s3plan" / "catalogue").glob("*.jsonl"):
        for row in map(json.loads, path.read_text().splitlines()):
            if row["type"] == "object":
                if row["verdict"] != "verified":
                    raise WrongResultError(f"{path.name} holds an object that is not verified")
                yield row
