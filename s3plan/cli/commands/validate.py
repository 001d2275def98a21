"""``s3plan validate``: every problem of manifests, without S3; or whether a plan still holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from s3plan.cli.command import Command
from s3plan.cli.exits import STALE
from s3plan.cli.settings import settings
from s3plan.cli.variables import read_variables, variable_options

if TYPE_CHECKING:
    from s3plan.views.view import View


@click.command(
    cls=Command,
    name="validate",
    short_help="Check manifests without asking S3, or a plan against S3.",
    exits=(0, 1, 5),
)
@click.argument(
    "files",
    metavar="MANIFEST...|PLAN",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
)
@variable_options
def command(files: tuple[Path, ...], var: tuple[str, ...], var_file: tuple[Path, ...]) -> int:
    """Check manifests and list every problem at once; S3 is not asked.

    A plan file is held against what is there now instead, item by item, without applying it: exit
    5 where something is no longer as planned, or the plan could not be applied.
    """
    from s3plan import api
    from s3plan.plan.reading import is_plan

    view = settings().view()
    if any(map(is_plan, files)):
        if len(files) != 1:
            message = "name manifests, or one plan"
            raise click.UsageError(message)
        return _recheck(view, files[0])
    found = api.validate(files, variables=read_variables(var, var_file))
    view.valid(found)
    return 0


def _recheck(view: View, path: Path) -> int:
    from s3plan import api

    found = api.recheck(path)
    view.rechecked(found)
    return 0 if found.holds else STALE
