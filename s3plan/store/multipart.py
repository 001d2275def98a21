"""One multipart upload that is made of copied parts: begun, filled, completed or abandoned.

Parts are copied with the source pinned in every request, so that an object that is written again
meanwhile never becomes half of each
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from s3plan.model.objects import ChecksumAlgorithm
from s3plan.store import documents, failures, heads, incomplete
from s3plan.store.copying import (
    CopyOptions,
    CopyResult,
    CopySource,
    copy_result,
    option_headers,
    source_headers,
)
from s3plan.store.incomplete import IncompleteUpload
from s3plan.store.sender import Request, Sender

MOST_PARTS = 10_000
"""Parts of one upload (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)."""

_MEBIBYTE = 1024 * 1024


class Part(Struct, frozen=True):
    """A part that was stored: its number from 1, and its ETag without quotes."""

    number: int
    etag: str


class Upload:
    """An upload that was begun. What it is to become exists only once it is completed."""

    def __init__(self, sender: Sender, bucket: str, key: str, identity: str) -> None:
        """Sends nothing."""
        self.id = identity
        self.key = key
        self._sender = sender
        self._bucket = bucket
        self._subject = failures.Subject(bucket, key, "s3:PutObject")

    async def copy_part(self, number: int, source: CopySource, first: int, last: int) -> Part:
        """UploadPartCopy of bytes ``first`` to ``last`` (inclusive).

        `PreconditionFailedError` where the source is another one by now.
        """
        answer = await self._sender.send(
            Request(
                "PUT",
                self._bucket,
                self.key,
                "s3:PutObject",
                (
                    *source_headers(source, self._sender),
                    ("x-amz-copy-source-range", f"bytes={first}-{last}"),
                ),
                query=(("partNumber", str(number)), ("uploadId", self.id)),
                body=b"",
                timed=True,
            )
        )
        return Part(number, copy_result(answer.body, None, self._subject).etag)

    async def complete(self, parts: Sequence[Part], *, if_none_match: bool) -> CopyResult:
        """CompleteMultipartUpload; sent once, so a lost answer is an `OutcomeUnknownError`."""
        entries = "".join(
            f"<Part><PartNumber>{part.number}</PartNumber>"
            f"<ETag>{documents.escape(chr(34) + part.etag + chr(34))}</ETag></Part>"
            for part in parts
        )
        answer = await self._sender.send(
            Request(
                "POST",
                self._bucket,
                self.key,
                "s3:PutObject",
                (("if-none-match", "*"),) if if_none_match else (),
                query=(("uploadId", self.id),),
                body=f"<CompleteMultipartUpload>{entries}</CompleteMultipartUpload>".encode(),
                repeatable=False,
                timed=True,
            )
        )
        told = _told(answer.body, self._subject)
        return CopyResult(
            etag=told.get("ETag", "").strip('"'),
            modified="",
            version_id=answer.headers.get("x-amz-version-id"),
            checksums=heads.checksums(answer.headers),
        )

    async def abort(self) -> None:
        """AbortMultipartUpload, until it is gone; one that is gone already is fine."""
        upload = IncompleteUpload(key=self.key, upload_id=self.id, initiated="")
        await incomplete.abort(self._sender, self._bucket, upload)


async def begin_upload(
    sender: Sender,
    bucket: str,
    key: str,
    options: CopyOptions,
    checksum: ChecksumAlgorithm | None = None,
) -> Upload:
    """CreateMultipartUpload with everything that the object is to have.

    With ``checksum`` S3 is asked for that one of the whole object. Asked twice it begins two, of
    which the empty one costs nothing.
    """
    subject = failures.Subject(bucket, key, "s3:PutObject")
    headers = option_headers(options, subject.address)
    if checksum is not None:
        headers.append(("x-amz-checksum-algorithm", checksum))
        headers.append(("x-amz-checksum-type", "FULL_OBJECT"))
    answer = await sender.send(
        Request(
            "POST",
            bucket,
            key,
            "s3:PutObject",
            tuple(headers),
            query=(("uploads", ""),),
            body=b"",
        )
    )
    return Upload(sender, bucket, key, _told(answer.body, subject)["UploadId"])


def part_size(size: int, wanted: int = 256 * _MEBIBYTE) -> int:
    """Bytes of each part but the last: ``wanted``, or as many as keep to 10,000 parts.

    >>> part_size(6 * 1024**3) // 1024**2
    256
    >>> part_size(48 * 1024**4) // 1024**2
    5034
    """
    least = -(-size // MOST_PARTS)
    return max(wanted, -(-least // _MEBIBYTE) * _MEBIBYTE)


def _told(body: bytes, subject: failures.Subject) -> dict[str, str]:
    try:
        return documents.fields(documents.parse(body))
    except documents.DocumentError as error:
        raise failures.unknown(f"the answer cannot be read: {error}", subject) from error
