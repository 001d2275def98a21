"""S3 Inventory reports in the place of listings: fetched, checked, and read into ``listing``.

Millions of objects come in seconds and without one LIST request. A report is of yesterday or
earlier, and S3 promises no more than that it will be right in the end
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html#storage-inventory-contents):
it decides what is planned, never what is deleted, which a listing of that moment must confirm.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from s3plan.errors import ListingError, NoSuchBucketError, NoSuchKeyError
from s3plan.inventory.s3 import Observer
from s3plan.model.events import Scanning
from s3plan.model.objects import ObjectHead
from s3plan.model.steps import Totals
from s3plan.rules.counting import counted
from s3plan.rules.inventoryreport import Form, Report, ReportFile, read_report, unusable
from s3plan.rules.shadow import FOLDER, is_shadow
from s3plan.store import Bucket, Store
from s3plan.tables import Database

_AT_ONCE = 4
"""Files of a report that are fetched side by side."""

_READ_AT_ONCE = 2
"""Files that are read into tables side by side: what is compressed as a whole, one thread reads."""

_MD5_DIGITS = 32


class Reported(Struct, frozen=True):
    """A report by the address of its manifest, and the bucket that holds its files."""

    address: str
    holder: str
    report: Report

    def note(self, now: datetime) -> str:
        """What who reads the plan should know of it."""
        hours = max(0, round((now - self.report.created).total_seconds() / 3600))
        return (
            f"{self.report.bucket} is planned from the S3 Inventory report of "
            f"{self.report.created:%Y-%m-%d %H:%M} UTC, {counted(hours, 'hour')} old: what changed "
            "since is not in the plan; before a deletion a listing of that moment must agree"
        )


async def read_reports(
    addresses: Sequence[str], buckets: Collection[str], store: Store
) -> Mapping[str, Reported]:
    """The reports by the bucket they are on; their files are not read yet.

    Raises PlanningError for one that cannot be used or is on a bucket that is not among
    ``buckets``.
    """
    found: dict[str, Reported] = {}
    for address in addresses:
        holder, _, key = address.removeprefix("s3://").partition("/")
        report = read_report(await _manifest(store.bucket(holder), key, address), address)
        if report.bucket not in buckets:
            raise unusable(
                address,
                "the report of a bucket of this manifest: " + ", ".join(sorted(buckets)),
                f"a report of {report.bucket}",
            )
        if report.bucket in found:
            raise unusable(address, "one report for each bucket", found[report.bucket].address)
        found[report.bucket] = Reported(address, holder, report)
    return found


async def observe_report(
    reported: Reported, store: Store, database: Database, *, prefix: str, observer: Observer
) -> None:
    """Add a row per object under ``prefix``, as ``observe_bucket`` does from a listing.

    The files pass through ``database.readable``. Raises ListingError where a file is not the one
    that the manifest names, or says what no listing could.
    """
    report, directory = reported.report, database.readable
    assert directory is not None
    directory.mkdir()
    holder = store.bucket(reported.holder)
    slots, told = asyncio.Semaphore(_AT_ONCE), asyncio.Lock()
    hands = asyncio.Semaphore(_READ_AT_ONCE)
    seen, rows = Totals(), 0

    async def tell() -> None:
        nonlocal seen, rows
        async with told:
            added, rows = await asyncio.to_thread(_added, database, report.bucket, rows)
            seen += added
            observer(Scanning(report.bucket, seen.items, seen.bytes))

    async def take(number: int, file: ReportFile) -> None:
        async with slots:
            path = directory / f"{number}.{report.form}{'.gz' if file.key.endswith('.gz') else ''}"
            await _fetch(holder, file, path)
            async with hands:
                await asyncio.to_thread(_load, report, path, database, prefix)
            path.unlink()
        await tell()

    try:
        await asyncio.gather(*[take(number, file) for number, file in enumerate(report.files)])
    finally:
        shutil.rmtree(directory)
    totals = await asyncio.to_thread(_checked, reported, database)
    observer(Scanning(report.bucket, totals.items, totals.bytes, finished=True))


async def _manifest(holder: Bucket, key: str, address: str) -> bytes:
    """``manifest.json``, proved by the ``manifest.checksum`` that S3 writes when all is done."""
    folder, _, _ = key.rpartition("/")
    try:
        _, document = await holder.get(key, if_match=None)
        _, checksum = await holder.get(f"{folder}/manifest.checksum", if_match=None)
    except (NoSuchKeyError, NoSuchBucketError) as error:
        raise unusable(
            address, "manifest.json, and manifest.checksum beside it", f"{error.address}: {error}"
        ) from error
    told = checksum.decode("ascii", "replace").strip()[:_MD5_DIGITS].lower()
    found = hashlib.md5(document, usedforsecurity=False).hexdigest()
    if told != found:
        raise unusable(address, f"MD5 {told}, as manifest.checksum says", f"MD5 {found}")
    return document


async def _fetch(holder: Bucket, file: ReportFile, path: Path) -> None:
    sink = _FileSink(path)
    try:
        await holder.get_to(file.key, sink, if_match=None)
    except NoSuchKeyError as error:
        raise _damaged(holder, file, "the file", "no such key") from error
    finally:
        sink.close()
    if sink.md5.hexdigest() != file.md5:
        raise _damaged(holder, file, f"MD5 {file.md5}", f"MD5 {sink.md5.hexdigest()}")


class _FileSink:
    """An object to a new file, and its MD5."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")
        self.md5 = hashlib.md5(usedforsecurity=False)

    def start(self, head: ObjectHead) -> None:
        del head
        self._file.seek(0)
        self._file.truncate()
        self.md5 = hashlib.md5(usedforsecurity=False)

    def feed(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self.md5.update(chunk)

    def close(self) -> None:
        self._file.close()


_TIME = "'%Y-%m-%dT%H:%M:%S.%gZ'"

_EXPRESSIONS: Mapping[Form, Mapping[str, str]] = {
    "parquet": {
        "key": "key",
        "size": "size",
        # Of a time with a zone or without one, which is UTC, too.
        "last_modified_date": "strftime("
        f"make_timestamp(epoch_ms(last_modified_date) * 1000), {_TIME})",
        "is_latest": "is_latest",
        "is_delete_marker": "is_delete_marker",
    },
    "csv": {
        # "When you're using the CSV file format, the key name is URL-encoded."
        "key": "url_decode(replace(key, '+', '%20'))",
        "size": "CAST(size AS BIGINT)",
        "last_modified_date": "strftime(strptime(last_modified_date, "
        f"['%Y-%m-%dT%H:%M:%S.%gZ', '%Y-%m-%dT%H:%M:%SZ']), {_TIME})",
        "is_latest": "CAST(is_latest AS BOOLEAN)",
        "is_delete_marker": "CAST(is_delete_marker AS BOOLEAN)",
    },
}
"""How a column of a report becomes one of `listing`."""

_INTO = """
    INSERT INTO listing (bucket, key, size, etag, modified, storage_class, checksum)
    SELECT $bucket, * FROM (
        SELECT {key} AS key, {size}, trim(e_tag, '"'), {last_modified_date},
            coalesce(storage_class, 'STANDARD'), nullif({checksum_algorithm}, '') || '/UNKNOWN'
        FROM {source}
        WHERE coalesce({is_latest}, true) AND NOT coalesce({is_delete_marker}, false))
    WHERE key IS NULL OR starts_with(key, $prefix)"""

_PARQUET = "read_parquet($path)"

_CSV = """read_csv($path, header = false, auto_detect = false, delim = ',', quote = '"',
    escape = '"', nullstr = '', compression = 'auto', columns = {columns})"""


def _load(report: Report, path: Path, database: Database, prefix: str) -> None:
    """The rows of one file that are objects now, each a row of ``listing``."""
    known = {"checksum_algorithm": "checksum_algorithm", **_EXPRESSIONS[report.form]}
    # Nothing of the report's own becomes SQL: its columns have names of ours, or numbers.
    expressions = {
        name: expression if name in report.columns else "NULL" for name, expression in known.items()
    }
    columns = "{" + ", ".join(f"'{name}': 'VARCHAR'" for name in report.columns) + "}"
    source = _PARQUET if report.form == "parquet" else _CSV.format(columns=columns)
    database.read_files(
        _INTO.format(source=source, **expressions),
        {"bucket": report.bucket, "prefix": prefix, "path": str(path)},
    )


_ROWS = "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM listing WHERE bucket = ?"

_INCOMPLETE = """
    SELECT key FROM listing WHERE bucket = $bucket AND
        (key IS NULL OR size IS NULL OR etag IS NULL OR etag = '' OR modified IS NULL) LIMIT 1"""

# Numbers are counted in half the time and memory of keys; equal ones are looked at more closely.
_TWICE = """
    SELECT key FROM listing WHERE bucket = $bucket AND hash(key) IN (
        SELECT hash(key) FROM listing WHERE bucket = $bucket GROUP BY 1 HAVING count(*) > 1)
    GROUP BY key HAVING count(*) > 1 LIMIT 1"""

_SHADOWS = "SELECT key FROM listing WHERE bucket = ? AND contains(key, ?)"

_HIDE = "INSERT INTO shadows SELECT * FROM listing WHERE bucket = $bucket AND key = ANY($keys)"

_HIDDEN = "DELETE FROM listing WHERE bucket = $bucket AND key = ANY($keys)"


def _checked(reported: Reported, database: Database) -> Totals:
    """What the report holds, once it is known to be a listing: each key once, nothing missing."""
    bucket = reported.report.bucket
    for query, found in ((_INCOMPLETE, "a row without key, size, ETag or time"), (_TWICE, "twice")):
        for (key,) in database.rows(query, {"bucket": bucket}):
            raise ListingError(
                "the inventory report is no list of the objects of a bucket",
                address=reported.address,
                expected="each key once, with its size, ETag and time",
                found=f"{key}: {found}" if key is not None else found,
                next_step="leave inventory out: the bucket is listed then",
            )
    names = [key for (key,) in database.rows(_SHADOWS, [bucket, FOLDER]) if is_shadow(key)]
    if names:
        database.execute(_HIDE, {"bucket": bucket, "keys": names})
        database.execute(_HIDDEN, {"bucket": bucket, "keys": names})
    return _totals(database, bucket)


_ADDED = """
    SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT), coalesce(max(rowid) + 1, $from)
    FROM listing WHERE bucket = $bucket AND rowid >= $from"""


def _added(database: Database, bucket: str, since: int) -> tuple[Totals, int]:
    """What was added from row ``since`` on, and the row from which on to ask the next time.

    Counting all of it after every file would take longer the more files there are.
    """
    count, size, rows = database.row(_ADDED, {"bucket": bucket, "from": since})
    return Totals(count, size), rows


def _totals(database: Database, bucket: str) -> Totals:
    count, size = database.row(_ROWS, [bucket])
    return Totals(count, size)


def _damaged(holder: Bucket, file: ReportFile, expected: str, found: str) -> ListingError:
    return ListingError(
        "a file of the inventory report is not the one that its manifest names",
        address=f"s3://{holder.name}/{file.key}",
        expected=expected,
        found=found,
        next_step="name the manifest.json of another report",
    )
