"""S3 Inventory reports of a bucket, written as AWS documents them."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote_plus

import duckdb

Form = Literal["Parquet", "CSV"]

SCHEMA = (
    "message s3.inventory {  required binary bucket (STRING);  required binary key (STRING);  "
    "optional boolean is_latest;  optional boolean is_delete_marker;  optional int64 size;  "
    "optional int64 last_modified_date (TIMESTAMP(MILLIS,true));  optional binary e_tag (STRING);  "
    "optional binary storage_class (STRING);  optional boolean is_multipart_uploaded;  "
    "optional binary checksum_algorithm (STRING);}"
)
"""As the ``fileSchema`` of a Parquet report reads."""

FIELDS = (
    "Bucket, Key, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass, "
    "IsMultipartUploaded, ChecksumAlgorithm"
)
"""As that of a CSV report reads."""

FOLDER = "reports/photos/daily/2026-11-19T01-00Z"


Row = dict[str, Any]
"""One line of a report, by the names of Parquet."""


def row(key: str, size: int, etag: str, modified: datetime, **others: Any) -> Row:
    """An object that is there now."""
    return {
        "bucket": "photos",
        "key": key,
        "is_latest": True,
        "is_delete_marker": False,
        "size": size,
        "last_modified_date": modified,
        "e_tag": etag,
        "storage_class": "STANDARD",
        "is_multipart_uploaded": False,
        "checksum_algorithm": "CRC64NVME",
        **others,
    }


def parquet(rows: Sequence[Row], directory: Path) -> bytes:
    """A file of a Parquet report."""
    path = directory / "rows.parquet"
    with duckdb.connect() as made:
        made.execute(
            "CREATE TABLE rows (bucket VARCHAR, key VARCHAR, is_latest BOOLEAN,"
            " is_delete_marker BOOLEAN, size BIGINT, last_modified_date TIMESTAMP_MS,"
            " e_tag VARCHAR, storage_class VARCHAR, is_multipart_uploaded BOOLEAN,"
            " checksum_algorithm VARCHAR)"
        )
        made.executemany(
            f"INSERT INTO rows VALUES ({', '.join('?' * 10)})",
            [[*one.values()] for one in rows],
        )
        made.execute(f"COPY rows TO '{path}' (FORMAT parquet)")
    return path.read_bytes()


def comma_separated(rows: Sequence[Row]) -> bytes:
    """A file of a CSV report: every value quoted, the key encoded as in a URL."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    for one in rows:
        told = dict(one)
        told["key"] = quote_plus(one["key"], safe="/")
        told["last_modified_date"] = f"{one['last_modified_date']:%Y-%m-%dT%H:%M:%S}.000Z"
        writer.writerow(
            "" if value is None else str(value).lower() if isinstance(value, bool) else value
            for value in told.values()
        )
    return gzip.compress(text.getvalue().encode())


def publish(
    s3: Any,
    holder: str,
    source: str,
    files: Sequence[bytes],
    form: Form,
    *,
    schema: str | None = None,
    **changed: Any,
) -> str:
    """Put a report into a bucket as S3 does; the address of its manifest."""
    ending = "parquet" if form == "Parquet" else "csv.gz"
    listed = []
    for number, body in enumerate(files):
        key = f"reports/photos/daily/data/{number}.{ending}"
        s3.put_object(Bucket=holder, Key=key, Body=body)
        digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
        listed.append({"key": key, "size": len(body), "MD5checksum": digest})
    document = json.dumps(
        {
            "sourceBucket": source,
            "destinationBucket": f"arn:aws:s3:::{holder}",
            "version": "2016-11-30",
            "creationTimestamp": "1795050000000",
            "fileFormat": form,
            "fileSchema": schema or (SCHEMA if form == "Parquet" else FIELDS),
            "files": listed,
        }
        | changed
    ).encode()
    digest = hashlib.md5(document, usedforsecurity=False).hexdigest()
    s3.put_object(Bucket=holder, Key=f"{FOLDER}/manifest.json", Body=document)
    s3.put_object(Bucket=holder, Key=f"{FOLDER}/manifest.checksum", Body=digest.encode())
    return f"s3://{holder}/{FOLDER}/manifest.json"
