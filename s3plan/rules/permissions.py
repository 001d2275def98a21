"""Which IAM actions every verb needs, and what takes a verb back: the least policy of a manifest.

Actions are IAM's, not the API's: HeadObject is s3:GetObject, HeadBucket is s3:ListBucket, and the
lifecycle configuration is s3:GetLifecycleConfiguration
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html). A test
records the requests of full runs and compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal, assert_never

from msgspec import Struct

from s3plan.model.archivesteps import Adopt, Tag, VerifyReplacement
from s3plan.model.buckets import DocumentName
from s3plan.model.steps import (
    AbortUploads,
    AnyAction,
    Archive,
    Attribute,
    BackupFile,
    Configure,
    Copy,
    CreateBucket,
    Delete,
    DeleteBucket,
    DeleteSource,
    Download,
    Extract,
    Purge,
    PutFiles,
    Reencrypt,
    RemoveArchive,
    RemoveCopy,
    RemoveExtracted,
    RemoveFile,
    RemovePut,
    Restore,
    RestoreFile,
    RewriteFile,
    RunCommand,
    Stage,
    Swap,
    SwapBack,
    Upload,
    Verify,
    VerifyCopies,
    VerifyStaged,
)
from s3plan.rules.bucketdocuments import NOT_PUT

On = Literal["account", "bucket", "object", "role"]
"""What an action is about: nothing of S3's in particular, the bucket itself, objects in it, or the
role of the caller."""

Phase = Literal["plan", "apply", "rollback"]

READ: Final[dict[DocumentName, str]] = {
    "abac": "s3:GetBucketAbac",
    "accelerate": "s3:GetAccelerateConfiguration",
    "acl": "s3:GetBucketAcl",
    "analytics": "s3:GetAnalyticsConfiguration",
    "cors": "s3:GetBucketCORS",
    "encryption": "s3:GetEncryptionConfiguration",
    "intelligent-tiering": "s3:GetIntelligentTieringConfiguration",
    "inventory": "s3:GetInventoryConfiguration",
    "lifecycle": "s3:GetLifecycleConfiguration",
    "logging": "s3:GetBucketLogging",
    "metadata-tables": "s3:GetBucketMetadataTableConfiguration",
    "metrics": "s3:GetMetricsConfiguration",
    "notification": "s3:GetBucketNotification",
    "object-lock": "s3:GetBucketObjectLockConfiguration",
    "ownership": "s3:GetBucketOwnershipControls",
    "policy": "s3:GetBucketPolicy",
    "public-access-block": "s3:GetBucketPublicAccessBlock",
    "replication": "s3:GetReplicationConfiguration",
    "request-payment": "s3:GetBucketRequestPayment",
    "tagging": "s3:GetBucketTagging",
    "versioning": "s3:GetBucketVersioning",
    "website": "s3:GetBucketWebsite",
}
"""What reads each document of a bucket's configuration."""

_WRITTEN_OTHERWISE: Final[dict[DocumentName, tuple[str, ...]]] = {
    "metadata-tables": ("s3:CreateBucketMetadataTableConfiguration",),
    "policy": ("s3:PutBucketPolicy", "s3:DeleteBucketPolicy"),
    "website": ("s3:PutBucketWebsite", "s3:DeleteBucketWebsite"),
}


_IN_PARTS: Final = ("s3:AbortMultipartUpload", "s3:PutObject")
"""An object that may be large is written in parts, and those of one that fails are removed."""

_ASKED: Final[dict[Attribute, str]] = {
    "acl": "s3:GetObjectAcl",
    "annotations": "s3:ListObjectAnnotations",
}
"""What a verification asks of every object, where a bucket can have it."""

_PUT_BACK: Final = ("s3:PutObjectAcl", "s3:PutObjectLegalHold", "s3:PutObjectRetention")
"""What an upload needs besides, of an object that had an ACL, a legal hold or a retention."""


class Permission(Struct, frozen=True, order=True):
    """One IAM action on something; ``bucket`` is a name or a glob, empty for the account."""

    bucket: str
    on: On
    action: str


def written(document: DocumentName) -> tuple[str, ...]:
    """What writes and removes a document: most have one action for both."""
    return _WRITTEN_OTHERWISE.get(document, (READ[document].replace(":Get", ":Put", 1),))


def permissions_of(bucket: str, action: AnyAction) -> Iterator[Permission]:
    """Everything that a step with this action on this bucket may need."""
    for name in ("s3:ListBucket", *_on_bucket(action)):
        yield Permission(bucket, "bucket", name)
    for name in _on_versions(action) or _on_objects(action):
        yield Permission(bucket, "object", name)
    if isinstance(action, Copy | VerifyCopies | RemoveCopy):
        yield Permission(action.source, "bucket", "s3:ListBucket")
        yield Permission(action.source, "object", "s3:GetObject")
        if not isinstance(action, RemoveCopy):
            yield Permission(action.source, "object", "s3:GetObjectTagging")
        if isinstance(action, Copy) and action.acl == "keep":
            yield Permission(action.source, "object", "s3:GetObjectAcl")
    if isinstance(action, DeleteSource):
        yield Permission(action.copies, "bucket", "s3:ListBucket")
        yield Permission(action.copies, "object", "s3:GetObject")


def _on_bucket(action: AnyAction) -> tuple[str, ...]:
    match action:
        case CreateBucket():
            return ("s3:CreateBucket",)
        case DeleteBucket():
            # What an evacuated bucket has is read once more, and saved, before it goes.
            saved = READ.values() if action.destination else ()
            uploads = ("s3:ListBucketMultipartUploads",)
            return ("s3:DeleteBucket", *saved, *uploads, *_versions(action.versions))
        case AbortUploads():
            return ("s3:ListBucketMultipartUploads",)
        case VerifyReplacement():
            return (READ["versioning"],)
        case Archive() if action.replaces is not None:
            return (READ["versioning"],)
        case Verify() | Delete() | Upload() | RemoveFile() | Purge():
            return _versions(action.versions)
        case Configure():
            return (READ[action.document], *written(action.document))
        case _:
            return ()  # _on_objects names every verb


def _versions(kept: object) -> tuple[str, ...]:
    return ("s3:ListBucketVersions",) if kept else ()


def _on_versions(action: AnyAction) -> tuple[str, ...]:
    """What a step that goes by versions needs in the place of what it needs otherwise."""
    match action:
        case Verify() if action.versions:
            # The gate's worklist is the download's, whose requests name versions as well.
            return ("s3:GetObjectVersion", "s3:GetObjectVersionTagging")
        case Delete() if action.versions:
            return ("s3:DeleteObjectVersion",)
        case Purge() if action.versions:
            return ("s3:DeleteObjectVersion", "s3:GetObject")
        case Upload() if action.versions:
            # Deleting a key makes its delete marker.
            return (
                "s3:DeleteObject",
                "s3:DeleteObjectVersion",
                "s3:GetObjectVersion",
                "s3:PutObject",
                "s3:PutObjectTagging",
            )
        case RemoveFile() if action.versions:
            return ("s3:GetObjectVersion",)
        case _:
            return ()


def _on_objects(  # noqa: PLR0912 - one case a verb
    action: AnyAction,
) -> tuple[str, ...]:
    match action:
        case Verify():
            extra = tuple(_ASKED[attribute] for attribute in action.attributes or ())
            return ("s3:GetObject", "s3:GetObjectTagging", *extra)
        case Download() | VerifyCopies():
            return ("s3:GetObject", "s3:GetObjectTagging")
        case Delete() | DeleteSource() | RemoveCopy() | Purge():
            return ("s3:GetObject", "s3:DeleteObject")
        case Archive():
            tags = ("s3:PutObjectTagging",) if action.tags else ()
            return (*_IN_PARTS, "s3:GetObject", "s3:ListMultipartUploadParts", *tags)
        case PutFiles():
            tags = ("s3:PutObjectTagging",) if action.tags else ()
            return (*_IN_PARTS, "s3:GetObject", "s3:ListMultipartUploadParts", *tags)
        case Tag():
            return ("s3:GetObject", "s3:GetObjectTagging", "s3:PutObjectTagging")
        case Adopt():
            return ("s3:GetObject", "s3:PutObject")
        case RemoveArchive() | RemovePut():
            return (
                "s3:AbortMultipartUpload",
                "s3:DeleteObject",
                "s3:DeleteObjectVersion",
                "s3:GetObject",
                "s3:ListMultipartUploadParts",
            )
        case AbortUploads():
            return ("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
        case Upload():
            return (*_IN_PARTS, "s3:GetObject", "s3:PutObjectTagging", *_PUT_BACK)
        case Copy():
            acl = ("s3:PutObjectAcl",) if action.acl is not None else ()
            return (*_IN_PARTS, "s3:GetObject", "s3:PutObjectTagging", *acl)
        case Stage() | Swap() | SwapBack():
            old = () if action.keeps_old else ("s3:GetObjectVersion", "s3:GetObjectVersionTagging")
            asked = ("s3:GetObject", "s3:GetObjectTagging", "s3:PutObjectTagging")
            return (*_IN_PARTS, *asked, *old)
        case VerifyStaged():
            return ("s3:GetObject", "s3:GetObjectTagging")
        case Reencrypt():
            return ("s3:GetObject", "s3:UpdateObjectEncryption")
        case RemoveFile() | RewriteFile() | Extract() | RemoveExtracted() | VerifyReplacement():
            return ("s3:GetObject",)
        case Restore():
            return ("s3:GetObject", "s3:RestoreObject")
        case Configure():
            # What is frozen for a while is tried by an upload that must not even begin.
            frozen = _IN_PARTS if action.temporary else ()
            return ("s3:GetObject", *frozen) if "get" in action.probe else frozen
        case BackupFile() if action.upload:
            return ("s3:GetObject", "s3:PutObject")
        case CreateBucket() | DeleteBucket() | BackupFile() | RestoreFile() | RunCommand():
            return ()
        case _:
            assert_never(action)


def undone_by(action: AnyAction) -> tuple[AnyAction, ...]:  # noqa: PLR0912 - a case a verb
    """What a rollback may do about a step."""
    match action:
        case Download():
            return (RemoveFile(action.destination),)
        case Delete() if action.versions:
            return (
                Configure("versioning"),
                Upload(action.destination, versions=True),
                RemoveFile(action.destination, versions=True),
            )
        case Delete():
            return (Upload(action.destination),)
        case DeleteSource():
            return (Copy(action.copies),)
        case DeleteBucket():
            if not action.destination:
                return ()
            back = (Configure(name, fresh=True) for name in READ if name not in NOT_PUT)
            return (CreateBucket(action.region, action.destination), *back)
        case Copy():
            return (RemoveCopy(action.source, ""),)
        case Configure():
            return (Configure(action.document),)
        case Swap():
            return (SwapBack("", action.staged, action.keeps_old),)
        case Reencrypt():
            return (action,) if action.before is not None else ()
        case Stage():
            return ()  # it stays for a LayoutCleanup
        case Purge():
            return ()  # it is for good
        case Verify() | VerifyCopies() | VerifyStaged() | Restore() | AbortUploads():
            return ()
        case VerifyReplacement():
            return ()
        case Tag():
            return (action,)
        case CreateBucket():
            return (DeleteBucket(action.region, ""),)
        case Archive() | Adopt():
            return (RemoveArchive(),)
        case Extract():
            return (RemoveExtracted("", "", "", "", ""),)
        case PutFiles():
            return (RemovePut("", ""),)
        case Upload() | RemoveFile() | RemoveCopy() | SwapBack():
            return ()
        case RemoveArchive() | RemoveExtracted() | RemovePut():
            return ()
        case BackupFile() | RewriteFile() | RestoreFile() | RunCommand():
            return ()  # a local file; a command has credentials of its own
        case _:
            assert_never(action)


def looking_for_obstructions(bucket: str) -> Iterator[Permission]:
    """What planning a deletion needs besides: which uploads nobody finished."""
    yield Permission(bucket, "bucket", "s3:ListBucketMultipartUploads")
    yield Permission(bucket, "object", "s3:ListMultipartUploadParts")


def looking_at_versions(bucket: str) -> Iterator[Permission]:
    """What planning needs besides of a bucket that keeps versions, and may lock them."""
    yield Permission(bucket, "bucket", "s3:ListBucketVersions")
    for name in ("s3:GetObjectLegalHold", "s3:GetObjectRetention", "s3:GetObjectVersion"):
        yield Permission(bucket, "object", name)


def looking(
    bucket: str, documents: Iterable[DocumentName], *, bodies: bool, tags: bool
) -> Iterator[Permission]:
    """What planning needs of a bucket: where it is, its documents, its listing, a few objects."""
    yield Permission(bucket, "bucket", "s3:ListBucket")
    for document in documents:
        yield Permission(bucket, "bucket", READ[document])
    if bodies:
        # A sample is looked at by HEAD, which a listing cannot replace.
        yield Permission(bucket, "object", "s3:GetObject")
    if tags:
        yield Permission(bucket, "object", "s3:GetObjectTagging")


def jobs() -> Iterator[Permission]:
    """What jobs of S3 Batch Operations need of their maker; their role needs its own ("Granting
    permissions for S3 Batch Operations", Amazon S3 User Guide).
    """
    for action in ("s3:CreateJob", "s3:DescribeJob", "s3:UpdateJobStatus"):
        yield Permission("", "account", action)
    yield Permission("", "role", "iam:PassRole")


def scratch(bucket: str) -> Iterator[Permission]:
    """What probes and leases need in the scratch place."""
    yield Permission(bucket, "bucket", "s3:ListBucket")
    for action in ("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"):
        yield Permission(bucket, "object", action)


def policy_for(
    permissions: Iterable[Permission], *, partition: str, prefixes: dict[str, str]
) -> dict[str, Any]:
    """An identity policy that allows exactly these, a statement for each kind of resource.

    ``prefixes`` narrows the objects of a bucket to keys that start so.
    """
    grouped: dict[tuple[str, On], set[str]] = {}
    for one in permissions:
        grouped.setdefault((one.bucket, one.on), set()).add(one.action)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": sorted(actions),
                "Resource": _resource(bucket, on, partition, prefixes.get(bucket, "")),
            }
            for (bucket, on), actions in sorted(grouped.items())
        ],
    }


def partition_of(region: str) -> str:
    """The partition of a region (https://docs.aws.amazon.com/general/latest/gr/rande.html)."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def _resource(bucket: str, on: On, partition: str, prefix: str) -> str:
    match on:
        case "account":
            return "*"
        case "role":
            return f"arn:{partition}:iam::*:role/*"
        case "bucket":
            return f"arn:{partition}:s3:::{bucket}"
        case "object":
            return f"arn:{partition}:s3:::{bucket}/{prefix}*"
        case _:
            assert_never(on)
