"""``s3plan list``: what there is to declare something about."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command, Group
from s3plan.cli.settings import settings

_MANIFEST = click.argument(
    "manifest", metavar="[MANIFEST]", required=False, type=click.Path(path_type=Path)
)


@click.group(cls=Group, name="list", short_help="List buckets and policies.")
def command() -> None:
    """List buckets or policies, to choose from."""


@command.command(cls=Command, name="buckets", exits=(0, 1))
@_MANIFEST
def buckets(*, manifest: Path | None) -> int:
    """List the buckets that the credentials see, a name a line.

    MANIFEST is a file with the Connection to use; without it the usual AWS chain counts.
    """
    from s3plan import api

    settings().view().names("bucket", api.list_buckets(manifest))
    return 0


@command.command(cls=Command, name="policies", exits=(0, 1))
@_MANIFEST
@click.option(
    "--directory",
    metavar="DIR",
    default="policies",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Where policy files are, as `s3plan render` writes them.",
)
def policies(*, manifest: Path | None, directory: Path) -> int:
    """List the policy of every bucket, and the policy files that could be applied.

    MANIFEST is a file with the Connection to use; without it the usual AWS chain counts.
    """
    from s3plan import api

    settings().view().policies(api.list_policies(manifest, directory=directory))
    return 0
