"""``kind: ArchiveRestore`` as people write it: which archives, which of their files, where to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from s3plan.kinds.fields import Fields, Frame, RestoreFields, Text

Glob = Annotated[str, Field(min_length=1, examples=["M31_*"])]


class SourceFields(Fields):
    """Where the archives are."""

    bucket: Text = Field(
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", description="The bucket that holds them."
    )
    prefix: str = Field("", description="What their keys begin with, literally.")
    without_index: Literal["list", "read"] = Field(
        "list",
        description="Tars that have no index beside them, made by another program: they are counted"
        " and left; or their headers are read, by ranges, and tell what is in them.",
    )


class DestinationFields(Fields):
    """Where the files go."""

    path: Text = Field(
        pattern=r"^[^\x00]*$",
        description="A directory; relative to this file. Each archive's top folder is made in it.",
    )


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
    destination: DestinationFields = Field(description="Where the files go.")
    restore: RestoreFields = Field(
        default_factory=RestoreFields, description="How archived objects are made readable."
    )
    connection: Text | None = Field(
        None, description="The name of a Connection; without it, the only one or 'default'."
    )


class RestoreDocument(Frame):
    """Archives, or files of them, back on a disk: restored, read, compared and extracted."""

    kind: Literal["ArchiveRestore"] = Field(description="This kind.")
    spec: ArchiveRestoreSpec = Field(description="What shall be on the disk.")


def destination_path(spec: ArchiveRestoreSpec, directory: Path) -> str:
    """The absolute destination; a relative one starts at ``directory``, that of the manifest."""
    return os.path.normpath(directory.absolute() / spec.destination.path)
