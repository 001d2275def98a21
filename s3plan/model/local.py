"""What is known about a local file, and about an evacuated object in the catalogue."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from s3plan.model.buckets import Document, DocumentName
from s3plan.model.objects import Checksum, Count, ObjectAttributes, Rung, Verdict

CATALOGUE_FORMAT = "s3plan.catalogue/1"


class FileStat(Struct, frozen=True, gc=False):
    """What tells whether a file is still the one we left: any difference means read it again."""

    device: int
    inode: int
    size: Count
    mtime_ns: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


NO_FILE = FileStat(0, 0, 0, 0)
"""Of what has nothing on disk."""


class LocalFile(Struct, frozen=True, gc=False):
    """One file of a tree; ``path`` is relative to the root and uses ``/``.

    A ``path`` ending in ``/`` is a directory that holds no file.
    """

    path: str
    stat: FileStat


class Space(Struct, frozen=True):
    """Free bytes and inodes for an ordinary user; ``inodes`` is None where there is no limit.

    ``block`` is what the filesystem counts bytes in: a file of one byte takes as many.
    """

    bytes: int
    inodes: int | None
    block: int = 4096


class CatalogueHeader(Struct, frozen=True, tag_field="type", tag="header"):
    """First line of a catalogue: which bucket of which S3 the rows are of."""

    format: str
    endpoint: str
    region: str
    account: str | None
    bucket: str
    created: str


class CatalogueRow(Struct, frozen=True, tag_field="type", tag="object", omit_defaults=True):
    """An object that is on disk: enough to verify it offline and to put it back.

    The last row of a key counts. ``evidence`` is the digest of the local bytes; ``verdict`` says
    how it compared with what S3 stored, ``rung`` what it rests on (rows of before 2026-11-20 do
    not tell: :func:`s3plan.rules.integrity.rung_of` does). ``tags_known`` is False where the tags
    could not be read or counted. ``run`` is the id of the run that wrote the file; with ``adopted``
    the file was there before, with equal content, and no run may remove it.
    """

    key: str
    path: str
    size: Count
    etag: str
    modified: str
    evidence: Checksum
    verdict: Verdict
    file: FileStat
    run: str
    attributes: ObjectAttributes
    adopted: bool = False
    tags_known: bool = False
    checksums: tuple[Checksum, ...] = ()
    missing_metadata: int = 0
    version_id: str | None = None
    rung: Rung | None = None


class CatalogueVersion(Struct, frozen=True, tag_field="type", tag="version", omit_defaults=True):
    """A noncurrent version that is on disk: ``object`` is its row, which names its id.

    The last row of a version counts, and none of them is a word on the key's object. ``newer``
    counts the entries (versions and delete markers) of the key that were newer when it was planned
    for, so that all of them can be put back in their order.
    """

    object: CatalogueRow
    newer: Count


class CatalogueMarker(Struct, frozen=True, tag_field="type", tag="marker"):
    """A delete marker, of which there is nothing to keep but where it stood; ``newer`` as above."""

    key: str
    version_id: str
    newer: Count
    modified: str
    run: str


class CatalogueTags(Struct, frozen=True, tag_field="type", tag="tags", omit_defaults=True):
    """The tags of ``key``, asked for by themselves; they complete the row before.

    With ``version_id`` they complete that version's row.
    """

    key: str
    tags: dict[str, str]
    run: str
    version_id: str | None = None


class CatalogueVerdict(Struct, frozen=True, tag_field="type", tag="verdict", omit_defaults=True):
    """What was found of ``key`` later, without writing its file again; it completes the row before.

    ``digest`` is the value of the row's evidence, which this verdict is about.
    With ``version_id`` it is that of a noncurrent version.
    """

    key: str
    digest: str
    verdict: Verdict
    rung: Rung
    run: str
    version_id: str | None = None


class CatalogueGrants(Struct, frozen=True, tag_field="type", tag="grants", omit_defaults=True):
    """The ACL of ``key`` as x-amz-grant headers, asked for by itself; it completes the row before.

    Written only where it gives anybody but the owner a right. With ``version_id`` it is that of a
    noncurrent version.
    """

    key: str
    grants: dict[str, str]
    run: str
    version_id: str | None = None


class CatalogueRemoved(Struct, frozen=True, tag_field="type", tag="removed", omit_defaults=True):
    """The local copy of ``key`` was removed (by a rollback) or set aside; earlier rows are void.

    With ``version_id`` only those of that noncurrent version or delete marker are.
    """

    key: str
    run: str
    version_id: str | None = None


class CatalogueBucket(Struct, frozen=True, tag_field="type", tag="bucket"):
    """The bucket itself came to ``state``: ``deleted`` from S3, or ``restored`` by a rollback."""

    state: str
    run: str
    time: str


class CatalogueConfiguration(Struct, frozen=True, tag_field="type", tag="configuration"):
    """The bucket's own configuration before its deletion, to make the bucket again as it was.

    ``documents`` are as S3 told them, without what the run itself changed; ``absent`` names those
    that there were none of, ``unreadable`` those that nobody could save. The last record counts.
    """

    region: str
    documents: dict[DocumentName, Document]
    absent: tuple[DocumentName, ...]
    unreadable: tuple[DocumentName, ...]
    run: str
    time: str


CatalogueRecord = (
    CatalogueHeader
    | CatalogueRow
    | CatalogueVersion
    | CatalogueMarker
    | CatalogueTags
    | CatalogueVerdict
    | CatalogueGrants
    | CatalogueRemoved
    | CatalogueBucket
    | CatalogueConfiguration
)
