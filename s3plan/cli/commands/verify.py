"""``s3plan verify``: read an evacuated tree again and compare it with its catalogue."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command
from s3plan.cli.exits import INCOMPLETE
from s3plan.cli.settings import settings
from s3plan.cli.variables import read_variables, variable_options


@click.command(
    cls=Command,
    name="verify",
    short_help="Read evacuated files again and compare them with their catalogue.",
    exits=(0, 1, 3, 130),
)
@click.argument("target", metavar="DIRECTORY|MANIFEST|JOURNAL", type=click.Path(path_type=Path))
@click.option(
    "--only",
    multiple=True,
    metavar="bucket=GLOB",
    help="Verify only buckets that match. May be repeated.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="bucket=GLOB",
    help="Leave out buckets that match. May be repeated.",
)
@click.option(
    "--max-errors",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="How many problems to name on the screen; the report names all.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write every problem and the figures to FILE, as JSON Lines.",
)
@variable_options
def command(
    *,
    target: Path,
    only: tuple[str, ...],
    exclude: tuple[str, ...],
    max_errors: int,
    report: Path | None,
    var: tuple[str, ...],
    var_file: tuple[Path, ...],
) -> int:
    """Read every evacuated file again and compare it with what was recorded of its object.

    Works years later and without S3: it sends no request and writes nothing but the report. Names
    a destination, the manifest that says where it is, or the journal of a run. Ends with 3 where a
    file is missing, extra, unreadable or other than recorded.
    """
    from s3plan import api

    view = settings().view()
    with view.watch() as watch:
        found = api.verify(
            target,
            variables=read_variables(var, var_file),
            only=only,
            exclude=exclude,
            most_problems=max_errors,
            report=report,
            observer=watch,
        )
    view.tree_verified(found)
    return 0 if found.passes else INCOMPLETE
