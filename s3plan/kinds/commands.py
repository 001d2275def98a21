"""Commands: how the project file defines them, and which of those that manifests name it lacks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from s3plan.errors import ManifestError
from s3plan.kinds.fields import Duration, Fields
from s3plan.kinds.kind import Manifest
from s3plan.kinds.problems import nearest
from s3plan.model.commands import Command

LONGEST = 24 * 60 * 60.0
"""Seconds that a command may take at most."""

Argument = Annotated[str, Field(pattern=r"^[^\x00]*$")]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class CommandFields(Fields):
    """A command: a program with its arguments, no shell."""

    run: tuple[Argument, ...] = Field(
        min_length=1,
        description="The program and its arguments, as they are: no shell reads them.",
        examples=[["python", "-m", "pytest", "-q", "tests/integration"]],
    )
    directory: Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")] = Field(
        ".", description="Where it runs; relative to this file."
    )
    timeout: Duration = Field(
        900.0, gt=0, le=LONGEST, description="How long it may take; then it is killed."
    )
    environment: dict[Variable, Argument] = Field(
        default_factory=dict, description="Variables that it gets. No secrets: use inherit."
    )
    inherit: tuple[Variable, ...] = Field(
        (), description="Variables that it gets from the environment of s3plan, such as tokens."
    )


def command(name: str, fields: CommandFields, base: Path) -> Command:
    """The value; ``base`` is the directory of the project file."""
    return Command(
        name,
        fields.run,
        fields.directory,
        fields.timeout,
        dict(fields.environment.items()),
        fields.inherit,
        str(base.absolute()),
    )


def missing_commands(
    manifests: Iterable[Manifest], defined: Collection[str]
) -> Iterator[ManifestError]:
    """Commands that manifests name and the project file does not define."""
    for manifest in manifests:
        for name in dict.fromkeys(manifest.document.command_names):
            if name not in defined:
                yield ManifestError(
                    f"there is no command {name}",
                    address=manifest.address,
                    expected=", ".join(sorted(defined)) or "commands in s3plan.yaml",
                    found=name,
                    next_step=nearest(name, list(defined))
                    if defined
                    else "define it in s3plan.yaml, under spec.commands; only that file can",
                )
