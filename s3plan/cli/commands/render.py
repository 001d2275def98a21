"""``s3plan render``: the documents that manifests mean, as files."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command
from s3plan.cli.settings import settings
from s3plan.cli.variables import read_variables, variable_options


@click.command(
    cls=Command,
    name="render",
    short_help="Write the policies and lifecycle rules that manifests mean.",
    exits=(0, 1),
)
@click.argument(
    "manifests", metavar="MANIFEST...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--out",
    metavar="DIR",
    default="policies",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the files go; it is made if need be.",
)
@click.option(
    "--replace", is_flag=True, help="Write over files that are there and say something else."
)
@variable_options
def command(
    *,
    manifests: tuple[Path, ...],
    out: Path,
    replace: bool,
    var: tuple[str, ...],
    var_file: tuple[Path, ...],
) -> int:
    """Write BUCKET_policy.json and BUCKET_lifecycle.json, whole, as each bucket shall have them.

    They are what `policy.from` and `rules.from` read. Looks at S3, since what others put there is
    kept, and writes nothing there. A file of yours that says something else stays, unless you say
    --replace.
    """
    from s3plan import api

    view = settings().view()
    written = api.render(
        manifests, out=out, replace=replace, variables=read_variables(var, var_file)
    )
    view.names("file", tuple(map(str, written)))
    return 0
