"""Reports as S3 Inventory writes them, of objects that need not be there.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

import duckdb

from benchmarks.case import Place
from benchmarks.datasets import Dataset, client_of, ensure_bucket

Format = Literal["Parquet", "CSV"]

HOLDER = "reports"
FILE_ROWS = 1_000_000
"""Rows of a file of a report."""

_ROWS = """
    SELECT $bucket AS bucket, printf('%06d/%09d.bin', i // 100, i) AS key, {more}
        CAST($size AS BIGINT) AS size, {modified} AS last_modified_date,
        md5(i::VARCHAR) AS e_tag, 'STANDARD' AS storage_class
    FROM range($first, $count, $step) t(i)"""

_LATEST = "true AS is_latest, false AS is_delete_marker,"
_MOMENT = "TIMESTAMP_MS '2026-01-01 00:00:00'"

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
_SCHEMAS = {
    "Parquet": f"message s3.inventory {{ {_SCHEMA} }}",
    "CSV": "Bucket, Key, Size, LastModifiedDate, ETag, StorageClass",
}


def folder_of(dataset: Dataset) -> str:
    """Where the report of a dataset is, below the bucket of reports."""
    return f"{dataset.bucket}/daily/2026-11-19T01-00Z"


def files_of(place: Place, dataset: Dataset) -> list[Path]:
    """The files of the report, as they are on this disk."""
    return sorted(_kept(place, dataset).iterdir())


def _kept(place: Place, dataset: Dataset) -> Path:
    return place.scratch / f"{dataset.bucket}-report"


def publish(place: Place, dataset: Dataset, form: Format) -> None:
    """A report on the whole bucket, in files of a million rows.

    Keys are dealt to the files in turn: S3 promises no order among the files of a report.
    """
    s3 = client_of(place.server)
    for bucket in (dataset.bucket, HOLDER):
        ensure_bucket(s3, bucket)
    _kept(place, dataset).mkdir()
    files = []
    every = -(-dataset.count // FILE_ROWS)
    for number in range(every):
        ending = "parquet" if form == "Parquet" else "csv.gz"
        path = _kept(place, dataset) / f"{number}.{ending}"
        _make(path, dataset, form, number, every)
        body = path.read_bytes()
        key = f"{folder_of(dataset)}/data/{path.name}"
        s3.put_object(Bucket=HOLDER, Key=key, Body=body)
        files.append({"key": key, "size": len(body), "MD5checksum": _md5(body)})
    document = json.dumps(
        {
            "sourceBucket": dataset.bucket,
            "destinationBucket": f"arn:aws:s3:::{HOLDER}",
            "version": "2016-11-30",
            "creationTimestamp": "1795050000000",
            "fileFormat": form,
            "fileSchema": _SCHEMAS[form],
            "files": files,
        }
    ).encode()
    for name, body in (("manifest.json", document), ("manifest.checksum", _md5(document).encode())):
        s3.put_object(Bucket=HOLDER, Key=f"{folder_of(dataset)}/{name}", Body=body)


def _make(path: Path, dataset: Dataset, form: Format, first: int, step: int) -> None:
    if form == "Parquet":
        rows = _ROWS.format(more=_LATEST, modified=_MOMENT)
        options = "FORMAT parquet"
    else:
        # As S3 spells it, and without a header; keys of letters, digits and / encode to themselves.
        rows = _ROWS.format(more="", modified="'2026-01-01T00:00:00.000Z'")
        options = "FORMAT csv, COMPRESSION gzip, HEADER false, FORCE_QUOTE *"
    with duckdb.connect() as made:
        made.execute(
            f"COPY ({rows}) TO '{path}' ({options})",
            {
                "bucket": dataset.bucket,
                "size": dataset.size,
                "first": first,
                "count": dataset.count,
                "step": step,
            },
        )


def _md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
