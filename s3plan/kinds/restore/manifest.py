"""``kind: ArchiveRestore`` as people write it: which archives, which of their files, where to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from s3plan.kinds.extras import ExtraKeyText
from s3plan.kinds.fields import CONTRADICTION, Fields, Frame, RestoreFields, Size, Text
from s3plan.rules.braces import names_of, pieces_of
from s3plan.rules.sessions import extrakeys
from s3plan.rules.sessions.extrakeys import ExtraKey

PATH_PARTS = ("file", "version")


def _path_checked(text: str) -> str:
    try:
        names = set(names_of(pieces_of(text)))
    except ValueError as error:
        raise PydanticCustomError(
            CONTRADICTION, "extras.path: {why}", {"why": str(error)}
        ) from error
    if "file" not in names or not names <= set(PATH_PARTS):
        raise PydanticCustomError(
            CONTRADICTION,
            "extras.path is made of {parts}, and names the file",
            {"parts": "{file} and {version}"},
        )
    return text


Glob = Annotated[str, Field(min_length=1, examples=["M31_*"])]


class SourceFields(Fields):
    """Where the archives are."""

    bucket: Text = Field(
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", description="The bucket that holds them."
    )
    prefix: str = Field("", description="What their keys begin with, literally.")
    without_index: Literal["list", "read", "unpack"] = Field(
        "list",
        description="Tars that have no index beside them, made by another program: they are counted"
        " and left; read: their headers are read, by ranges, and tell what is in them; unpack: the"
        " same, and those that are packed as one piece (.tar.gz, .tgz, .tar.zst) are read whole"
        " whenever a plan is made.",
    )
    most_unpacked: Size | None = Field(
        None,
        description="Bytes that a packed archive without an index may unpack to; without it, a"
        " hundred times its size.",
    )


class DestinationFields(Fields):
    """Where the files go."""

    path: Text = Field(
        pattern=r"^[^\x00]*$",
        description="A directory; relative to this file. Each archive's top folder is made in it.",
    )
    shared: bool = Field(
        False,
        description="Whether the workers of a cluster have this directory at the same path "
        "(docs/scale.md); each of them has to prove it before it writes there.",
    )


class ExtrasFields(Fields):
    """Other files that a SessionArchive keeps in all their versions."""

    key: ExtraKeyText = Field(
        extrakeys.DEFAULT, description="Their keys, as extras.key of the SessionArchive says."
    )
    names: Annotated[tuple[Glob, ...], Field(min_length=1)] = Field(
        ("*",), description="Globs of the files' names.", examples=[("*.sqlite",)]
    )
    versions: (
        Literal["latest", "all"]
        | Annotated[tuple[Glob, ...], Field(min_length=1, examples=[("20240315_*",)])]
    ) = Field(
        "latest",
        description="latest: of each file the version that was changed last; all; or globs of"
        " versions' names, as s3plan list extras shows them.",
    )
    path: Annotated[Text, AfterValidator(_path_checked)] | None = Field(
        None,
        description="Where each goes below the destination, made of {file} and {version}. Without"
        " it {file} for the latest, and {version}/{file} for others.",
    )

    @property
    def where(self) -> str:
        """What paths are made of."""
        return self.path or ("{file}" if self.versions == "latest" else "{version}/{file}")


class ArchiveRestoreSpec(Fields):
    """What shall be on the disk."""

    source: SourceFields = Field(description="Where the archives are.")
    sessions: Annotated[tuple[Glob, ...], Field(min_length=1)] = Field(
        ("*",), description="Globs of sessions' names, which are the archives' top folders."
    )
    keys: Annotated[tuple[Glob, ...], Field(min_length=1)] = Field(
        ("*",), description="Globs of the archives' keys; * is any text, / included."
    )
    files: Annotated[tuple[Glob, ...], Field(min_length=1)] = Field(
        ("*",),
        description="Globs of files below the top folder; only these are read, by their ranges.",
        examples=[("*_001.fits",)],
    )
    extras: ExtrasFields | None = Field(
        None,
        description="Other files that are kept in versions. With them archives come along only"
        " where sessions, keys or files says which.",
    )
    destination: DestinationFields = Field(description="Where the files go.")
    restore: RestoreFields = Field(
        default_factory=RestoreFields, description="How archived objects are made readable."
    )
    connection: Text | None = Field(
        None, description="The name of a Connection; without it, the only one or 'default'."
    )

    @model_validator(mode="after")
    def _extras_are_below_the_prefix(self) -> ArchiveRestoreSpec:
        if self.extras is not None:
            head = ExtraKey.parse(self.extras.key).head
            if not head.startswith(self.source.prefix):
                raise PydanticCustomError(
                    CONTRADICTION,
                    "extras.key begins with {head}, and source.prefix is {prefix}: leave the prefix"
                    " out, or restore the extras by a manifest of their own",
                    {"head": repr(head), "prefix": repr(self.source.prefix)},
                )
        return self

    @property
    def archives(self) -> bool:
        """Whether archives are meant, and not extras alone."""
        return self.extras is None or bool(self.model_fields_set & {"sessions", "keys", "files"})


class RestoreDocument(Frame):
    """Archives, or files of them, back on a disk: restored, read, compared and extracted."""

    kind: Literal["ArchiveRestore"] = Field(description="This kind.")
    spec: ArchiveRestoreSpec = Field(description="What shall be on the disk.")


def destination_path(spec: ArchiveRestoreSpec, directory: Path) -> str:
    """The absolute destination; a relative one starts at ``directory``, that of the manifest."""
    return os.path.normpath(directory.absolute() / spec.destination.path)
