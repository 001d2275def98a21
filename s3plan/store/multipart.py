"""One multipart upload, of copied or of sent parts: begun, filled, completed or abandoned.

Parts are copied with the source pinned in every request, so that an object that is written again
meanwhile never becomes half of each
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html). Parts that are sent carry
their MD5 and their checksum, so that S3 refuses what was changed on its way
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from msgspec import Struct

from s3plan.errors import NoSuchKeyError
from s3plan.model.objects import Checksum, ChecksumAlgorithm
from s3plan.store import documents, failures, heads, incomplete
from s3plan.store.copying import (
    CopyOptions,
    CopyResult,
    CopySource,
    copy_result,
    option_headers,
    source_headers,
    told_checksums,
)
from s3plan.store.incomplete import IncompleteUpload, StoredPart
from s3plan.store.sender import Request, Sender, Streaming
from s3plan.store.transfer import Source

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

    @property
    def signs_content(self) -> bool:
        """Whether a part's SHA-256 goes into its signature: without TLS it does."""
        return not self._sender.address(self._bucket).https

    async def send_part(
        self,
        number: int,
        body: Source,
        size: int,
        *,
        md5: bytes,
        checksum: Checksum,
        sha256: str | None,
    ) -> Part:
        """UploadPart of ``size`` bytes; ``md5`` is the 16-byte digest, ``sha256`` hex.

        ``sha256`` may be None where the content is not signed.
        """
        answer = await self._sender.send(
            Request(
                "PUT",
                self._bucket,
                self.key,
                "s3:PutObject",
                (
                    ("content-md5", base64.b64encode(md5).decode()),
                    (f"x-amz-checksum-{checksum.algorithm.lower()}", checksum.value),
                    ("x-amz-sdk-checksum-algorithm", checksum.algorithm),
                ),
                query=(("partNumber", str(number)), ("uploadId", self.id)),
                timed=True,
                sha256=sha256,
                has_md5=True,
            ),
            Streaming(source=body, size=size),
        )
        return Part(number, answer.headers.get("etag", "").strip('"'))

    async def stored(self) -> dict[int, StoredPart] | None:
        """The parts that are there, by number; None where the upload is gone."""
        upload = IncompleteUpload(key=self.key, upload_id=self.id, initiated="")
        try:
            found = incomplete.stored_parts(self._sender, self._bucket, upload)
            return {part.number: part async for part in found}
        except NoSuchKeyError:
            return None

    async def complete(
        self,
        parts: Sequence[Part],
        *,
        if_none_match: bool,
        checksum: Checksum | None = None,
        if_match: str | None = None,
    ) -> CopyResult:
        """CompleteMultipartUpload; sent once, so a lost answer is an `OutcomeUnknownError`.

        With ``if_none_match`` nothing is replaced, with ``if_match`` only the object of that ETag
        (without quotes): `PreconditionFailedError`. With ``checksum`` S3 compares it with that of
        the whole
        (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html).
        """
        headers: list[tuple[str, str]] = [("if-none-match", "*")] if if_none_match else []
        if if_match is not None:
            headers.append(("if-match", f'"{if_match}"'))
        if checksum is not None:
            headers.append((f"x-amz-checksum-{checksum.algorithm.lower()}", checksum.value))
            headers.append(("x-amz-checksum-type", "FULL_OBJECT"))
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
                tuple(headers),
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
            checksums=heads.checksums(answer.headers) or told_checksums(told),
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
