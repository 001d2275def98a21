"""``kind: ObjectGrouping`` as people write it: the same objects under keys that say their type."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal, LiteralString

from msgspec import UNSET
from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from s3plan.kinds.fields import (
    CONTRADICTION,
    CommandName,
    Fields,
    Frame,
    InventoryFields,
    Size,
)
from s3plan.model.soak import SoakTerms
from s3plan.rules.grouping import (
    FILETYPE_BASIC,
    UNKNOWN,
    KeyPattern,
    KeyTemplate,
    Regrouping,
    TypeRule,
)
from s3plan.rules.grouping.tags import LONGEST_VALUE, MOST_TAGS, TagTemplate, is_template

_BRACES = re.compile(r"\{[^}]*\}?|\}")
_BACKUP_PARTS = {"{stem}", "{time}", "{ext}"}

PLACE = r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\x00]*)?$"
BUCKET = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
PRESETS = {"filetype-basic": FILETYPE_BASIC}

# What RE2 lacks, or spells in another way: groups that look around, and what refers back.
_NOT_RE2 = re.compile(r"\(\?|\\[1-9]")


def _custom(code: LiteralString, expected: str, error: Exception) -> PydanticCustomError:
    return PydanticCustomError(code, "{expected}: {why}", {"expected": expected, "why": str(error)})


def _pattern_checked(text: str) -> str:
    try:
        KeyPattern.parse(text)
    except ValueError as error:
        raise PydanticCustomError(
            "key_pattern",
            "a pattern such as {{row_id}}/{{name}}/{{file}}: {why}",
            {"why": str(error)},
        ) from error
    return text


def _regex_checked(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise PydanticCustomError(
            "regex", "a regular expression: {why}", {"why": str(error)}
        ) from error
    if _NOT_RE2.search(text):
        raise PydanticCustomError(
            "regex", "a regular expression of RE2, without (?...) and without references back"
        )
    return text


Text = Annotated[str, Field(min_length=1)]
TypeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
TagName = Annotated[str, Field(min_length=1, max_length=128)]
TagValue = Annotated[str, Field(max_length=LONGEST_VALUE)]
ContentType = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9!#$&^_.+-]+/([A-Za-z0-9!#$&^_.+-]+|\*)$", examples=["audio/*"])
]
Extension = Annotated[str, Field(pattern=r"^\.[^./]+$", examples=[".mp3"])]


class SourceFields(Fields):
    """Which objects are regrouped."""

    bucket: Text = Field(pattern=BUCKET, description="The bucket.")
    prefix: str = Field("", description="Keys start with it, literally.")
    pattern: Annotated[str, AfterValidator(_pattern_checked)] = Field(
        "{row_id}/{name}/{file}",
        description="What the key below the prefix is made of. {row_id} is digits, {path} may hold"
        " slashes, every other part is text of one component.",
    )


class RuleFields(Fields):
    """A type, and what an object must be to get it: everything that is said here."""

    type: TypeName = Field(description="The type.")
    ext: tuple[Extension, ...] = Field((), description="Extensions with their dot, in any case.")
    glob: tuple[Text, ...] = Field(
        (), description="Globs of the last component of the key, one of which matches."
    )
    regex: Annotated[str, AfterValidator(_regex_checked)] | None = Field(
        None, description="A regular expression for all of the last component (RE2)."
    )
    content_type: tuple[ContentType, ...] = Field(
        (),
        description="Media types, one of which its Content-Type is; audio/* is any of audio. It"
        " takes a request for each object that the rest of the rule fits.",
    )
    min_size: Size | None = Field(None, description="At least so many bytes.")
    max_size: Size | None = Field(None, description="At most so many bytes.")

    @model_validator(mode="after")
    def _says_something(self) -> RuleFields:
        said = self.ext or self.glob or self.regex or self.content_type
        if not said and self.min_size is self.max_size is None:
            raise PydanticCustomError(
                "rule", "a rule with ext, glob, regex, contentType, minSize or maxSize"
            )
        return self

    def rule(self) -> TypeRule:
        """The value."""
        return TypeRule(
            self.type,
            tuple(one.lower() for one in self.ext),
            self.glob,
            self.regex,
            self.min_size,
            self.max_size,
            tuple(one.lower() for one in self.content_type) or UNSET,
        )


class PresetFields(Fields):
    """Rules that s3plan ships."""

    preset: Literal["filetype-basic"] = Field(
        description="filetype-basic: mp3 m4a audio; mp4 webm video; pdf doc docx documents; srt vtt"
        " transcripts; jpg png images."
    )


class TargetFields(Fields):
    """What the copies are. What is not said they have from their sources."""

    bucket: Text | None = Field(
        None, pattern=BUCKET, description="The bucket; without it, the source's."
    )
    key: Text = Field(
        "{type}/{row_id}_{name}_{file}",
        description="The new key: the pattern's parts, {type}, {stem} and {ext} (with its dot); or"
        " {sha256} of the content, in hex, or {uuid}, of where it was.",
    )
    sanitize: Literal["keep", "safe"] = Field(
        "keep", description="safe: characters of parts that are not safe in keys become _."
    )
    storage_class: Text | None = Field(None, description="A storage class; without it, its own.")
    encryption: Literal["bucket", "keep", "AES256", "aws:kms"] = Field(
        "bucket",
        description="bucket: the target bucket's default; keep: as the source, one request more"
        " for each object.",
    )
    kms_key: Text | None = Field(None, description="The key for aws:kms.")
    acl: Literal["keep", "private", "bucket-owner-full-control"] | None = Field(
        None,
        description="keep: each object's own, one request more for each; or a canned ACL. Without"
        " it the endpoint's default: S3 copies no ACLs.",
    )
    headers: dict[
        Literal[
            "content-type",
            "cache-control",
            "content-disposition",
            "content-encoding",
            "content-language",
            "expires",
        ],
        Text,
    ] = Field(default_factory=dict, description="Headers that replace those of the sources.")
    tags: dict[TagName, TagValue] = Field(
        default_factory=dict,
        max_length=MOST_TAGS,
        description="Tags that are added to those of the sources, ten in all. A value may hold the"
        " pattern's parts, {type}, {source} (the old key's directory) and {date} (the day of the"
        " run, in UTC); what S3 does not allow in a tag becomes _.",
    )

    @model_validator(mode="after")
    def _key_for_kms(self) -> TargetFields:
        if self.kms_key is not None and self.encryption != "aws:kms":
            raise PydanticCustomError("kms", "kmsKey only with encryption: aws:kms")
        return self


class BackupFields(Fields):
    """Where every source is copied before anything else."""

    bucket: Text = Field(pattern=BUCKET, description="The bucket.")
    prefix: str = Field("", pattern=r"^([^/].*/)?$", description="Put before each key.")
    storage_class: Text = Field("DEEP_ARCHIVE", description="The storage class of the backup.")


class ColumnFields(Fields):
    """What a column of URLs holds."""

    type: TypeName | None = Field(
        None,
        description="Every file of the row of this type; without it each URL is replaced by that"
        " of the same object.",
    )


def _backup_name_checked(text: str) -> str:
    if "{time}" not in text or "/" in text or set(_BRACES.findall(text)) - _BACKUP_PARTS:
        raise PydanticCustomError(
            "backup_name", "a file name of {{stem}}, {{ext}} and, needed, {{time}}"
        )
    return text


class TableBackupFields(Fields):
    """Where the table is kept as it was before anything else happens."""

    dir: Text = Field("backups", description="The directory; relative to the CSV file.")
    name: Annotated[str, AfterValidator(_backup_name_checked)] = Field(
        "{stem}_{time}_pre_migration{ext}",
        description="The backup's name: {stem} and {ext} of the CSV file, {time} of the run as"
        " YYYYMMDD_HHMMSS.",
    )
    gzip: bool = Field(True, description="Whether a compressed copy is made besides.")
    upload: Annotated[str, Field(pattern=PLACE)] | None = Field(
        None,
        description="s3://BUCKET/PREFIX, where the backup is put as well: compressed if gzip says"
        " so, with its digests; verified there.",
    )


class CatalogFields(Fields):
    """A CSV file with the URLs of the objects, a row for each person."""

    file: Text = Field(pattern=r"^[^\x00]*$", description="The file; relative to this manifest.")
    row: Text = Field("row_id", description="The column that holds {row_id}.")
    columns: dict[Text, ColumnFields] = Field(
        min_length=1, description="Columns of URLs; those that are not there are added last."
    )
    add: tuple[Literal["file_count", "migration_completed"], ...] = Field(
        (), description="Columns that are filled, and added where they are not there."
    )
    separator: Text = Field("|", description="What stands between the URLs of a cell.")
    delimiter: Annotated[str, Field(pattern=r"^[,;\t|]$")] = Field(
        ",", description="What stands between the fields of a row."
    )
    url_style: Literal["keep"] = Field(
        "keep", description="URLs begin, and keys are encoded, as in the file."
    )
    unresolved: Literal["block", "keep"] = Field(
        "block", description="URLs of the source's bucket whose object is not regrouped."
    )
    backup: TableBackupFields = Field(
        default_factory=TableBackupFields, description="Where and how the table is kept first."
    )


class SampleFields(Fields):
    """So many copies, spread over all."""

    sample: int = Field(ge=1, description="How many.")


class VerifyFields(Fields):
    """What is compared besides content and size."""

    headers: Literal["none", "all"] | SampleFields = Field(
        "none",
        description="Of which copies content type, metadata and tags are compared, at two requests"
        " more for each object.",
    )

    @property
    def many(self) -> int:
        """How many; -1 is all."""
        if isinstance(self.headers, SampleFields):
            return self.headers.sample
        return -1 if self.headers == "all" else 0


class TestFields(Fields):
    """Commands of the project file that must end with exit code 0: your application's own tests.

    Where one does not, the run is held there.
    """

    copies: tuple[CommandName, ...] = Field(
        (), description="Once every copy is verified, before the table is rewritten."
    )
    catalog: tuple[CommandName, ...] = Field((), description="Once the table is rewritten.")


class ScheduleFields(Fields):
    """Which checks are due; from the day after ``weekly`` on one that compares content."""

    daily: int = Field(7, ge=0, le=3650, description="Until this day, a check each day.")
    weekly: int = Field(21, ge=0, le=3650, description="Until this day, a check every seven days.")


class MonitorFields(Fields):
    """How long the copies are watched: `s3plan monitor` runs the check that is due."""

    days: int = Field(
        30,
        ge=0,
        le=3650,
        description="Days from the end of the run; 0: one check of everything, at any time.",
    )
    schedule: ScheduleFields = Field(
        default_factory=ScheduleFields, description="When checks are due."
    )

    @property
    def terms(self) -> SoakTerms:
        """The value."""
        return SoakTerms(self.days, self.schedule.daily, self.schedule.weekly)


class ArtifactsFields(Fields):
    """Where the logs of the runs go, compressed, once the soak is over and signed off."""

    bucket: Text = Field(pattern=BUCKET, description="The bucket.")
    prefix: str = Field("", pattern=r"^([^/].*/)?$", description="Put before each key.")
    storage_class: Text = Field("DEEP_ARCHIVE", description="The storage class of the archives.")


class GroupingSpec(Fields):
    """Which objects get which keys, and what happens to those that fit nowhere."""

    source: SourceFields = Field(description="Which objects.")
    rules: PresetFields | Annotated[tuple[RuleFields, ...], Field(min_length=1)] = Field(
        default_factory=lambda: PresetFields(preset="filetype-basic"),
        description="Types, the first rule that fits wins; or a preset.",
    )
    default: TypeName = Field(UNKNOWN, description="The type of what no rule names.")
    target: TargetFields = Field(
        default_factory=TargetFields, description="What the copies are called and have."
    )
    orphans: Literal["block", "list", "unknown"] = Field(
        "block",
        description="Objects whose key is not of the pattern: block the plan, are only listed, or"
        " are copied below the default type.",
    )
    incomplete: Literal["block", "list"] = Field(
        "block", description="Files of unfinished downloads (.part, .crdownload)."
    )
    on_conflict: Literal["block", "skip"] = Field(
        "block",
        description="A new key that holds another object: blocks the plan, or is left as it is.",
    )
    backup: BackupFields | None = Field(
        None, description="A copy of every source, made and verified before anything else."
    )
    catalog: CatalogFields | None = Field(
        None, description="A table whose URLs are rewritten once every copy is verified."
    )
    sources: Literal["keep", "deleteAfterSoak"] = Field(
        "keep",
        description="keep: the sources stay. deleteAfterSoak: a later plan deletes them, once the"
        " soak is over, its last check found nothing and the run is signed off.",
    )
    artifacts: ArtifactsFields | None = Field(
        None, description="Where plans, journals, evidence and reports are archived in the end."
    )
    monitor: MonitorFields | None = Field(
        None, description="How long the copies are watched; 30 days where nothing is said."
    )
    verify: VerifyFields = Field(
        default_factory=VerifyFields, description="What is compared once everything is copied."
    )
    tests: TestFields = Field(
        default_factory=TestFields, description="Tests of your own that hold the run."
    )
    checksums: Literal["stored", "compute"] = Field(
        "stored",
        description="compute: what S3 has no checksum of is read once. For {sha256} in target.key"
        " when planning; for md5_hash in reports, of multipart uploads, when it is copied.",
    )
    inventory: InventoryFields | None = Field(
        None, description="S3 Inventory reports to plan from, where listing takes too long."
    )
    connection: Text | None = Field(
        None, description="The name of a Connection; without it, the only one or 'default'."
    )

    @model_validator(mode="after")
    def _new_keys_are_made_of_known_parts(self) -> GroupingSpec:
        try:
            regrouping(self)
        except ValueError as error:
            raise PydanticCustomError(
                "key_template", "target.key: {why}", {"why": str(error)}
            ) from error
        for name, text in self.target.tags.items():
            if is_template(text):
                try:
                    TagTemplate.parse(text, KeyPattern.parse(self.source.pattern).names)
                except ValueError as error:
                    raise PydanticCustomError(
                        "tag_template",
                        "target.tags.{name}: {why}",
                        {"name": name, "why": str(error)},
                    ) from error
        if self.catalog is not None and "row_id" not in KeyPattern.parse(self.source.pattern).names:
            raise PydanticCustomError("catalog", "{part} in source.pattern", {"part": "{row_id}"})
        if self.tests.catalog and self.catalog is None:
            raise PydanticCustomError(CONTRADICTION, "tests.catalog only with a catalog")
        place = self.artifacts
        inside = place is not None and place.prefix.startswith(self.source.prefix)
        if place is not None and place.bucket == self.source.bucket and inside:
            raise PydanticCustomError(
                CONTRADICTION, "artifacts in another bucket, or outside source.prefix"
            )
        return self

    @property
    def soak_terms(self) -> SoakTerms:
        """How long copies are watched, whether or not anything was said of it."""
        return self.terms or SoakTerms()

    @property
    def terms(self) -> SoakTerms | None:
        """How long copies are watched; None where nothing asks for it."""
        if self.monitor is not None:
            return self.monitor.terms
        waits = self.sources == "deleteAfterSoak" or self.artifacts is not None
        return SoakTerms() if waits else None

    @property
    def literal_tags(self) -> dict[str, str]:
        """Tags that are the same for every copy."""
        return {name: text for name, text in self.target.tags.items() if not is_template(text)}

    @property
    def tag_templates(self) -> dict[str, str]:
        """Tags that are filled in for each copy."""
        return {name: text for name, text in self.target.tags.items() if is_template(text)}

    @property
    def target_bucket(self) -> str:
        """The bucket of the copies."""
        return self.target.bucket or self.source.bucket


class GroupingDocument(Frame):
    """Objects regrouped by type: copied within S3 to new keys, verified; the old ones are kept,
    or deleted by a plan of its own after a soak.
    """

    kind: Literal["ObjectGrouping"] = Field(description="This kind.")
    spec: GroupingSpec = Field(description="What shall be true.")

    @property
    def command_names(self) -> tuple[str, ...]:
        """The tests besides."""
        return (*super().command_names, *self.spec.tests.copies, *self.spec.tests.catalog)


def catalog_path(spec: GroupingSpec, directory: Path) -> str | None:
    """The absolute path of the table; a relative one starts at ``directory``, the manifest's."""
    if spec.catalog is None:
        return None
    return os.path.normpath(directory.absolute() / spec.catalog.file)


def regrouping(spec: GroupingSpec) -> Regrouping:
    """The rules as values. Raises ValueError for a template that is none."""
    pattern = KeyPattern.parse(spec.source.pattern)
    rules = (
        PRESETS[spec.rules.preset]
        if isinstance(spec.rules, PresetFields)
        else tuple(one.rule() for one in spec.rules)
    )
    return Regrouping(
        prefix=spec.source.prefix,
        pattern=pattern,
        template=KeyTemplate.parse(spec.target.key, pattern.names),
        rules=rules,
        default=spec.default,
        sanitize=spec.target.sanitize == "safe",
    )
