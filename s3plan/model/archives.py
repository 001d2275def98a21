"""What an archive in S3 holds, as the index beside it says (``s3plan.index/1``, JSON Lines)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from s3plan.model.objects import Checksum, Count

INDEX_FORMAT = "s3plan.index/1"

Compression = Literal["none", "gzip", "zstd"]
"""How a tar is packed. Compressed ones are made of frames that can be unpacked one by one."""

Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 in hex."""


class IndexHeader(Struct, frozen=True, tag_field="type", tag="header", omit_defaults=True):
    """First line: which object this is the index of, and what is known of it.

    ``name`` is the top folder of the tar, ``size`` and ``etag`` are the object's, ``checksum`` is
    of its bytes. ``tar`` is the bytes of the tar, which is ``size`` unless it is compressed. What
    is compressed and has no frames was packed as one piece, by another program: it can be unpacked
    from its beginning only. ``content`` is the SHA-256 over the members' names, sizes and digests:
    equal for equal content. ``made`` is RFC 3339.
    """

    format: str
    bucket: str
    key: str
    name: str
    size: Count
    etag: str
    checksum: Checksum
    tar: Count
    content: Digest
    made: str
    compression: Compression = "none"
    storage_class: str = "STANDARD"
    version_id: str | None = None
    metadata: dict[str, str] = {}


class IndexFrame(Struct, frozen=True, tag_field="type", tag="frame"):
    """A piece of a compressed archive that unpacks by itself: ``raw`` bytes of the tar from
    ``tar_offset`` on, packed into ``size`` bytes of the object from ``offset`` on.
    """

    offset: Count
    size: Count
    tar_offset: Count
    raw: Count


class IndexMember(Struct, frozen=True, tag_field="type", tag="member", omit_defaults=True):
    """A file: where its content lies in the tar, its SHA-256, and when it was last changed
    (RFC 3339, milliseconds). ``keywords`` are those of its header that matter.
    """

    name: str
    offset: Count
    size: Count
    sha256: Digest
    modified: str = ""
    keywords: dict[str, str] = {}


class TarMember(Struct, frozen=True):
    """A file in a tar, whoever tells of it: ``sha256`` is None where nobody does."""

    name: str
    offset: Count
    size: Count
    sha256: str | None


class Unindexed(Struct, frozen=True):
    """Archives without an index that are looked into: those whose key ``keys`` matches, a regular
    expression. ``packed`` ones are read whole; ``most`` is how many bytes one may unpack to, None
    a hundred times its size.
    """

    keys: str
    packed: bool = False
    most: Count | None = None


class IndexEnd(Struct, frozen=True, tag_field="type", tag="end"):
    """Last line: how many members there are, and the SHA-256 of all lines before it."""

    members: Count
    digest: Digest


class Index(Struct, frozen=True):
    """A whole index. ``digest`` is that of its end."""

    header: IndexHeader
    members: tuple[IndexMember, ...]
    frames: tuple[IndexFrame, ...]
    digest: Digest
