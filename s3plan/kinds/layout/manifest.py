"""``kind: ObjectLayout`` as people write it: which objects, and what each of them shall be."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from msgspec import structs
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from s3plan.kinds.fields import (
    CONTRADICTION,
    Fields,
    Frame,
    InventoryFields,
    Moment,
    ObjectFields,
    Size,
    Text,
)
from s3plan.kinds.quantities import parse_moment
from s3plan.model.layout import LARGEST_PUT, Compression, Recipe
from s3plan.model.steps import Select
from s3plan.rules.recipes import LAYOUT_VERSION, SMALLEST_PART

LARGEST_PART = 5 * 1024**3
MOST_METADATA = 2048
"""Bytes of user metadata (https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html).
"""

ChecksumName = Literal["CRC64NVME", "CRC32C", "CRC32", "SHA256", "SHA1"]
Encryption = Literal["AES256", "aws:kms"]
MetadataName = Annotated[str, Field(pattern=r"^[a-z0-9!#$%&'*+.^_`|~-]+$", max_length=128)]
MetadataValue = Annotated[str, Field(pattern=r"^[\x20-\x7e]*$", max_length=MOST_METADATA)]


Recipient = Annotated[str, Field(pattern=r"^age1[02-9ac-hj-np-z]{58}$")]


class BelowFields(Fields):
    """Versions that are too old."""

    below: int = Field(ge=1, le=999_999_999, description="Versions smaller than this.")


class WhereFields(Fields):
    """What an object is today; every condition that is given must hold."""

    layout_version: BelowFields | None = Field(
        None,
        description="User metadata layout-version, or the tag of that name; absent it counts as 0.",
    )
    storage_class: Text | None = Field(None, description="Its storage class.")
    encryption: Literal["none"] | Encryption | None = Field(None, description="Its encryption.")
    checksum_algorithm: Literal["none"] | ChecksumName | None = Field(
        None, description="A checksum that S3 keeps of it."
    )
    part_size: Size | None = Field(None, description="The size of its first part, of several.")
    older_than: Moment | None = Field(
        None,
        description="Modified before: a date, a time, or a duration back from the start of the "
        "current day (30d, 4w), hour (12h) or minute (90m), UTC.",
    )
    newer_than: Moment | None = Field(None, description="Modified after; as olderThan.")
    min_size: Size | None = Field(None, description="At least so many bytes.")
    max_size: Size | None = Field(None, description="At most so many bytes.")


class SelectFields(ObjectFields):
    """Which objects."""

    key: Text | Annotated[tuple[Text, ...], Field(min_length=1)] | None = Field(
        None, description="Exactly this key, or these; needs a bucket by its name."
    )
    where: WhereFields = Field(
        default_factory=WhereFields, description="What the objects are today."
    )

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are named, as often as they are; none where they are not."""
        if self.key is None:
            return ()
        return (self.key,) if isinstance(self.key, str) else self.key


class ClientEncryptionFields(Fields):
    """Encryption to recipients, in the format of age (https://age-encryption.org/v1)."""

    recipients: tuple[Recipient, ...] = Field(
        min_length=1, description="Public keys, each of which opens it alone."
    )


class TargetFields(Fields):
    """What each object shall be. What is not said it keeps."""

    layout_version: int | None = Field(
        None,
        ge=1,
        le=999_999_999,
        description="Written as user metadata layout-version. Objects of a later version stay.",
    )
    storage_class: Text | None = Field(None, description="A storage class.")
    encryption: Encryption | None = Field(None, description="Encryption by S3.")
    kms_key: Text | None = Field(None, description="The key for aws:kms.")
    checksum_algorithm: ChecksumName | None = Field(
        None,
        description="The checksum that S3 keeps; SHA256 and SHA1 of objects in one piece only.",
    )
    part_size: Literal["keep"] | Annotated[Size, Field(ge=SMALLEST_PART, le=LARGEST_PART)] = Field(
        "keep", description="keep: the parts that it has; else the size of all but the last."
    )
    codec: Compression | None = Field(
        None,
        description="How the content is compressed; gzip and zstd are told to clients as"
        " Content-Encoding, unless it is encrypted as well.",
    )
    client_encryption: Literal["none"] | ClientEncryptionFields | None = Field(
        None, description="Encryption before it is sent, which S3 cannot undo."
    )
    identity_file: Text | None = Field(
        None,
        pattern=r"^[^\x00]*$",
        description="A file with a private key that opens what is encrypted, before and after: it"
        " is decrypted again before it takes its place. Relative to this manifest.",
    )
    content_type: Text | None = Field(None, description="The content type.")
    metadata: dict[MetadataName, MetadataValue] = Field(
        default_factory=dict, description="User metadata that is added, or replaced."
    )

    @model_validator(mode="after")
    def _checked(self) -> TargetFields:
        if self.kms_key is not None and self.encryption != "aws:kms":
            raise PydanticCustomError(CONTRADICTION, "kmsKey only with encryption: aws:kms")
        if LAYOUT_VERSION in self.metadata:
            raise PydanticCustomError(CONTRADICTION, "layoutVersion, not metadata layout-version")
        if (self.client_encryption is None) != (self.identity_file is None):
            raise PydanticCustomError(
                CONTRADICTION, "clientEncryption and identityFile go together"
            )
        sha = (self.checksum_algorithm or "").startswith("SHA")
        if sha and (self.codec or self.client_encryption):
            raise PydanticCustomError(
                CONTRADICTION, "SHA checksums are not kept of what may be sent in parts"
            )
        if self.recipe(Path()) == Recipe():
            raise PydanticCustomError(CONTRADICTION, "a target that says something")
        return self

    def recipe(self, directory: Path) -> Recipe:
        """The value; a relative file starts at ``directory``, the manifest's."""
        sealed = self.client_encryption
        opened = sealed if isinstance(sealed, ClientEncryptionFields) else None
        return Recipe(
            layout_version=self.layout_version,
            storage_class=self.storage_class,
            encryption=self.encryption,
            kms_key=self.kms_key,
            checksum=self.checksum_algorithm,
            part_size=None if self.part_size == "keep" else self.part_size,
            content_type=self.content_type,
            metadata=dict(self.metadata),
            codec=self.codec,
            recipients=opened.recipients if opened else (() if sealed == "none" else None),
            identity=os.path.normpath(directory.absolute() / self.identity_file)
            if self.identity_file
            else None,
        )


class StagingFields(Fields):
    """Where new forms are built, and old ones kept."""

    prefix: str = Field(
        "",
        pattern=r"^([^/].*/)?$",
        description="Put before .s3plan/layout/, with a slash at its end.",
    )


class CutoverFields(Fields):
    """How new forms take their places."""

    window: Literal["refuse", "accept"] = Field(
        "refuse",
        description="refuse: only by a conditional write that was seen to hold between two"
        " writers; accept: else by a look right before and after, and what is written between is"
        " lost.",
    )
    largest_put: Size = Field(
        LARGEST_PUT,
        description="Bytes up to which a form is sent again by PUT, where that is what holds.",
    )


class LayoutSpec(Fields):
    """Which objects, and what each of them shall be."""

    select: SelectFields = Field(description="Which objects.")
    target: TargetFields = Field(description="What each shall be.")
    staging: StagingFields = Field(
        default_factory=StagingFields, description="Where new forms are built beside the old ones."
    )
    cutover: CutoverFields = Field(
        default_factory=CutoverFields, description="How new forms take their places."
    )
    inventory: InventoryFields | None = Field(
        None, description="S3 Inventory reports to plan from, where listing takes too long."
    )
    connection: Text | None = Field(
        None, description="The name of a Connection; without it, the only one or 'default'."
    )


class LayoutDocument(Frame):
    """Objects in a new storage layout: staged beside the old form, verified, swapped."""

    kind: Literal["ObjectLayout"] = Field(description="This kind.")
    spec: LayoutSpec = Field(description="What shall be true.")


def selection(spec: LayoutSpec, now: datetime, *, of_worklist: bool) -> Select:
    """What a listing tells at ``now`` of which objects are meant."""
    where = spec.select.where
    return structs.replace(
        listed(spec, of_worklist=of_worklist),
        older_than=parse_moment(where.older_than, now) if where.older_than else None,
        newer_than=parse_moment(where.newer_than, now) if where.newer_than else None,
    )


def listed(spec: LayoutSpec, *, of_worklist: bool) -> Select:
    """What a listing tells at any time of which objects are meant; keys that are named are not in
    it. With ``of_worklist`` only those of a worklist.
    """
    where = spec.select.where
    return Select(
        prefix=spec.select.prefix,
        min_size=where.min_size,
        max_size=where.max_size,
        items=of_worklist,
    )
