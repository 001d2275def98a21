"""``kind: BucketEvacuation`` as people write it: buckets that shall live on a disk of yours."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from s3plan.errors import ManifestError
from s3plan.kinds.fields import (
    BucketFields,
    Fields,
    Frame,
    InventoryFields,
    Moment,
    RestoreFields,
    Size,
    Text,
)
from s3plan.kinds.quantities import parse_moment
from s3plan.model import steps as model
from s3plan.rules.layout import DEFAULT_LAYOUT, check_layout
from s3plan.rules.systemfiles import SYSTEM_FILES


def _layout_checked(text: str) -> str:
    try:
        check_layout(text)
    except ManifestError as error:
        raise PydanticCustomError(
            "layout",
            "{what}: expected {expected}",
            {"what": error.what, "expected": error.expected or ""},
        ) from error
    return text


class DestinationFields(Fields):
    """Where the files go."""

    path: Text = Field(
        pattern=r"^[^\x00]*$",
        description="A directory; relative to this file. It is made if only it is missing.",
    )
    layout: Annotated[str, AfterValidator(_layout_checked)] = Field(
        DEFAULT_LAYOUT,
        description="How files lie in it: directories, {bucket} at most once, {key} last.",
    )
    shared: bool = Field(
        False,
        description="Whether the workers of a cluster have this directory at the same path "
        "(docs/scale.md); each of them has to prove it before it writes there.",
    )


class SelectFields(Fields):
    """Which objects; every condition that is given must hold. Others are left where they are."""

    prefix: str = Field("", description="Keys start with it, literally.")
    keys: tuple[Text, ...] = Field(
        (), description="Globs, one of which matches the whole key; * is any text, / included."
    )
    older_than: Moment | None = Field(
        None,
        description="Modified before: a date, a time, or a duration back from the start of the "
        "current day (30d, 4w), hour (12h) or minute (90m), UTC.",
    )
    newer_than: Moment | None = Field(None, description="Modified after; as olderThan.")
    min_size: Size | None = Field(None, description="At least so many bytes.")
    max_size: Size | None = Field(None, description="At most so many bytes.")


class VerifyFields(Fields):
    """What the verification gate compares besides the content of every file."""

    inventory: Literal["exact", "superset"] = Field(
        "exact",
        description="exact: the bucket's directory holds nothing else; superset: it may.",
    )
    ignore: tuple[Text, ...] = Field(
        SYSTEM_FILES,
        description="File names that do not count as something else: names, or a start and *.",
    )
    second_read: bool = Field(
        True,
        description="Whether an object that S3 keeps no comparable checksum of is read a second "
        "time before it is deleted. With false it is a loss, to be approved as such.",
    )


class EvacuationSpec(Fields):
    """What shall be true of the buckets, and how far s3plan may go for it."""

    buckets: BucketFields = Field(description="Which buckets.")
    destination: DestinationFields = Field(description="Where the files go.")
    select: SelectFields | None = Field(
        None, description="Which objects of the buckets; without it, all."
    )
    restore: RestoreFields = Field(
        default_factory=RestoreFields, description="How archived objects are made readable."
    )
    verify: VerifyFields = Field(
        default_factory=VerifyFields, description="What is compared before anything is deleted."
    )
    versions: Literal["refuse", "current", "all"] = Field(
        "refuse",
        description="What of a bucket that keeps versions: refuse to delete where there are "
        "noncurrent versions or delete markers; current: give these up behind an approval of "
        "their own; all: download every version, and delete and put back all of them.",
    )
    markers: Literal["keep", "skip"] = Field(
        "keep",
        description="Zero-byte keys that end in /: keep makes directories of them; skip leaves "
        "them in S3, and deletes them unread, as listed.",
    )
    delete: Literal["never", "afterVerification"] = Field(
        "never", description="Whether verified objects are deleted from S3, behind an approval."
    )
    delete_bucket: bool = Field(
        False,
        description="Whether the bucket goes too once it is empty; needs delete: "
        "afterVerification and no select.",
    )
    abandoned_after: Moment = Field(
        "7d",
        description="Incomplete multipart uploads to which nothing was added since are aborted "
        "before the bucket is deleted; younger ones hold its deletion. As olderThan.",
    )
    parallel_buckets: int = Field(
        1,
        ge=1,
        le=64,
        description="How many buckets are worked on side by side; 1 is one after the other.",
    )
    freeze: Literal["none", "policy"] = Field(
        "none",
        description="policy: a statement in the bucket's policy denies writing to everybody from "
        "before the last listing until the deletion; needs delete: afterVerification.",
    )
    inventory: InventoryFields | None = Field(
        None, description="S3 Inventory reports to plan from, where listing takes too long."
    )
    connection: Text | None = Field(
        None, description="The name of a Connection; without it, the only one or 'default'."
    )

    @model_validator(mode="after")
    def _bucket_deletion_is_for_whole_buckets(self) -> EvacuationSpec:
        if self.delete_bucket and self.delete == "never":
            raise PydanticCustomError(
                "delete_bucket", "deleteBucket: true needs delete: afterVerification"
            )
        if self.freeze == "policy" and self.delete == "never":
            raise PydanticCustomError("freeze", "freeze: policy needs delete: afterVerification")
        if self.delete_bucket and self.select is not None:
            raise PydanticCustomError(
                "delete_bucket", "deleteBucket: true is for whole buckets, without select"
            )
        return self


class EvacuationDocument(Frame):
    """Buckets evacuated to a local directory: copied, verified and, if asked for, deleted."""

    kind: Literal["BucketEvacuation"] = Field(description="This kind.")
    spec: EvacuationSpec = Field(description="What shall be true.")


def destination_path(spec: EvacuationSpec, directory: Path) -> str:
    """The absolute destination; a relative one starts at ``directory``, that of the manifest."""
    return os.path.normpath(directory.absolute() / spec.destination.path)


def selection(
    spec: EvacuationSpec, now: datetime, *, of_worklist: bool = False
) -> model.Select | None:
    """What ``select`` means at ``now``; None for whole buckets.

    With ``of_worklist`` only the keys that a worklist names.
    """
    select = spec.select or SelectFields()
    resolved = model.Select(
        prefix=select.prefix,
        keys=select.keys,
        older_than=parse_moment(select.older_than, now) if select.older_than else None,
        newer_than=parse_moment(select.newer_than, now) if select.newer_than else None,
        min_size=select.min_size,
        max_size=select.max_size,
        items=of_worklist,
    )
    return None if resolved == model.Select() else resolved
