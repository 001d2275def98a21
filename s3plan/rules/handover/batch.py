"""Jobs of S3 Batch Operations: which items one can do, its manifest, and its request. Pure.

Sources: "Performing object operations in bulk with Batch Operations", "Copy objects", "Restore
objects", "Specifying a manifest" and "Batch Operations job request elements" (Amazon S3 User
Guide); S3CopyObjectOperation, S3InitiateRestoreObjectOperation and CreateJob (S3 Control API). The
service knows no conditions on ETags, writes over what has the new key, copies at most 5 GB, to the
name that an object has below one prefix, and gives all objects of a job the same class.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from s3plan.model.cost import Dollars
from s3plan.model.steps import Copy, Item, Restore
from s3plan.rules.classes import ARCHIVED_CLASSES, TIERED_CLASS

LARGEST = 5 * 10**9
"""Bytes that a job copies of one object ("Copy objects": up to 5 GB)."""

PER_JOB = 0.25
PER_MILLION = 1.00
"""US dollars for a job and for a million of its objects, in every region of AWS: "S3 Batch
Operations" of https://aws.amazon.com/s3/pricing/, as others had copied it by 2026-11-20."""

LONGEST_PREFIX = 1_024
"""Characters of TargetKeyPrefix (S3CopyObjectOperation)."""

CLASSES = frozenset(
    {
        "STANDARD",
        "STANDARD_IA",
        "ONEZONE_IA",
        "GLACIER",
        "INTELLIGENT_TIERING",
        "DEEP_ARCHIVE",
        "GLACIER_IR",
    }
)
"""Classes that a job can copy to (S3CopyObjectOperation); not REDUCED_REDUNDANCY."""

PREPARING = frozenset({"New", "Preparing"})
WAITING = "Suspended"
UNDER_WAY = frozenset(
    {"Ready", "Active", "Pausing", "Paused", "Completing", "Cancelling", "Failing"}
)
COMPLETE = "Complete"
TERMINAL = frozenset({COMPLETE, "Cancelled", "Failed"})
"""Statuses of a job in the order that it goes through them ("Tracking job status and completion
reports", Amazon S3 User Guide); one that waits for confirmation is Suspended."""

_TIERS = {"Standard": "STANDARD", "Bulk": "BULK"}


class JobKind(Struct, frozen=True, order=True):
    """What all items of one job have in common.

    ``prefix`` ends in a slash, or is empty. ``versions`` is whether every row names a version: a
    manifest names all of them or none.
    """

    storage_class: str
    prefix: str = ""
    versions: bool = False


def kind_of(action: Copy | Restore, item: Item) -> JobKind | str:
    """The job that an item goes with; or why the service cannot do it, as a few words."""
    if isinstance(action, Restore):
        return _restored(action, item)
    if item.history is not None or item.marker:
        return "older versions"
    if item.size > LARGEST:
        return "objects over 5 GB"
    if not item.path.endswith(item.key):
        return "new names that are not a folder before the old name"
    prefix = item.path[: len(item.path) - len(item.key)]
    # S3 puts a slash between the prefix and the key (seen in aws/aws-sdk issue 355).
    if prefix and (not prefix.endswith("/") or prefix == "/"):
        return "new names that are not a folder before the old name"
    if len(prefix) > LONGEST_PREFIX:
        return "folders of more than 1,024 characters"
    if item.storage_class in ARCHIVED_CLASSES:
        return "archived sources"
    target = action.storage_class or item.storage_class
    if target not in CLASSES:
        return f"copies to {target}"
    return JobKind(target, prefix, item.version_id is not None)


def _restored(action: Restore, item: Item) -> JobKind | str:
    tier = action.tiers.get(item.storage_class)
    if tier not in _TIERS:
        return f"{tier} restores"
    return JobKind(item.storage_class, versions=item.version_id is not None)


def price(jobs: int, objects: int) -> Dollars:
    """What the service itself takes; requests, retrieval and storage are paid for besides."""
    whole = jobs * PER_JOB + objects / 1_000_000 * PER_MILLION
    return Dollars(whole, whole)


def row(bucket: str, item: Item, *, versions: bool) -> str:
    """A line of the manifest, with its end: no header, keys URL-encoded, UTF-8."""
    fields = [bucket, encoded(item.key)]
    if versions:
        fields.append(item.version_id or "null")
    return ",".join(fields) + "\n"


def encoded(key: str) -> str:
    """A key as a manifest has it; nothing in it means anything in a CSV then."""
    return quote(key, safe="/-_.~")


def operation(
    action: Copy | Restore, target: str, kind: JobKind, newest: str, partition: str
) -> dict[str, Any]:
    """The Operation of CreateJob, for the bucket ``target``.

    ``newest`` is when the latest of the sources was changed. What was changed after that is not
    copied: the one condition on sources that the service has.
    """
    if isinstance(action, Restore):
        told: dict[str, Any] = {"GlacierJobTier": _TIERS[action.tiers[kind.storage_class]]}
        # Objects of INTELLIGENT_TIERING come back for good, and days make the request fail.
        if kind.storage_class != TIERED_CLASS:
            told["ExpirationInDays"] = action.days
        return {"S3InitiateRestoreObject": told}
    copied: dict[str, Any] = {
        "TargetResource": bucket_arn(target, partition),
        "MetadataDirective": "COPY",
        "StorageClass": kind.storage_class,
        "UnModifiedSinceConstraint": whole_second_after(newest),
    }
    if kind.prefix:
        copied["TargetKeyPrefix"] = kind.prefix.removesuffix("/")
    if action.acl:
        copied["CannedAccessControlList"] = action.acl
    return {"S3PutObjectCopy": copied}


class Manifest(Struct, frozen=True):
    """The manifest of a job as it lies in S3; ``etag`` without quotes."""

    bucket: str
    key: str
    etag: str
    versions: bool


class Terms(Struct, frozen=True):
    """Under what a job runs: whose account, which role, before which others, and for whom the
    report is, ``s3://bucket/prefix`` without a slash at its end.
    """

    account: str
    role: str
    priority: int
    report: str

    @property
    def partition(self) -> str:
        """``aws``, or that of China or GovCloud, as the role's ARN has it."""
        return self.role.split(":")[1]


def request(
    terms: Terms, manifest: Manifest, operation: dict[str, Any], token: str, description: str
) -> dict[str, Any]:
    """The parameters of CreateJob: the same every time for the same job.

    The service runs nothing before it is told so (UpdateJobStatus). Only tasks that fail come into
    the report: what was done is looked at in S3, not read there.
    """
    bucket, _, prefix = terms.report.removeprefix("s3://").partition("/")
    report: dict[str, Any] = {
        "Bucket": bucket_arn(bucket, terms.partition),
        "Format": "Report_CSV_20180820",
        "Enabled": True,
        "ReportScope": "FailedTasksOnly",
        "ExpectedBucketOwner": terms.account,
    }
    if prefix:
        report["Prefix"] = prefix
    fields = ["Bucket", "Key", *(("VersionId",) if manifest.versions else ())]
    return {
        "AccountId": terms.account,
        "ConfirmationRequired": True,
        "Operation": operation,
        "Report": report,
        "ClientRequestToken": token,
        "Manifest": {
            "Spec": {"Format": "S3BatchOperations_CSV_20180820", "Fields": fields},
            "Location": {
                "ObjectArn": f"{bucket_arn(manifest.bucket, terms.partition)}/{manifest.key}",
                "ETag": manifest.etag,
            },
        },
        "Description": description[:256],
        "Priority": terms.priority,
        "RoleArn": terms.role,
    }


def bucket_arn(bucket: str, partition: str) -> str:
    """The ARN of a bucket."""
    return f"arn:{partition}:s3:::{bucket}"


def whole_second_after(moment: str) -> str:
    """``moment`` (RFC 3339, UTC) rounded up to a second, the finest that HTTP dates have.

    >>> whole_second_after("2026-11-20T04:23:11.001Z")
    '2026-11-20T04:23:12Z'
    >>> whole_second_after("2026-11-20T04:23:11.000Z")
    '2026-11-20T04:23:11Z'
    """
    time = datetime.fromisoformat(moment)
    whole = time.replace(microsecond=0)
    if whole < time:
        whole += timedelta(seconds=1)
    return whole.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
