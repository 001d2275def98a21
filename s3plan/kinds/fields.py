"""What manifest models are made of: the strict base, quantities as fields, a document's frame."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from s3plan.kinds.quantities import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    parse_duration,
    parse_moment,
    parse_size,
)
from s3plan.model.limits import Limits
from s3plan.model.steps import Tier

API_VERSION = "s3plan/v1"

CONTRADICTION = "contradiction"
"""Type of a PydanticCustomError whose message is shown as it is: fields that exclude each other, or
a value that has another name."""

FORMS = frozenset({"written", "file"})
"""Tags of the forms that a value may have: written out, or named by a file. They stand in the paths
of pydantic, and in no manifest."""


class Fields(BaseModel):
    """A mapping of a manifest: camelCase, nothing unknown, nothing converted, never changed."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        strict=True,
    )


class Metadata(Fields):
    """What identifies a document."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$",
        description="The document's name: up to 63 letters, digits, dots, dashes, underscores.",
    )


CommandName = Annotated[
    str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", examples=["app-tests"])
]
"""A command of the project file: lower-case letters, digits and dashes."""


def _digits(value: object) -> object:
    """YAML reads twelve digits as a number; an account is text."""
    return str(value) if type(value) is int else value


def _seconds(value: object) -> object:
    return parse_duration(value) if isinstance(value, str | int | float) else value


def _bytes(value: object) -> object:
    return parse_size(value) if isinstance(value, str | int) else value


def _moment_checked(text: str) -> str:
    # Only its shape: what it means depends on the clock, which planning passes in.
    parse_moment(text, datetime.fromisoformat("2026-01-01T00:00:00+00:00"))
    return text


Size = Annotated[
    int,
    BeforeValidator(_bytes),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": SIZE_PATTERN},
            ],
            "examples": ["256MiB", "5GB", 1048576],
        }
    ),
]
"""Bytes, as a number or with a unit."""

Duration = Annotated[
    float,
    BeforeValidator(_seconds),
    Field(allow_inf_nan=False),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": DURATION_PATTERN},
            ],
            "examples": ["30s", "5m", 0],
        }
    ),
]
"""Seconds, as a number or with a unit."""

Moment = Annotated[
    str,
    Field(min_length=2, examples=["30d", "12h", "2026-01-31", "2026-01-31T12:00:00Z"]),
    AfterValidator(_moment_checked),
]
"""A point in time, or how long ago it was; what it means depends on when it is planned."""

Account = Annotated[
    str,
    BeforeValidator(_digits),
    Field(pattern=r"^[0-9]{12}$"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": "^[0-9]{12}$"},
                {"type": "integer", "minimum": 100000000000, "maximum": 999999999999},
            ]
        }
    ),
]
"""An AWS account: 12 digits."""

Protected = Annotated[
    str,
    Field(pattern=r"^[^/\s]+(/.+)?$", examples=["production-*", "photos/originals/"]),
]


class PlanLimitFields(Fields):
    """What a plan may do at most. One that goes beyond is refused, when made and when applied."""

    max_deletes: int | None = Field(None, ge=0, description="Objects deleted from S3.")
    max_delete_bytes: Size | None = Field(None, description="Bytes deleted from S3.")
    max_delete_percent: float | None = Field(
        None, ge=0, le=100, description="Objects deleted of a bucket, of all that it holds."
    )
    max_cost: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="US dollars, once: the upper bound of the estimate.",
    )
    protected: tuple[Protected, ...] = Field(
        (),
        description="Buckets in which nothing is changed or removed (globs), or bucket/prefix, "
        "below which no object is deleted.",
    )
    allowed_accounts: tuple[Account, ...] = Field(
        (), description="The only accounts to work in; none: every account."
    )

    def limits(self, source: str) -> Limits:
        """The limits; ``source`` is the file that they come from."""
        return Limits(
            source,
            self.max_deletes,
            self.max_delete_bytes,
            self.max_delete_percent,
            self.max_cost,
            self.protected,
            self.allowed_accounts,
        )


class DocumentFrame(Fields):
    """What every document has besides its kind and spec."""

    api_version: Literal["s3plan/v1"] = Field(description="The version of the manifest format.")
    metadata: Metadata = Field(description="What identifies the document.")


class Frame(DocumentFrame):
    """What every document has that a plan is made of."""

    limits: PlanLimitFields | None = Field(
        None,
        description="What a plan of this document may do at most; those of the project file hold "
        "besides.",
    )
    notify: CommandName | None = Field(
        None,
        description="A command of the project file that is told how a run ended; it changes nothing"
        " about that.",
    )

    status_every: Annotated[Duration, Field(ge=10.0)] | None = Field(
        None,
        description="How often a run notes in status.jsonl of its folder how it stands; without it,"
        " never.",
    )

    @property
    def command_names(self) -> tuple[str, ...]:
        """Every command of the project file that the document names; kinds add their own."""
        return (self.notify,) if self.notify is not None else ()


Text = Annotated[str, Field(min_length=1)]
"""A text that says something."""


class BucketFields(Fields):
    """Which buckets: names, or globs in which ``*`` is any text and ``?`` one character."""

    include: tuple[Text, ...] = Field(
        min_length=1,
        description="Names or globs. A name must exist; a glob may match nothing.",
    )
    exclude: tuple[Text, ...] = Field((), description="Names or globs to leave out.")


class ObjectFields(Fields):
    """Which objects: of a bucket, or of several, below a prefix, or by their keys."""

    bucket: Text = Field(description="A bucket, or a glob of buckets; * is every one.")
    prefix: str = Field("", description="Keys start with it, literally.")
    key: Text | tuple[Text, ...] | None = Field(
        None, description="Exactly this key; needs a bucket by its name."
    )

    @model_validator(mode="after")
    def _key_needs_bucket(self) -> Self:
        if self.key is not None and ("*" in self.bucket or "?" in self.bucket):
            raise PydanticCustomError(CONTRADICTION, "key needs a bucket by its name, no glob")
        if self.key is not None and self.prefix:
            raise PydanticCustomError(CONTRADICTION, "either key or prefix")
        return self


_REPORT = r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.+/manifest\.json$"


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class InventoryFields(Fields):
    """S3 Inventory reports in the place of listings."""

    reports: Annotated[
        tuple[Annotated[str, Field(pattern=_REPORT)], ...],
        BeforeValidator(_listed),
        Field(min_length=1),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string", "pattern": _REPORT},
                    {
                        "type": "array",
                        "minItems": 1,
                        "items": {"type": "string", "pattern": _REPORT},
                    },
                ]
            }
        ),
    ] = Field(
        alias="from",
        description="The manifest.json of a report, s3://BUCKET/.../manifest.json, or of several;"
        " in Parquet or CSV. Buckets without a report are listed.",
    )


class RestoreFields(Fields):
    """How archived objects are made readable. Objects of INTELLIGENT_TIERING stay so."""

    days: int = Field(
        7,
        ge=1,
        le=365,
        description="How long temporary copies are kept; longer than their download takes.",
    )
    tier: Tier | None = Field(
        None,
        description="Expedited, Standard or Bulk: the faster, the dearer. Without it Standard, but "
        "Bulk for DEEP_ARCHIVE, which has no Expedited.",
    )
    poll: Annotated[Duration, Field(ge=1)] = Field(
        300.0, description="How often S3 is asked how far it is; seconds, or 5m."
    )
    max_cost: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="US dollars that restoring one bucket may cost, requests and temporary copies "
        "included; above it there is no plan.",
    )
