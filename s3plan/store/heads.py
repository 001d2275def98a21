"""Answer headers of HEAD, GET and PUT as values, and attributes as request headers.

Header values are bytes; here one character is one byte (Latin-1), so that whatever an object
carries goes back exactly as it came: RFC 2047 forms are not decoded, UTF-8 is not guessed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import get_args
from urllib.parse import quote

from s3plan.errors import EndpointError, StoreError
from s3plan.model.objects import Checksum, ChecksumAlgorithm, ObjectAttributes, ObjectHead
from s3plan.rules.parts import count_of_parts

_CONTENT_HEADERS = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
)
_CHECKSUM_HEADERS: tuple[tuple[str, ChecksumAlgorithm], ...] = tuple(
    (f"x-amz-checksum-{name.lower()}", name)
    for name in get_args(ChecksumAlgorithm)
    if name != "MD5"
)
_MONTHS = {
    name: f"{number:02}"
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
_METADATA = "x-amz-meta-"
_BUCKET_KEY = "x-amz-server-side-encryption-bucket-key-enabled"
_LOCK = "x-amz-object-lock-"
_NOT_IN_A_HEADER = re.compile("[\r\n\x00]|[^\x00-\xff]")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


def object_head(key: str, headers: dict[str, str]) -> ObjectHead:
    """What the headers say about ``key``. Raises `EndpointError` where size or date is missing."""
    length = headers.get("content-length", "")
    if not length.isdigit():
        raise EndpointError(
            "the endpoint does not tell the object's size",
            address=key,
            expected="a content-length header",
            found=length or "none",
            next_step="this endpoint cannot be used; report it to its maker",
        )
    tag_count = headers.get("x-amz-tagging-count", "")
    missing = headers.get("x-amz-missing-meta", "")
    parts = headers.get("x-amz-mp-parts-count", "")
    customer = headers.get("x-amz-server-side-encryption-customer-algorithm")
    return ObjectHead(
        key=key,
        size=int(length),
        etag=headers.get("etag", "").strip('"'),
        modified=rfc3339(headers.get("last-modified", "")),
        attributes=ObjectAttributes(
            headers={name: headers[name] for name in _CONTENT_HEADERS if name in headers},
            metadata={
                name[len(_METADATA) :]: value
                for name, value in headers.items()
                if name.startswith(_METADATA)
            },
            storage_class=headers.get("x-amz-storage-class") or "STANDARD",
            encryption="SSE-C" if customer else headers.get("x-amz-server-side-encryption"),
            kms_key=headers.get("x-amz-server-side-encryption-aws-kms-key-id"),
            website_redirect=headers.get("x-amz-website-redirect-location"),
            bucket_key=headers.get(_BUCKET_KEY) == "true",
            lock_mode=headers.get(f"{_LOCK}mode"),
            lock_until=headers.get(f"{_LOCK}retain-until-date"),
            legal_hold=headers.get(f"{_LOCK}legal-hold"),
        ),
        checksums=checksums(headers),
        tag_count=int(tag_count) if tag_count.isdigit() else None,
        missing_metadata=int(missing) if missing.isdigit() else 0,
        version_id=headers.get("x-amz-version-id"),
        restore=headers.get("x-amz-restore"),
        archive_status=headers.get("x-amz-archive-status"),
        part_count=int(parts) if parts.isdigit() else None,
        composites=_composites(headers),
        lock_mode=headers.get("x-amz-object-lock-mode"),
        retain_until=headers.get("x-amz-object-lock-retain-until-date"),
        legal_hold=headers.get("x-amz-object-lock-legal-hold", "").upper() == "ON",
    )


def checksums(headers: dict[str, str]) -> tuple[Checksum, ...]:
    """Full-object checksums only: composite ones (``-N``) say nothing about the whole.

    An endpoint that does not tell the type of a multipart object's checksum may mean either, so
    it counts for neither; but CRC64NVME is always of the whole ("Checking object integrity in
    Amazon S3", user guide).
    """
    kind = headers.get("x-amz-checksum-type")
    parts = count_of_parts(headers.get("etag", "").strip('"'))
    return tuple(
        Checksum(algorithm, headers[name])
        for name, algorithm in _CHECKSUM_HEADERS
        if name in headers
        and "-" not in headers[name]
        and (
            kind == "FULL_OBJECT" or (kind is None and (parts is None or algorithm == "CRC64NVME"))
        )
    )


def _composites(headers: dict[str, str]) -> tuple[Checksum, ...]:
    """Checksums of parts' checksums, as the endpoint spells them: with or without ``-N``."""
    told = headers.get("x-amz-checksum-type") == "COMPOSITE"
    return tuple(
        Checksum(algorithm, headers[name])
        for name, algorithm in _CHECKSUM_HEADERS
        if name in headers and (told or "-" in headers[name])
    )


def put_headers(
    attributes: ObjectAttributes, address: str, *, now: datetime | None = None
) -> list[tuple[str, str]]:
    """The request headers that make a new object have these attributes.

    Without ``now`` it is not locked: a copy is another object, whatever holds its source. Raises
    `StoreError` for what no header can carry: line breaks, characters beyond one byte.
    """
    headers = list(attributes.headers.items())
    headers += [(_METADATA + name.lower(), value) for name, value in attributes.metadata.items()]
    if attributes.tags:
        pairs = (f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in attributes.tags.items())
        headers.append(("x-amz-tagging", "&".join(pairs)))
    if attributes.storage_class != "STANDARD":
        headers.append(("x-amz-storage-class", attributes.storage_class))
    if attributes.encryption is not None:
        headers.append(("x-amz-server-side-encryption", attributes.encryption))
    if attributes.kms_key is not None:
        headers.append(("x-amz-server-side-encryption-aws-kms-key-id", attributes.kms_key))
    if attributes.website_redirect is not None:
        headers.append(("x-amz-website-redirect-location", attributes.website_redirect))
    if attributes.bucket_key:
        headers.append((_BUCKET_KEY, "true"))
    headers += attributes.grants.items()
    if now is not None:
        headers += _lock_headers(attributes, now)
    for name, value in headers:
        if not _HEADER_NAME.match(name) or _NOT_IN_A_HEADER.search(value):
            raise StoreError(
                "an attribute cannot be sent as an HTTP header",
                address=address,
                expected="header names of RFC 9110, values of single bytes without line breaks",
                found=ascii(name),
                next_step="correct or drop this attribute",
            )
    return headers


def _lock_headers(attributes: ObjectAttributes, now: datetime) -> list[tuple[str, str]]:
    """Retention that is still to come, and a legal hold; S3 refuses a date that is past."""
    headers: list[tuple[str, str]] = []
    if attributes.lock_mode and attributes.lock_until:
        until = datetime.fromisoformat(attributes.lock_until)
        if until > now:
            headers.append((f"{_LOCK}mode", attributes.lock_mode))
            headers.append((f"{_LOCK}retain-until-date", attributes.lock_until))
    if attributes.legal_hold == "ON":
        headers.append((f"{_LOCK}legal-hold", "ON"))
    return headers


def rfc3339(date: str) -> str:
    """An HTTP date (RFC 9110, 5.6.7) as ``2026-11-20T04:23:11.000Z``."""
    month = _MONTHS.get(date[8:11])
    if len(date) == 29 and month is not None and date.endswith(" GMT"):
        return f"{date[12:16]}-{month}-{date[5:7]}T{date[17:25]}.000Z"
    try:
        moment = parsedate_to_datetime(date).astimezone(UTC)
    except (ValueError, TypeError) as error:
        raise EndpointError(
            "the endpoint does not tell when the object was last modified",
            expected="an HTTP date in last-modified",
            found=date or "none",
            next_step="this endpoint cannot be used; report it to its maker",
        ) from error
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
