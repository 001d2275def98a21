"""``s3plan validate``: read manifests and report every problem in them, without asking S3."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command
from s3plan.cli.settings import settings
from s3plan.cli.variables import read_variables, variable_options


@click.command(
    cls=Command, name="validate", short_help="Check manifests without asking S3.", exits=(0, 1)
)
@click.argument(
    "manifests",
    metavar="MANIFEST...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
)
@variable_options
def command(manifests: tuple[Path, ...], var: tuple[str, ...], var_file: tuple[Path, ...]) -> int:
    """Check manifests and list every problem at once; S3 is not asked."""
    from s3plan import api

    found = api.validate(manifests, variables=read_variables(var, var_file))
    settings().view().valid(found)
    return 0
