"""What the service failed with, as its reports say: reasons for objects that are not there."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator

from s3plan.errors import NoSuchKeyError, StoreError
from s3plan.model.steps import Copy, Item, Restore
from s3plan.rules.handover.batch import JobKind, kind_of
from s3plan.rules.handover.told import Failure, Reasons, ReportFile, report_failures, report_files
from s3plan.store import Bucket

MOST = 100_000
"""Failures of one job that are read; S3 itself fails a job most of whose objects fail."""

_LARGEST = 256 << 20
"""Bytes of one file of a report."""


class Failures:
    """Of one step in one session. Nothing here makes an object done."""

    def __init__(self, action: Copy | Restore) -> None:
        self._action = action
        self._reasons: list[Reasons] = []
        self._jobs: dict[JobKind, Failure] = {}

    def add(self, reasons: Reasons) -> None:
        """What the report of a job says."""
        self._reasons.append(reasons)

    def add_job(self, kind: JobKind, failure: Failure) -> None:
        """A job that did not come to its end: what it did not do nobody does in this session."""
        self._jobs[kind] = failure

    def of(self, item: Item) -> Failure | None:
        """Why the service did not do an item, as far as it told."""
        found = next(filter(None, (reasons.of(item.key) for reasons in self._reasons)), None)
        if found is not None or not self._jobs:
            return found
        kind = kind_of(self._action, item)
        return None if isinstance(kind, str) else self._jobs.get(kind)


async def read_report(bucket: Bucket, folder: str) -> Reasons:
    """The failures in a completion report; ``folder`` is the job's own, with a slash at its end.

    Raises StoreError where there is no report, or it is not whole.
    """
    manifest = await _manifest(bucket, folder)
    address = f"s3://{bucket.name}/{folder}"
    try:
        files = report_files(manifest)
        found = [await _failures(bucket, file) for file in files]
        return Reasons((one for failures in found for one in failures), MOST)
    except ValueError as error:
        raise StoreError(
            "the completion report cannot be read",
            address=address,
            found=str(error),
            next_step="look at the report; what was done is looked at in S3 all the same",
        ) from error
    except OverflowError:
        raise StoreError(
            "the job failed for too many objects",
            address=address,
            expected=f"at most {MOST:,} failures",
            next_step="look at the report, mend what it tells, then run the same command again",
        ) from None


async def _manifest(bucket: Bucket, folder: str) -> bytes:
    try:
        return (await bucket.get(f"{folder}manifest.json", if_match=None))[1]
    except NoSuchKeyError:
        # The API's reference calls it so; AWS's examples, and its users, have manifest.json.
        return (await bucket.get(f"{folder}report.json", if_match=None))[1]


async def _failures(bucket: Bucket, file: ReportFile) -> list[Failure]:
    if file.bucket != bucket.name:
        raise ValueError(f"a file of it lies in another bucket, {file.bucket}")
    head = await bucket.head(file.key)
    if head.size > _LARGEST:
        raise OverflowError
    _, body = await bucket.get(file.key, if_match=head.etag)
    return await asyncio.to_thread(_parse, file, body)


def _parse(file: ReportFile, body: bytes) -> list[Failure]:
    if hashlib.md5(body, usedforsecurity=False).hexdigest() != file.md5:
        raise ValueError(f"{file.key} has not the MD5 that the report's manifest tells")
    return list(report_failures(_lines(body)))


def _lines(body: bytes) -> Iterator[str]:
    yield from body.decode("utf-8", "replace").splitlines(keepends=True)
