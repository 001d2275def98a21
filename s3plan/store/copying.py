"""CopyObject: the source pinned, nothing written over, an error in a 200 answer seen as one.

A copy carries content type, metadata and tags along by itself. Storage class, encryption, ACL and
website redirect it does not; they are sent again where they are wanted
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html).
"""

from __future__ import annotations

from msgspec import Struct

from s3plan.errors import OutcomeUnknownError
from s3plan.model.objects import Checksum, ChecksumAlgorithm, ObjectAttributes
from s3plan.store import documents, failures, heads
from s3plan.store.sender import Request, Sender
from s3plan.store.signing import encode_key

LARGEST_COPY = 5 * 1024**3
"""Bytes of one CopyObject (https://docs.aws.amazon.com/AmazonS3/latest/userguide/copy-object.html).
"""

_OWNER = "x-amz-expected-bucket-owner"
_TOLD: tuple[tuple[str, ChecksumAlgorithm], ...] = (
    ("ChecksumCRC64NVME", "CRC64NVME"),
    ("ChecksumCRC32C", "CRC32C"),
    ("ChecksumCRC32", "CRC32"),
    ("ChecksumSHA256", "SHA256"),
    ("ChecksumSHA1", "SHA1"),
)


class CopySource(Struct, frozen=True):
    """The object to copy: only if its ETag (without quotes) is still this, and of that version."""

    bucket: str
    key: str
    etag: str | None
    version_id: str | None = None


class CopyOptions(Struct, frozen=True):
    """What is not as the source has it.

    ``attributes`` None keeps headers, metadata and tags; otherwise they are replaced by these.
    ``storage_class`` is always sent: a copy without one is STANDARD. ``encryption`` None leaves it
    to the bucket; ``acl`` is a canned ACL, ``grants`` one as x-amz-grant headers. ``checksum``
    asks S3 to compute one on the copy.
    """

    attributes: ObjectAttributes | None = None
    storage_class: str = "STANDARD"
    encryption: str | None = None
    kms_key: str | None = None
    acl: str | None = None
    grants: dict[str, str] = {}
    checksum: ChecksumAlgorithm | None = None


class CopyResult(Struct, frozen=True):
    """What S3 says it made. ``etag`` without quotes is empty where it does not tell (RGW does not
    of part copies); ``modified`` as it stands, empty likewise.
    """

    etag: str
    modified: str
    version_id: str | None
    checksums: tuple[Checksum, ...]


def source_headers(source: CopySource, sender: Sender) -> list[tuple[str, str]]:
    """What names and pins the source, for CopyObject and UploadPartCopy."""
    place = f"/{source.bucket}/{encode_key(source.key)}"
    if source.version_id is not None:
        place += f"?versionId={source.version_id}"
    headers = [("x-amz-copy-source", place)]
    if source.etag is not None:
        headers.append(("x-amz-copy-source-if-match", f'"{source.etag}"'))
    # Both buckets are of the one account that the connection is for.
    headers += [
        ("x-amz-source-expected-bucket-owner", value)
        for name, value in sender.common_headers
        if name == _OWNER
    ]
    return headers


def option_headers(options: CopyOptions, address: str) -> list[tuple[str, str]]:
    """What is sent again or anew. StoreError for an attribute that no header can carry."""
    headers: list[tuple[str, str]] = []
    if options.attributes is not None:
        bare = ObjectAttributes(
            headers=options.attributes.headers,
            metadata=options.attributes.metadata,
            tags=options.attributes.tags,
            website_redirect=options.attributes.website_redirect,
        )
        headers += heads.put_headers(bare, address)
    headers.append(("x-amz-storage-class", options.storage_class))
    if options.encryption is not None:
        headers.append(("x-amz-server-side-encryption", options.encryption))
    if options.kms_key is not None:
        headers.append(("x-amz-server-side-encryption-aws-kms-key-id", options.kms_key))
    if options.acl is not None:
        headers.append(("x-amz-acl", options.acl))
    headers += options.grants.items()
    if options.checksum is not None:
        headers.append(("x-amz-checksum-algorithm", options.checksum))
    return headers


async def copy_object(
    sender: Sender,
    bucket: str,
    key: str,
    source: CopySource,
    options: CopyOptions,
    *,
    if_none_match: bool,
    repeatable: bool,
    if_match: str | None = None,
) -> CopyResult:
    """CopyObject to ``key``. ``repeatable`` says that a lost answer may be asked for again.

    With ``if_none_match`` nothing is overwritten, with ``if_match`` only the object of that ETag
    (without quotes). `PreconditionFailedError`: the source is another, or the key holds something
    else, also by an earlier attempt of ours; `NoSuchKeyError`: the source is gone, or what was to
    be overwritten; `OutcomeUnknownError`: look.
    """
    subject = failures.Subject(bucket, key, "s3:PutObject")
    headers = source_headers(source, sender) + option_headers(options, subject.address)
    if options.attributes is not None:
        headers.append(("x-amz-metadata-directive", "REPLACE"))
        headers.append(("x-amz-tagging-directive", "REPLACE"))
    if if_none_match:
        headers.append(("if-none-match", "*"))
    if if_match is not None:
        headers.append(("if-match", f'"{if_match}"'))
    answer = await sender.send(
        Request(
            "PUT",
            bucket,
            key,
            "s3:PutObject",
            tuple(headers),
            body=b"",
            repeatable=repeatable,
            timed=True,
        )
    )
    return copy_result(answer.body, answer.headers.get("x-amz-version-id"), subject)


def copy_result(body: bytes, version_id: str | None, subject: failures.Subject) -> CopyResult:
    """A CopyObjectResult or CopyPartResult. OutcomeUnknownError where the answer is none: a server
    that does not know copies stores an empty object and says 200.
    """
    try:
        name, told = documents.read_flat(body)
    except documents.DocumentError as error:
        raise failures.unknown(f"the answer cannot be read: {error}", subject) from error
    if name not in ("CopyObjectResult", "CopyPartResult"):
        raise OutcomeUnknownError(
            "the endpoint answered, but not as to a copy",
            address=subject.address,
            expected="a CopyObjectResult",
            found=name,
            next_step="look at the object before anything else",
        )
    return CopyResult(
        etag=told.get("ETag", "").strip('"'),
        modified=told.get("LastModified", ""),
        version_id=version_id,
        checksums=told_checksums(told),
    )


def told_checksums(told: dict[str, str]) -> tuple[Checksum, ...]:
    """The checksums of the whole object that a result document tells."""
    if told.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        return ()
    return tuple(
        Checksum(algorithm, told[name])
        for name, algorithm in _TOLD
        if told.get(name) and "-" not in told[name]
    )
