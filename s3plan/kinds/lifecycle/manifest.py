"""``kind: BucketLifecycle`` as people write it: rules by id, and what becomes of others' rules."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from s3plan.kinds.fields import CONTRADICTION, BucketFields, Fields, Frame, Size, Text
from s3plan.kinds.making import BucketItselfFields
from s3plan.kinds.storageclass import StorageClass
from s3plan.rules.lifecycle.checks import rule_faults
from s3plan.rules.lifecycle.document import (
    Expiration,
    Filter,
    Noncurrent,
    Rule,
    Transition,
    date_of,
)

HOUSEKEEPING = "s3plan-housekeeping"
"""The id of the rule that ``housekeeping`` makes."""


class FilterFields(Fields):
    """Which objects; all that is said must hold."""

    prefix: str = Field("", description="Keys start with it, literally; no slash at the start.")
    tag: dict[str, str] = Field(
        default_factory=dict, description="Objects have every one of these tags."
    )
    larger_than: Size | None = Field(None, description="Objects have more bytes than this.")
    smaller_than: Size | None = Field(None, description="Objects have fewer bytes than this.")


class TransitionFields(Fields):
    """When objects move to which class."""

    days: int | None = Field(
        None, description="So many days after the object was made; 0 is the next daily run."
    )
    date: Text | None = Field(None, description="On this date, midnight UTC; instead of days.")
    storage_class: StorageClass = Field(description="S3's own name of the class.")


class ExpirationFields(Fields):
    """When objects are deleted; in a bucket with versions that only makes a delete marker."""

    days: int | None = Field(None, description="So many days after the object was made.")
    date: Text | None = Field(None, description="On this date, midnight UTC; instead of days.")
    delete_markers: bool = Field(
        False, description="Remove delete markers that hide nothing, instead of objects."
    )


class NoncurrentTransitionFields(Fields):
    """When versions move that are not the current one."""

    days: int = Field(description="So many days after the version was overwritten.")
    storage_class: StorageClass = Field(description="S3's own name of the class.")
    keep: int | None = Field(None, description="So many newer ones stay where they are.")


class NoncurrentExpirationFields(Fields):
    """When versions go that are not the current one: for good."""

    days: int = Field(description="So many days after the version was overwritten.")
    keep: int | None = Field(None, description="So many newer ones stay.")


class NoncurrentFields(Fields):
    """What becomes of versions that are not the current one."""

    transitions: tuple[NoncurrentTransitionFields, ...] = Field(
        (), description="Moves to cheaper classes."
    )
    expiration: NoncurrentExpirationFields | None = Field(None, description="Deletion.")


class RuleFields(Fields):
    """One rule, known by its id."""

    id: Text = Field(max_length=255, description="The rule's id in S3.")
    enabled: bool = Field(True, description="false keeps the rule and stops it.")
    filter: FilterFields = Field(
        default_factory=FilterFields, description="Which objects; without it, all."
    )
    transitions: tuple[TransitionFields, ...] = Field((), description="Moves to cheaper classes.")
    expiration: ExpirationFields | None = Field(None, description="Deletion.")
    noncurrent: NoncurrentFields | None = Field(
        None, description="What becomes of versions that are not the current one."
    )
    abort_uploads: int | None = Field(
        None, description="Abort multipart uploads that were begun so many days ago."
    )

    def rule(self) -> Rule:
        """The rule as a value."""
        chosen, expiration = self.filter, self.expiration
        noncurrent = self.noncurrent or NoncurrentFields()
        gone = noncurrent.expiration
        transitions = [
            Transition(one.storage_class, one.days, date_of(one.date)) for one in self.transitions
        ]
        later = [
            Noncurrent(one.storage_class, one.days, one.keep) for one in noncurrent.transitions
        ]
        return Rule(
            id=self.id,
            enabled=self.enabled,
            filter=Filter(
                chosen.prefix,
                frozenset(chosen.tag.items()),
                chosen.larger_than,
                chosen.smaller_than,
            ),
            transitions=tuple(
                sorted(
                    transitions, key=lambda one: (one.days or 0, one.date or "", one.storage_class)
                )
            ),
            expiration=None
            if expiration is None
            else Expiration(expiration.days, date_of(expiration.date), expiration.delete_markers),
            noncurrent_transitions=tuple(
                sorted(later, key=lambda one: (one.days or 0, one.storage_class or ""))
            ),
            noncurrent_expiration=None if gone is None else Noncurrent(None, gone.days, gone.keep),
            abort_days=self.abort_uploads,
        )

    @model_validator(mode="after")
    def _s3_would_take_it(self) -> RuleFields:
        errors = [fault for fault in rule_faults(self.rule()) if fault.severity == "error"]
        if errors:
            raise PydanticCustomError(
                CONTRADICTION,
                "{what}",
                {"what": "; ".join(f"{fault.what} ({fault.next_step})" for fault in errors)},
            )
        return self


class RulesSourceFields(Fields):
    """Rules that are taken as S3 writes them."""

    source: Text = Field(
        alias="from",
        description="A JSON file with S3's own document ({Rules: [...]}), relative to this file.",
    )


class HousekeepingFields(Fields):
    """The rule that every bucket should have: nothing is kept that nobody can see."""

    abort_uploads: int = Field(
        7, ge=1, description="Abort multipart uploads that were begun so many days ago."
    )
    noncurrent_days: int | None = Field(
        None, ge=1, description="Delete noncurrent versions after so many days; without it, never."
    )
    noncurrent_keep: int | None = Field(
        None, ge=1, le=100, description="So many newer noncurrent versions stay."
    )
    delete_markers: bool = Field(True, description="Remove delete markers that hide nothing.")

    @model_validator(mode="after")
    def _keep_needs_days(self) -> HousekeepingFields:
        if self.noncurrent_keep is not None and self.noncurrent_days is None:
            raise PydanticCustomError(CONTRADICTION, "noncurrentKeep needs noncurrentDays")
        return self


def _form(value: Any) -> str:
    return "written" if isinstance(value, tuple | list) else "file"


Rules = Annotated[
    Annotated[tuple[RuleFields, ...], Tag("written")] | Annotated[RulesSourceFields, Tag("file")],
    Discriminator(_form),
]


class LifecycleSpec(Fields):
    """What shall be true of the buckets."""

    buckets: BucketFields = Field(description="Which buckets.")
    bucket: BucketItselfFields | None = Field(
        None, description="Whether the buckets are made, and keep versions."
    )
    rules: Rules = Field(
        (), description="The rules, each by its id; or from: FILE with S3's own document."
    )
    housekeeping: HousekeepingFields | None = Field(
        None, description=f"The rule {HOUSEKEEPING}; {{}} takes what is usual."
    )
    absent: tuple[Text, ...] = Field(
        (), description="Ids of rules that shall not be there, whoever made them."
    )
    foreign: Literal["keep", "remove"] = Field(
        "keep", description="What becomes of rules that this manifest does not name."
    )
    minimum_size: Literal["all_storage_classes_128K", "varies_by_storage_class"] | None = Field(
        None,
        description="What S3 does with objects below 128 KB where a filter says nothing of sizes:"
        " they stay, or go to GLACIER and DEEP_ARCHIVE only. Without it, as it is.",
    )
    tag_sample: int = Field(
        1_000,
        ge=0,
        le=100_000,
        description="Of how many objects a bucket the tags are read, a request each, to say what"
        " rules with tags match; of all, where there are no more.",
    )
    connection: Text | None = Field(
        None, description="The name of a Connection; without it, the only one or 'default'."
    )

    @model_validator(mode="after")
    def _something_is_said(self) -> LifecycleSpec:
        said = (self.rules, self.housekeeping, self.absent, self.minimum_size, self.bucket)
        if not any(said) and self.foreign == "keep":
            raise PydanticCustomError(
                CONTRADICTION,
                "say at least one of rules, housekeeping, absent, minimumSize and bucket",
            )
        return self


class LifecycleDocument(Frame):
    """Buckets with these lifecycle rules."""

    kind: Literal["BucketLifecycle"] = Field(description="This kind.")
    spec: LifecycleSpec = Field(description="What shall be true.")
