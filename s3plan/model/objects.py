"""What is known about an object: its listing entry, its attributes, its checksums."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""A count or a size in bytes, as far as tables hold it. Checked where a file is read."""

ChecksumAlgorithm = Literal["CRC64NVME", "CRC32C", "CRC32", "SHA256", "SHA1", "MD5"]
"""Algorithms s3plan computes. MD5 is only the ETag of a plain or SSE-S3 single-part object."""

Verdict = Literal["verified", "mismatched", "unverifiable"]
"""The outcome of comparing content; only ``verified`` passes a delete gate."""


Rung = Literal["full-object", "composite", "etag", "parts-etag", "second-read", "size"]
"""What a verdict on content rests on, from the strongest to nothing at all.

``full-object``: a checksum of the whole that S3 stores; ``composite``: one that it made of the
checksums of the object's parts; ``etag``: an ETag that is the content's MD5; ``parts-etag``: one
that is made of the MD5s of the parts; ``second-read``: the object was read twice, with the same
digest; ``size``: only the number of bytes agrees.
"""

Parts = Annotated[str, Meta(pattern=r"^(\d{1,15}(\*\d{1,5})?(\+\d{1,15}(\*\d{1,5})?){0,9999})?$")]
"""Sizes of parts as :mod:`s3plan.rules.parts` writes them."""


Kind = tuple[ChecksumAlgorithm, Parts]
"""How a digest is made: its algorithm, and the sizes of the parts of a composite one."""


class Checksum(Struct, frozen=True, omit_defaults=True):
    """A digest of content. ``value`` is base64 as S3 spells it; hex for MD5 (an ETag).

    Without ``parts`` it is of the whole. With them it is composite: the digest of the digests of
    parts of these sizes, and ``value`` ends in ``-`` and their number.
    """

    algorithm: ChecksumAlgorithm
    value: str
    parts: Parts = ""

    @property
    def kind(self) -> Kind:
        """What has to be computed of content that is to be compared with it."""
        return self.algorithm, self.parts


EMPTY = Checksum("MD5", "d41d8cd98f00b204e9800998ecf8427e")
"""Of content that has no bytes."""


class ListedObject(Struct, frozen=True, gc=False):
    """One entry of a listing, as ListObjectsV2 gives it.

    ``etag`` is without quotes. ``modified`` is RFC 3339 in UTC with milliseconds
    (``2026-11-20T04:23:11.000Z``), so that text order is time order. A class that S3 does not
    name is STANDARD. ``checksum`` is ``ALGORITHM/TYPE`` (``CRC64NVME/FULL_OBJECT``) where told.
    """

    key: str
    size: int
    etag: str
    modified: str
    storage_class: str = "STANDARD"
    checksum: str | None = None


class ObjectAttributes(Struct, frozen=True, omit_defaults=True):
    """What a PUT must send so that the object is as it was, besides its bytes.

    ``headers`` holds Content-Type, Cache-Control, Content-Disposition, Content-Encoding,
    Content-Language and Expires by lower-case name; ``metadata`` holds user metadata by name
    without ``x-amz-meta-``. ``grants`` are an ACL as x-amz-grant headers, empty where only the
    owner has rights. ``lock_until`` is RFC 3339.
    """

    headers: dict[str, str] = {}
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    storage_class: str = "STANDARD"
    encryption: str | None = None
    kms_key: str | None = None
    website_redirect: str | None = None
    bucket_key: bool = False
    grants: dict[str, str] = {}
    lock_mode: str | None = None
    lock_until: str | None = None
    legal_hold: str | None = None


class ObjectHead(Struct, frozen=True):
    """The answer headers of HEAD or GET.

    ``modified`` has whole seconds (HTTP dates have no more). ``checksums`` holds only full-object
    values that s3plan can compute, ``composites`` those made of parts, whose sizes are not known
    from here. ``tag_count`` is None where the answer did not tell, which is
    not the same as none. ``missing_metadata`` is x-amz-missing-meta: entries S3 could not send.
    """

    key: str
    size: int
    etag: str
    modified: str
    attributes: ObjectAttributes
    checksums: tuple[Checksum, ...] = ()
    tag_count: int | None = None
    missing_metadata: int = 0
    version_id: str | None = None
    restore: str | None = None
    archive_status: str | None = None
    part_count: int | None = None
    composites: tuple[Checksum, ...] = ()
    lock_mode: str | None = None
    retain_until: str | None = None
    legal_hold: bool = False
