"""Buckets that are made, and that keep versions: what the session archiver's set-up did by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from s3plan.kinds.buckets import configured_step, readable
from s3plan.kinds.fields import CONTRADICTION, Fields, Text
from s3plan.kinds.kind import Observed
from s3plan.model.buckets import BucketFacts, DocumentName
from s3plan.model.steps import Configure, CreateBucket, Need
from s3plan.plan import StepDraft
from s3plan.rules.policies.exposure import BLOCKED

ENABLED = {"Status": "Enabled"}


class BucketItselfFields(Fields):
    """The buckets themselves."""

    create: bool = Field(
        False,
        description="Whether a bucket that is named, and is not there, is made; with its public"
        " access blocked.",
    )
    region: Text | None = Field(
        None, description="Where it is made; without it, the Connection's region."
    )
    versioning: Literal["enabled"] | None = Field(
        None,
        description="enabled: every version is kept from then on. It can be suspended later, but"
        " never taken back.",
    )

    @model_validator(mode="after")
    def _region_is_for_new_buckets(self) -> BucketItselfFields:
        if self.region is not None and not self.create:
            raise PydanticCustomError(CONTRADICTION, "bucket.region needs bucket.create: true")
        return self


def new_bucket_steps(
    wanted: BucketItselfFields, bucket: str, observed: Observed, lifecycle: Any
) -> Iterator[StepDraft]:
    """A bucket that is not there: made, closed to the public, and only then anything else."""
    made = StepDraft(
        CreateBucket(wanted.region or observed.target.region, ""),
        bucket,
        reversibility="free",
        undo="The bucket is deleted if nothing is in it.",
        reason="The bucket is named, and is not there.",
    )
    yield made
    documents: list[tuple[DocumentName, Any, str]] = [
        ("public-access-block", BLOCKED, "Nothing in a new bucket is public.")
    ]
    if wanted.versioning == "enabled":
        documents.append(("versioning", ENABLED, "Every version is to be kept."))
    if lifecycle is not None:
        documents.append(("lifecycle", lifecycle, "The bucket is to have these rules."))
    for name, document, reason in documents:
        yield StepDraft(
            Configure(name, after=document, fresh=True),
            bucket,
            reversibility="free",
            undo="It goes with the bucket, which is deleted if nothing is in it.",
            reason=reason,
            needs=(Need(made.id),),
        )


def versioning_steps(facts: BucketFacts) -> Iterator[StepDraft]:
    """Versioning enabled where it is not."""
    before = readable(facts, "versioning")
    if facts.versioning == "enabled":
        return
    yield configured_step(
        facts.name,
        "versioning",
        before,
        ENABLED,
        "Every version is to be kept.",
        meaning=("Overwritten and deleted objects stay as noncurrent versions, and are billed.",),
        reversibility="never" if before is None else "free",
        undo="It can only be suspended, which rollback does; the versions made by then stay."
        if before is None
        else "It is suspended again; the versions made by then stay.",
    )
