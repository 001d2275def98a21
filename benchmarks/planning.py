"""Planning side by side: from a live listing with programs that only list, and from a report."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import duckdb

from benchmarks.datasets import Dataset, client_of
from benchmarks.server import REGION, Server, tool
from benchmarks.tools import MANIFEST, Job, Rclone, S3Plan, WrongResultError

LISTED = Dataset("many", 50_000, 1024, " planned from a listing")
REPORTED = Dataset("reported", 1_000_000, 1024, " planned from an S3 Inventory report")
HOLDER = "reports"
FOLDER = "reported/daily/2026-11-19T01-00Z"

_ROWS = """
    COPY (
        SELECT $bucket AS bucket, printf('%06d/%09d.bin', i // 100, i) AS key, true AS is_latest,
            false AS is_delete_marker, CAST($size AS BIGINT) AS size,
            TIMESTAMP_MS '2026-01-01 00:00:00' AS last_modified_date, md5(i::VARCHAR) AS e_tag,
            'STANDARD' AS storage_class
        FROM range($count) t(i)
    ) TO '{path}' (FORMAT parquet)"""

_SCHEMA = " ".join(
    f"optional {kind} {name};"
    for name, kind in (
        ("bucket", "binary"),
        ("key", "binary"),
        ("is_latest", "boolean"),
        ("is_delete_marker", "boolean"),
        ("size", "int64"),
        ("last_modified_date", "int64"),
        ("e_tag", "binary"),
        ("storage_class", "binary"),
    )
)


def publish(server: Server, dataset: Dataset, scratch: Path) -> None:
    """A Parquet report on a bucket, as S3 Inventory writes it. The objects need not be there."""
    path = scratch / "report.parquet"
    with duckdb.connect() as made:
        made.execute(
            _ROWS.format(path=path),
            {"bucket": dataset.bucket, "size": dataset.size, "count": dataset.count},
        )
    body = path.read_bytes()
    path.unlink()
    key = f"{FOLDER}/data/0.parquet"
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
    document = json.dumps(
        {
            "sourceBucket": dataset.bucket,
            "destinationBucket": f"arn:aws:s3:::{HOLDER}",
            "version": "2016-11-30",
            "creationTimestamp": "1795050000000",
            "fileFormat": "Parquet",
            "fileSchema": f"message s3.inventory {{ {_SCHEMA} }}",
            "files": [{"key": key, "size": len(body), "MD5checksum": digest}],
        }
    ).encode()
    s3 = client_of(server)
    for bucket in (dataset.bucket, HOLDER):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=HOLDER, Key=key, Body=body)
    s3.put_object(Bucket=HOLDER, Key=f"{FOLDER}/manifest.json", Body=document)
    checksum = hashlib.md5(document, usedforsecurity=False).hexdigest().encode()
    s3.put_object(Bucket=HOLDER, Key=f"{FOLDER}/manifest.checksum", Body=checksum)


@dataclass
class S3PlanPlanning(S3Plan):
    """``s3plan plan``: look, compare, and write every object into the plan."""

    def prepare(self, job: Job) -> None:
        """A manifest."""
        text = MANIFEST.format(
            endpoint=job.server.endpoint,
            region=REGION,
            bucket=job.dataset.bucket,
            output=job.output,
        )
        if job.dataset is REPORTED:
            text += f"  inventory: {{from: s3://{HOLDER}/{FOLDER}/manifest.json}}\n"
        (job.work / "manifest.yaml").write_text(text)

    def command(self, job: Job) -> list[str]:
        """The plan goes to plan.json."""
        del job
        return [str(tool("s3plan")), "plan", "manifest.yaml"]

    def check(self, job: Job) -> None:
        """Every object is in the plan."""
        with (job.work / "plan.json").open("rb") as lines:
            items = sum(line.startswith(b'{"type":"item"') for line in lines)
        if items != job.dataset.count:
            raise WrongResultError(f"the plan holds {items} of {job.dataset.count} objects")


@dataclass
class RclonePlanning(Rclone):
    """``rclone copy --dry-run``: lists both sides and names every object that it would copy."""

    def command(self, job: Job) -> list[str]:
        """Its log of a line per object goes to a file, as the plan does."""
        log = ["--dry-run", "--log-file", str(job.work / "dry-run.log")]
        return [*super().command(job), *log]

    def check(self, job: Job) -> None:
        """Every object is named."""
        named = (job.work / "dry-run.log").read_text().count("Skipped copy as --dry-run is set")
        if named != job.dataset.count:
            raise WrongResultError(f"rclone names {named} of {job.dataset.count} objects")
