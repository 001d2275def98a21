"""S3 Inventory's ``manifest.json``: of which files a report consists, and what their columns are.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html describes the
document, https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html the columns.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec import Struct

from s3plan.errors import PlanningError

Form = Literal["csv", "parquet"]

NEEDED = {
    "key": "Key",
    "size": "Size",
    "last_modified_date": "LastModifiedDate",
    "e_tag": "ETag",
    "storage_class": "StorageClass",
}
"""Columns without which nothing can be planned: as Parquet files and as CSV schemas call them."""

OPTIONAL = {
    "is_latest": "IsLatest",
    "is_delete_marker": "IsDeleteMarker",
    "checksum_algorithm": "ChecksumAlgorithm",
}
"""Columns that are used where they are there."""

_NAMES = {written: name for name, written in (NEEDED | OPTIONAL).items()}
_PARQUET_COLUMN = re.compile(r"(?:required|optional)\s+\w+\s+(\w+)")
_MOST_FILES = 100_000


class ReportFile(Struct, frozen=True):
    """One file of a report: its key in the bucket that holds the report, bytes, and MD5 in hex."""

    key: str
    size: int
    md5: str


class Report(Struct, frozen=True):
    """A report on the objects of ``bucket``, or on those below a prefix: it does not say which.

    ``created`` is when S3 began to make it; later changes are not in it, nor all of just before.

    ``columns`` are by their Parquet names, in the order of the files; one that is not used has its
    number as its name.
    """

    bucket: str
    created: datetime
    form: Form
    columns: tuple[str, ...]
    files: tuple[ReportFile, ...]

    @property
    def bytes(self) -> int:
        """All files together."""
        return sum(file.size for file in self.files)


class _File(Struct, frozen=True):
    key: str
    size: int
    md5: str = msgspec.field(name="MD5checksum")


class _Document(Struct, frozen=True, rename="camel"):
    source_bucket: str
    creation_timestamp: str
    file_format: str
    file_schema: str
    files: list[_File]


def read_report(document: bytes, address: str) -> Report:
    """What a ``manifest.json`` says. Raises PlanningError, naming ``address``."""
    try:
        told = msgspec.json.decode(document, type=_Document)
        created = datetime.fromtimestamp(int(told.creation_timestamp) / 1000, UTC)
    except (msgspec.MsgspecError, ValueError, OverflowError, OSError) as error:
        raise unusable(address, "the manifest.json of an S3 Inventory report", str(error)) from None
    form = told.file_format.lower()
    if form == "parquet":
        columns = tuple(_PARQUET_COLUMN.findall(told.file_schema))
    elif form == "csv":
        written = [name.strip() for name in told.file_schema.split(",")]
        columns = tuple(_NAMES.get(name, str(at)) for at, name in enumerate(written))
    elif form == "orc":
        raise unusable(
            address,
            "a report in Parquet or CSV",
            "ORC, which DuckDB does not read (docs/inventory-reports.md)",
            "choose Parquet in the inventory configuration of the bucket, and wait for a report;"
            " or leave inventory out",
        )
    else:
        raise unusable(address, "a report in Parquet or CSV", told.file_format)
    missing = [written for name, written in NEEDED.items() if name not in columns]
    if missing:
        raise unusable(
            address,
            "a report with the fields " + ", ".join(NEEDED.values()),
            "without " + ", ".join(missing),
            "add the fields to the inventory configuration of the bucket, and wait for a report",
        )
    if len(told.files) > _MOST_FILES:
        raise unusable(address, f"at most {_MOST_FILES:,} files", f"{len(told.files):,}")
    return Report(
        # The bucket's name; in older reports its ARN.
        bucket=told.source_bucket.rpartition(":")[2],
        created=created,
        form="parquet" if form == "parquet" else "csv",
        columns=columns,
        files=tuple(ReportFile(file.key, file.size, file.md5.lower()) for file in told.files),
    )


def unusable(
    address: str,
    expected: str,
    found: str,
    next_step: str = "name the manifest.json of another report, or leave inventory out",
) -> PlanningError:
    """The error for a report that nothing can be planned from."""
    return PlanningError(
        "the inventory report cannot be used",
        address=address,
        expected=expected,
        found=found,
        next_step=next_step,
    )
