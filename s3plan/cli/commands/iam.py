"""``s3plan iam``: the least IAM policy that a manifest's plan, apply and rollback need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from s3plan.cli.command import Command
from s3plan.cli.settings import settings
from s3plan.cli.variables import read_variables, variable_options

if TYPE_CHECKING:
    from s3plan.rules.permissions import Phase


@click.command(
    cls=Command,
    name="iam",
    short_help="Print the least IAM policy that manifests need.",
    exits=(0, 1),
)
@click.argument(
    "manifests", metavar="MANIFEST...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--phase",
    "phases",
    multiple=True,
    type=click.Choice(["plan", "apply", "rollback"]),
    help="Only what this needs; may be repeated. Without it, all three.",
)
@variable_options
def command(
    *,
    manifests: tuple[Path, ...],
    phases: tuple[str, ...],
    var: tuple[str, ...],
    var_file: tuple[Path, ...],
) -> int:
    """Print an identity policy (JSON) with the actions that MANIFEST needs, bucket by bucket.

    Nothing is asked of S3. Attach it to the user or role that runs s3plan.
    """
    import json

    from s3plan import api

    policy = api.iam_policy(
        manifests,
        phases=[cast("Phase", phase) for phase in phases],
        variables=read_variables(var, var_file),
    )
    if settings().json:
        settings().view().told("", {"type": "iam-policy", "policy": policy})
    else:
        settings().view().document(json.dumps(policy, indent=2) + "\n")
    return 0
