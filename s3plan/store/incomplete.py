"""Multipart uploads that somebody began and nobody finished: listed, looked at, aborted.

Their parts are stored and billed until then, and no listing of objects shows them
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import unquote_plus

from msgspec import Struct

from s3plan.errors import EndpointError, NoSuchKeyError
from s3plan.store import documents
from s3plan.store.listing import bad_listing, boolean, milliseconds
from s3plan.store.sender import Request, Sender

_PAGE = "1000"
_ABORTS = 5


class IncompleteUpload(Struct, frozen=True):
    """``initiated`` is RFC 3339 in UTC with milliseconds."""

    key: str
    upload_id: str
    initiated: str


class StoredPart(Struct, frozen=True):
    """A part that was stored: number from 1, bytes, ETag without quotes, RFC 3339 time."""

    number: int
    size: int
    etag: str
    modified: str


class Activity(Struct, frozen=True):
    """What an upload holds: parts, their bytes, and when the last one came (or it was begun)."""

    parts: int
    bytes: int
    latest: str


async def uploads(sender: Sender, bucket: str) -> AsyncIterator[IncompleteUpload]:
    """ListMultipartUploads, all pages. Raises `ListingError` for a page that cannot be read."""
    position: tuple[tuple[str, str], ...] = ()
    seen: set[tuple[tuple[str, str], ...]] = set()
    while True:
        answer = await sender.send(
            Request(
                "GET",
                bucket,
                None,
                "s3:ListBucketMultipartUploads",
                query=(
                    ("uploads", ""),
                    ("encoding-type", "url"),
                    ("max-uploads", _PAGE),
                    *position,
                ),
            )
        )
        try:
            found, marker = _parse_uploads(answer.body)
        except (documents.DocumentError, ValueError, KeyError, UnicodeError) as error:
            raise bad_listing(bucket, f"a page of uploads cannot be read: {error!r}") from error
        for upload in found:
            yield upload
        if marker is None:
            return
        position = marker
        if position in seen:
            raise bad_listing(bucket, "a marker of the uploads repeats")
        seen.add(position)


def _parse_uploads(
    document: bytes,
) -> tuple[list[IncompleteUpload], tuple[tuple[str, str], ...] | None]:
    root = documents.parse(document)
    if documents.local_name(root.tag) != "ListMultipartUploadsResult":
        raise ValueError(f"its root is {root.tag!r}")
    facts = documents.fields(root)
    encoded = facts.get("EncodingType") == "url"
    found = []
    for element in root:
        if documents.local_name(element.tag) == "Upload":
            told = documents.fields(element)
            key = told["Key"]
            found.append(
                IncompleteUpload(
                    unquote_plus(key, errors="strict") if encoded else key,
                    told["UploadId"],
                    milliseconds(told["Initiated"]),
                )
            )
    if not boolean(root, facts):
        return found, None
    if not found:
        raise ValueError("it is truncated and empty")
    # The last upload is where the next page begins, however an endpoint spells its markers.
    last = found[-1]
    return found, (("key-marker", last.key), ("upload-id-marker", last.upload_id))


async def activity(sender: Sender, bucket: str, upload: IncompleteUpload) -> Activity | None:
    """What an upload holds: one that was begun long ago may still grow. None where it is gone."""
    try:
        parts = [part async for part in stored_parts(sender, bucket, upload)]
    except NoSuchKeyError:
        return None
    latest = max([upload.initiated, *[part.modified for part in parts]])
    return Activity(len(parts), sum(part.size for part in parts), latest)


async def stored_parts(
    sender: Sender, bucket: str, upload: IncompleteUpload
) -> AsyncIterator[StoredPart]:
    """ListParts, all pages. NoSuchKeyError where the upload is gone."""
    position: tuple[tuple[str, str], ...] = ()
    while True:
        answer = await sender.send(
            Request(
                "GET",
                bucket,
                upload.key,
                "s3:ListMultipartUploadParts",
                query=(("uploadId", upload.upload_id), ("max-parts", _PAGE), *position),
            )
        )
        try:
            root = documents.parse(answer.body)
            facts = documents.fields(root)
            told = [documents.fields(e) for e in root if documents.local_name(e.tag) == "Part"]
            parts = [
                StoredPart(
                    int(part["PartNumber"]),
                    int(part["Size"]),
                    part.get("ETag", "").strip('"'),
                    milliseconds(part["LastModified"]),
                )
                for part in told
            ]
            more = boolean(root, facts)
        except (documents.DocumentError, ValueError, KeyError) as error:
            raise bad_listing(
                bucket, f"the parts of an upload cannot be read: {error!r}"
            ) from error
        for part in parts:
            yield part
        if not more:
            return
        number = max((part.number for part in parts), default=0)
        if position == (("part-number-marker", str(number)),):
            raise bad_listing(bucket, "the parts of an upload repeat", upload.key)
        position = (("part-number-marker", str(number)),)


async def abort(sender: Sender, bucket: str, upload: IncompleteUpload) -> None:
    """AbortMultipartUpload, until the upload is gone.

    A part that is on its way meanwhile may stay, so that it may take several
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html).
    """
    for _ in range(_ABORTS):
        try:
            await sender.send(
                Request(
                    "DELETE",
                    bucket,
                    upload.key,
                    "s3:AbortMultipartUpload",
                    query=(("uploadId", upload.upload_id),),
                )
            )
        except NoSuchKeyError:
            return
        if await activity(sender, bucket, upload) is None:
            return
    raise EndpointError(
        "a multipart upload is still there after it was aborted",
        address=f"s3://{bucket}/{upload.key}",
        expected="no parts",
        found=f"parts, after {_ABORTS} requests",
        next_step="wait until nobody uploads to it, then run the same command again",
    )
