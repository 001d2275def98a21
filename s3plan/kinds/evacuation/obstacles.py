"""Everything that keeps a bucket from being planned, found together and said all at once.

First what is known of the bucket as a whole, then what the tables show of its objects and files.
"""

from __future__ import annotations

from collections.abc import Iterator

from s3plan.errors import PlanningError
from s3plan.kinds.evacuation.workspace import Workspace
from s3plan.kinds.obstacles import found, identity_text, sealed, unserved
from s3plan.model.buckets import BucketFacts
from s3plan.model.connection import Connection
from s3plan.model.plan import Target
from s3plan.rules.parts import LARGEST_PUT

LARGEST_STACKED = LARGEST_PUT
"""Bytes: larger files go up in parts, for hours, in which nobody may write to the key."""


def bucket_obstacles(
    facts: BucketFacts, connection: Connection, *, delete: bool
) -> Iterator[PlanningError]:
    """What the bucket's own settings forbid."""
    address = f"s3://{facts.name}"
    leave_out = "leave the bucket out with buckets.exclude"
    yield from unserved(facts, connection, otherwise=leave_out)
    versioning = facts.configuration.get("versioning")
    if delete and isinstance(versioning, dict) and versioning.get("MFADelete") == "Enabled":
        # DeleteObjects would be refused as a whole, at the very end
        # (https://docs.aws.amazon.com/AmazonS3/latest/userguide/MultiFactorAuthenticationDelete.html).
        yield PlanningError(
            "versions of the bucket can be deleted only with an MFA device (MFA delete)",
            address=address,
            expected="a bucket without MFA delete",
            found="MFA delete enabled",
            next_step="have the root user disable MFA delete, or use delete: never",
        )


def history_obstacles(work: Workspace) -> Iterator[PlanningError]:
    """Noncurrent versions and delete markers, where nobody said what shall become of them."""
    yield from _found(
        work,
        "SELECT key || CASE WHEN marker THEN ' (delete marker ' ELSE ' (version ' END"
        " || version_id || ')' FROM evacuation_lost ORDER BY key, newer DESC",
        what="noncurrent versions and delete markers would be left behind, or lost",
        address=f"s3://{work.bucket}",
        expected="a bucket that holds current versions only",
        next_step="say versions: all to take them along, or versions: current to give them up"
        " behind an approval of their own (--approve-loss)",
    )


def stack_obstacles(work: Workspace) -> Iterator[PlanningError]:
    """What cannot be put back where a key has several versions."""
    yield from _found(
        work,
        "SELECT key || ' (version ' || version_id || ', ' || size || ' bytes)'"
        " FROM evacuation_objects WHERE size > $largest"
        " AND key IN (SELECT key FROM evacuation_objects WHERE newer > 0) ORDER BY key",
        values={"largest": LARGEST_STACKED},
        what="versions are too large to be put back on top of others, so they are not deleted",
        address=f"s3://{work.bucket}",
        expected=f"at most {LARGEST_STACKED} bytes where a key has several versions",
        next_step="use versions: current, or delete: never",
    )
    yield from _found(
        work,
        "SELECT key || ' (version ' || version_id || ', ' || archived || ')'"
        " FROM evacuation_objects WHERE history IS NOT NULL AND archived IS NOT NULL"
        " AND state = 'download' ORDER BY key",
        what="noncurrent versions are archived, which only current ones are restored from",
        address=f"s3://{work.bucket}",
        expected="noncurrent versions that can be read",
        next_step="restore them by hand, or use versions: current",
    )


def lock_obstacles(work: Workspace) -> Iterator[PlanningError]:
    """Versions that S3 refuses to delete, whoever asks or but for a permission of its own."""
    yield from _found(
        work,
        "SELECT key || ' (version ' || version_id || ': ' || lock || ')' FROM locks l"
        " WHERE bucket = $bucket AND EXISTS (SELECT 1 FROM listing o WHERE o.bucket = l.bucket"
        " AND o.key = l.key AND o.version_id = l.version_id"
        " UNION ALL SELECT 1 FROM evacuation_lost e WHERE e.key = l.key"
        " AND e.version_id = l.version_id) ORDER BY key",
        what="versions are under Object Lock and cannot be deleted",
        address=f"s3://{work.bucket}",
        expected="versions without retention and legal hold",
        next_step="wait until they may be deleted, or use delete: never",
    )


def shadow_obstacles(work: Workspace) -> Iterator[PlanningError]:
    """What an ObjectLayout keeps beside objects: no listing shows it, and no bucket goes with it in
    it.
    """
    yield from _found(
        work,
        "SELECT key FROM shadows WHERE bucket = $bucket ORDER BY key",
        what="objects belong to a migration to another layout and are not evacuated",
        address=f"s3://{work.bucket}",
        expected="a bucket without staging of an ObjectLayout",
        next_step="apply a LayoutCleanup for the bucket first, or use deleteBucket: false",
    )


def sealed_obstacles(bucket: str, keys: tuple[str, ...]) -> Iterator[PlanningError]:
    """Objects that nobody but the holder of their key can read."""
    step = "leave them out with select, or the bucket with buckets.exclude"
    yield from sealed(bucket, keys, next_step=step)


def retained_obstacles(work: Workspace) -> Iterator[PlanningError]:
    """Files whose key has left S3 are the only copies: each must be as it was left."""
    yield from _found(
        work,
        "SELECT path || CASE WHEN found THEN ' (changed)' ELSE ' (missing)' END"
        " FROM evacuation_retained WHERE NOT present ORDER BY key",
        what="files of the catalogue are missing or changed, and their objects are gone from S3",
        address=work.destination,
        expected="every file as its download left it",
        next_step="mount the disk or bring these files back, then plan again",
    )


def object_obstacles(work: Workspace) -> Iterator[PlanningError]:
    """What single objects, and files in their way, forbid."""
    address = f"s3://{work.bucket}"
    yield from _found(
        work,
        "SELECT key FROM evacuation_objects WHERE state = 'changed' ORDER BY key",
        what="objects changed since they were evacuated",
        address=address,
        expected="the object that the file in the destination is of",
        next_step=f"move their files in {work.destination} away, then plan again",
    )
    yield from _found(
        work,
        "SELECT key || ' (' || size || ' bytes) at ' || path || CASE WHEN found_size < 0"
        " THEN ' (a link or special file)' ELSE ' (' || found_size || ' bytes)' END"
        " FROM evacuation_objects WHERE state = 'occupied' ORDER BY key",
        what="other files stand where objects are to go",
        address=work.destination,
        expected="nothing there, or a file of the object's size",
        next_step="move these files away, then plan again",
    )
    yield from _found(
        work,
        "SELECT t.path FROM tree t JOIN evacuation_directories d"
        " ON d.source = 'name' AND d.path = t.path || '/'"
        " WHERE t.destination = $destination ORDER BY t.path",
        what="files stand where directories must be",
        address=work.destination,
        expected="a directory, or nothing",
        next_step="move these files away, then plan again",
    )
    yield from _found(
        work,
        "SELECT o.path FROM evacuation_objects o JOIN evacuation_directories d"
        " ON d.source = 'tree' AND d.path = o.path || '/' ORDER BY o.path",
        what="directories stand where files must be",
        address=work.destination,
        expected="nothing there",
        next_step="move these directories away, then plan again",
    )
    yield from _found(
        work,
        "SELECT path FROM catalogue WHERE destination = $destination AND bucket = $bucket"
        " AND history IS NULL AND NOT starts_with(path, $root) ORDER BY path",
        what="the catalogue has files of this bucket elsewhere",
        address=work.destination,
        expected=f"files below {work.root or 'the destination'}, as destination.layout says",
        next_step="keep the layout that the bucket was first evacuated with",
    )


def no_such_bucket(bucket: str, target: Target, destination: str) -> PlanningError:
    """A bucket that is named as such, or was evacuated in part, and is not there."""
    return PlanningError(
        "there is no such bucket, and no catalogue says that s3plan deleted it",
        address=f"s3://{bucket}",
        expected=f"the bucket at {identity_text((target.endpoint, target.account))},"
        f" or its catalogue in {destination}",
        next_step="check its name, the region and the credentials",
    )


def _found(
    work: Workspace,
    query: str,
    *,
    what: str,
    address: str,
    expected: str,
    next_step: str,
    values: dict[str, object] | None = None,
) -> Iterator[PlanningError]:
    rows = work.rows(query, **(values or {}))
    yield from found(rows, what=what, address=address, expected=expected, next_step=next_step)
