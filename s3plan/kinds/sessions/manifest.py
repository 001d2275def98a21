"""``kind: SessionArchive`` as people write it: which files are a session, what S3 gets of it."""

from __future__ import annotations

import os
from os.path import commonprefix
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from s3plan.kinds.extras import ExtraKeyText
from s3plan.kinds.fields import CONTRADICTION, Duration, Fields, Frame, Size, Text
from s3plan.kinds.making import BucketItselfFields
from s3plan.kinds.storageclass import StorageClass
from s3plan.model.archives import Compression
from s3plan.model.sessions import Library
from s3plan.rules.braces import pieces_of
from s3plan.rules.frames import SUFFIXES
from s3plan.rules.lifecycle.checks import rule_faults
from s3plan.rules.lifecycle.document import Transition
from s3plan.rules.sessions import GROUP_KEYS, extrakeys, zone_named
from s3plan.rules.sessions.extrakeys import ExtraKey
from s3plan.rules.sessions.names import SessionKey, SessionPattern
from s3plan.rules.sessions.policies import POLICIES, ArchivePolicy
from s3plan.rules.systemfiles import SYSTEM_FILES
from s3plan.rules.windows import Window

BUCKET = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
MOST_TAGS = 10
MIN_AGE = 30 * 60.0


def _pattern_checked(text: str) -> str:
    try:
        SessionPattern.parse(text)
    except ValueError as error:
        raise PydanticCustomError(
            "session_pattern",
            "a pattern such as {{year}}/{{session}}: {why}",
            {"why": str(error)},
        ) from error
    return text


def _zone_checked(name: str) -> str:
    try:
        zone_named(name)
    except ValueError as error:
        raise PydanticCustomError(
            "timezone", "site, UTC or a zone such as Europe/Berlin: {why}", {"why": str(error)}
        ) from error
    return name


def _window_checked(text: str) -> str:
    try:
        Window.parse(text)
    except ValueError as error:
        raise PydanticCustomError(CONTRADICTION, "{why}", {"why": str(error)}) from error
    return text


TagName = Annotated[str, Field(min_length=1, max_length=128)]
TagValue = Annotated[str, Field(max_length=256)]
Keyword = Annotated[str, Field(pattern=r"^[A-Z0-9_-]{1,8}$", examples=["INSTRUME"])]
Glob = Annotated[str, Field(pattern=r"^[^/]+$", examples=["*.tmp"])]


class LibraryFields(Fields):
    """The files that are archived."""

    path: Text = Field(
        pattern=r"^[^\x00]*$", description="Their directory; relative to this manifest."
    )


class SessionFields(Fields):
    """Which files are of which session, and what happens to those that nobody can tell."""

    by: Literal["directory", "header", "list"] = Field(
        "directory",
        description="directory: every directory of the pattern is a session; header: one rig in"
        " one night, by FITS headers; list: as a file says.",
    )
    pattern: Annotated[str, AfterValidator(_pattern_checked)] = Field(
        "{year}/{session}",
        description="by: directory. Where the directories of sessions are; {year} is four digits,"
        " every other part is one name.",
    )
    timezone: Annotated[str, AfterValidator(_zone_checked)] = Field(
        "site",
        description="by: header. In what time nights go from noon to noon: site is the sun's, by"
        " SITELONG; else UTC or a named zone.",
    )
    group_keys: Annotated[tuple[Keyword, ...], Field(min_length=1)] = Field(
        GROUP_KEYS, description="by: header. The keywords that tell rigs apart."
    )
    list: Text | None = Field(
        None,
        description="by: list. A CSV file with the columns session and path, or JSON; relative to"
        " this manifest.",
    )
    min_age: Duration = Field(
        MIN_AGE,
        description="A session is left for later while a file of it is younger: it is still being"
        " written.",
    )
    ignore: tuple[Glob, ...] = Field(
        SYSTEM_FILES,
        description="Globs of names that count for nothing, of files and of whole directories.",
    )
    unknown: Literal["block", "list"] = Field(
        "block",
        description="Files of no session: they block the plan, or are only told of and not"
        " archived.",
    )
    missing: Literal["block", "list"] = Field(
        "block",
        description="Files that the list or an archive names and that are gone from disk.",
    )
    damaged: Literal["block", "archive"] = Field(
        "block",
        description="FITS files that are truncated or not what their own sums say: they block the"
        " plan, or are archived as they are.",
    )

    @model_validator(mode="after")
    def _list_is_named(self) -> SessionFields:
        if (self.by == "list") != (self.list is not None):
            raise PydanticCustomError(CONTRADICTION, "sessions.list goes with by: list, and only")
        return self

    @property
    def parts(self) -> tuple[str, ...]:
        """What keys may be made of."""
        named = SessionPattern.parse(self.pattern).names if self.by == "directory" else ()
        return tuple(dict.fromkeys(("session", "year", *named)))


class TargetFields(Fields):
    """What archives are called and have."""

    bucket: Text = Field(pattern=BUCKET, description="The bucket.")
    key: Text = Field(
        "backups/raw/{year}/{session}.tar",
        description="The key of an archive: {session}, {year} and the parts of sessions.pattern;"
        " it ends as the compression says, .tar, .tar.gz or .tar.zst.",
    )
    storage_class: StorageClass = Field(
        "STANDARD",
        description="The class at upload: DEEP_ARCHIVE at once, instead of a rule of 0 days.",
    )
    encryption: Literal["bucket", "AES256", "aws:kms"] = Field(
        "bucket", description="bucket: the bucket's default."
    )
    kms_key: Text | None = Field(None, description="The key for aws:kms.")
    tags: dict[TagName, TagValue] = Field(
        default_factory=dict, description="Tags besides those of the lifecycle policy."
    )

    @model_validator(mode="after")
    def _key_for_kms(self) -> TargetFields:
        if self.kms_key is not None and self.encryption != "aws:kms":
            raise PydanticCustomError(CONTRADICTION, "kmsKey only with encryption: aws:kms")
        return self


class ReplicaFields(Fields):
    """A second bucket that gets every archive too, uploaded and verified by itself."""

    bucket: Text = Field(pattern=BUCKET, description="The bucket, in any region of the account.")
    storage_class: StorageClass = Field("STANDARD", description="The class at upload.")


class TransitionFields(Fields):
    """A move to a cheaper class."""

    days: int = Field(ge=0, description="So many days after the upload; 0 is the next daily run.")
    storage_class: StorageClass = Field(description="S3's own name of the class.")


class LifecycleFields(Fields):
    """The tags that archives get, and the rule that goes by them: of one definition."""

    policy: Literal["fast", "normal", "delayed", "deep-archive"] | None = Field(
        None,
        description="fast: DEEP_ARCHIVE after 7 days; normal: after 30; delayed: GLACIER after 90;"
        " deep-archive: DEEP_ARCHIVE at once, that is at S3's next daily run.",
    )
    id: Text | None = Field(None, max_length=255, description="A rule of your own: its id.")
    tags: dict[TagName, TagValue] = Field(
        default_factory=dict, description="A rule of your own: the tags it goes by."
    )
    transitions: tuple[TransitionFields, ...] = Field(
        (), description="A rule of your own: what it does."
    )

    @model_validator(mode="after")
    def _one_way(self) -> LifecycleFields:
        own = (self.id is not None, bool(self.tags), bool(self.transitions))
        if any(own) != all(own) or any(own) == (self.policy is not None):
            raise PydanticCustomError(
                CONTRADICTION, "lifecycle has a policy, or all of id, tags and transitions"
            )
        faults = [one for one in rule_faults(self.definition().rule) if one.severity == "error"]
        if faults:
            raise PydanticCustomError(
                CONTRADICTION,
                "{what}",
                {"what": "; ".join(f"{one.what} ({one.next_step})" for one in faults)},
            )
        return self

    def definition(self) -> ArchivePolicy:
        """The value."""
        if self.policy is not None:
            return POLICIES[self.policy]
        assert self.id is not None
        moves = sorted(self.transitions, key=lambda one: one.days)
        return ArchivePolicy(
            self.id, self.tags, tuple(Transition(one.storage_class, one.days) for one in moves)
        )


class ArchiveFields(Fields):
    """How a session becomes one object."""

    compression: Compression = Field(
        "none", description="none is quickest and lets one file be fetched alone; gzip or zstd."
    )
    keep_local: Text | None = Field(
        None,
        description="A directory that keeps every archive as well, under its key; relative to this"
        " manifest. Without it there is no local copy.",
    )
    max_size: Size | None = Field(
        None, description="A session whose tar is larger blocks the plan."
    )


class NotesFields(Fields):
    """A text for each session, beside its archive; put again when it changed."""

    source: Text = Field(
        alias="from",
        description="Where notes are, relative to this manifest: notes/{year}/{session}_notes.md.",
    )
    key: Text = Field(
        "backups/sessions/{year}/{session}_notes.md",
        description="The key of a note: {session}, {year} and the parts of sessions.pattern.",
    )
    content_type: Text = Field("text/markdown", description="Its content type.")
    lifecycle: LifecycleFields | None = Field(
        None, description="When notes move to cheaper classes; without it, never."
    )

    def template(self, parts: tuple[str, ...]) -> SessionKey:
        """What keys are made of. Raises ValueError."""
        return SessionKey.parse(self.key, parts)

    @model_validator(mode="after")
    def _names_sessions(self) -> NotesFields:
        try:
            names = [name for name, _ in pieces_of(self.source) if name]
        except ValueError as error:
            raise PydanticCustomError(
                CONTRADICTION, "notes.from: {why}", {"why": str(error)}
            ) from error
        if "session" not in names or len(set(names)) != len(names):
            raise PydanticCustomError(
                CONTRADICTION, "notes.from names {part} once", {"part": "{session}"}
            )
        return self


class ExtraFields(Fields):
    """Other files, of which every version has a key of its own: databases, final outputs."""

    source: Text = Field(
        alias="from", description="A file or a glob, relative to this manifest: db/*.sqlite."
    )
    key: ExtraKeyText = Field(
        extrakeys.DEFAULT,
        description="The key of a version: {file} or {stem} and {ext}, and {digest} or {modified}"
        " by which versions differ.",
    )
    content_type: Text | None = Field(None, description="Its content type.")
    lifecycle: LifecycleFields | None = Field(
        None, description="When they move to cheaper classes; without it, never."
    )


class ArchiveSpec(Fields):
    """Which sessions, and what S3 shall hold of each."""

    enabled: bool = Field(True, description="false plans nothing, and says so.")
    source: LibraryFields = Field(description="The files.")
    sessions: SessionFields = Field(
        default_factory=SessionFields, description="Which of them are one session."
    )
    target: TargetFields = Field(description="What archives are called and have.")
    replica: ReplicaFields | None = Field(None, description="A second bucket for every archive.")
    bucket: BucketItselfFields | None = Field(
        None, description="Whether the buckets are made, and keep versions."
    )
    lifecycle: LifecycleFields | None = Field(
        None, description="When archives move to cheaper classes."
    )
    archive: ArchiveFields = Field(
        default_factory=ArchiveFields, description="How a session becomes one object."
    )
    notes: NotesFields | None = Field(None, description="A text for each session.")
    extras: tuple[ExtraFields, ...] = Field(
        (), description="Other files that are kept in all their versions."
    )
    changed: Literal["replace", "list"] = Field(
        "replace",
        description="Sessions that are not what their archive holds: a step that replaces it, in a"
        " bucket that keeps versions; or they are only told of.",
    )
    other_tags: Literal["replace", "list", "ignore"] = Field(
        "replace",
        description="Archives whose tags are not those of the lifecycle policy, as they were made"
        " under another: a step that changes the tags; or they are told of; or nobody asks.",
    )
    adopted: Literal["list", "index"] = Field(
        "list",
        description="Archives without an index, made by another program: they are told of; or a"
        " step reads each, compares it with the disk, and puts the index beside it.",
    )
    order: Literal["oldest", "newest"] = Field(
        "oldest", description="In which order sessions are archived."
    )
    window: Annotated[str, AfterValidator(_window_checked)] | None = Field(
        None,
        description="Hours of the clock on the wall in which an archive may be begun, such as"
        " 22:00-07:00; apply waits for them.",
    )
    connection: Text | None = Field(
        None, description="The name of a Connection; without it, the only one or 'default'."
    )

    @model_validator(mode="after")
    def _keys_are_made_of_known_parts(self) -> ArchiveSpec:
        try:
            SessionKey.parse(self.target.key, self.sessions.parts)
        except ValueError as error:
            raise PydanticCustomError(
                "session_key", "target.key: {why}", {"why": str(error)}
            ) from error
        if self.notes is not None:
            try:
                self.notes.template(self.sessions.parts)
            except ValueError as error:
                raise PydanticCustomError(
                    "session_key", "notes.key: {why}", {"why": str(error)}
                ) from error
        suffix = SUFFIXES[self.archive.compression]
        if not self.target.key.endswith(suffix):
            raise PydanticCustomError(
                CONTRADICTION,
                "target.key ends in {suffix}, as archive.compression says",
                {"suffix": suffix},
            )
        if len({**self.tags(), **self.target.tags}) > MOST_TAGS:
            raise PydanticCustomError(CONTRADICTION, "an object has ten tags at most")
        if set(self.tags()) & set(self.target.tags):
            raise PydanticCustomError(
                CONTRADICTION, "target.tags does not name the tags of the lifecycle policy"
            )
        beside = [one.lifecycle for one in (self.notes, *self.extras) if one is not None]
        said = [one.definition() for one in (self.lifecycle, *beside) if one is not None]
        for one in said:
            if any(other.id == one.id and other != one for other in said):
                raise PydanticCustomError(
                    CONTRADICTION, "two lifecycle rules have the id {id}", {"id": one.id}
                )
        if self.replica is not None and self.replica.bucket == self.target.bucket:
            raise PydanticCustomError(CONTRADICTION, "replica.bucket is another bucket")
        return self

    def policies(self) -> tuple[ArchivePolicy, ...]:
        """Every lifecycle policy that something of this manifest has, each once."""
        beside = [one.lifecycle for one in (self.notes, *self.extras) if one is not None]
        said = [one.definition() for one in (self.lifecycle, *beside) if one is not None]
        return tuple({one.id: one for one in said}.values())

    def tags(self) -> dict[str, str]:
        """The tags that the lifecycle rule goes by."""
        return self.lifecycle.definition().tags if self.lifecycle is not None else {}

    def targets(self) -> tuple[TargetFields, ...]:
        """Every bucket that gets every archive."""
        if self.replica is None:
            return (self.target,)
        again = self.target.model_copy(
            update={"bucket": self.replica.bucket, "storage_class": self.replica.storage_class}
        )
        return (self.target, again)

    @property
    def prefix(self) -> str:
        """What every key starts with that is made of this manifest."""
        heads = [self.key.head]
        if self.notes is not None:
            heads.append(self.notes.template(self.sessions.parts).head)
        heads += [ExtraKey.parse(extra.key).head for extra in self.extras]
        return commonprefix(heads)  # noqa: RUF071 - keys, not paths

    @property
    def key(self) -> SessionKey:
        """What keys are made of."""
        return SessionKey.parse(self.target.key, self.sessions.parts)


class ArchiveDocument(Frame):
    """Sessions archived: each one tar in S3, verified, with an index beside it."""

    kind: Literal["SessionArchive"] = Field(description="This kind.")
    spec: ArchiveSpec = Field(description="What shall be true.")


def keep_of(spec: ArchiveSpec, directory: Path) -> str | None:
    """The directory that keeps archives as well; a relative one starts at ``directory``."""
    if spec.archive.keep_local is None:
        return None
    return os.path.normpath(directory.absolute() / spec.archive.keep_local)


def library_of(spec: ArchiveSpec, directory: Path) -> Library:
    """The library; relative paths start at ``directory``, the manifest's."""
    said = spec.sessions
    pattern = SessionPattern.parse(said.pattern)
    listed = None if said.list is None else os.path.normpath(directory.absolute() / said.list)
    return Library(
        path=os.path.normpath(directory.absolute() / spec.source.path),
        by=said.by,
        pattern=pattern.regex,
        names=pattern.names,
        zone=said.timezone,
        keys=said.group_keys,
        listed=listed,
        ignore=said.ignore,
    )
