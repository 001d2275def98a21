"""``s3plan plan``: look at S3, write the difference as a plan, show it."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command
from s3plan.cli.environment import unattended
from s3plan.cli.exits import CHANGES
from s3plan.cli.settings import settings
from s3plan.cli.variables import read_variables, variable_options
from s3plan.cli.worklist import read_worklist, worklist_options


@click.command(
    cls=Command,
    name="plan",
    short_help="Look at S3 and write what has to be done as a plan.",
    exits=(0, 1, 2, 6),
)
@click.argument(
    "manifests",
    metavar="MANIFEST...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
)
@click.option(
    "--out",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("plan.json"),
    show_default=True,
    help="The plan file to write; .zst and .gz are compressed.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="WHAT=GLOB",
    help="Plan only what matches: bucket=photos-*, session=2024*. May be repeated.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="WHAT=GLOB",
    help="Leave out what matches: bucket=GLOB, session=GLOB. May be repeated.",
)
@click.option(
    "--year",
    multiple=True,
    metavar="YYYY",
    help="Of a SessionArchive: plan only sessions of this year. May be repeated.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Of a SessionArchive: archive at most N sessions, in the order of the manifest.",
)
@click.option(
    "--replace",
    "replace_archives",
    is_flag=True,
    help="Of a SessionArchive: archive again what is archived already.",
)
@click.option(
    "--limit-groups",
    type=click.IntRange(min=1),
    metavar="N",
    help="A pilot of an ObjectGrouping: plan only the first N groups that are not done.",
)
@click.option(
    "--detailed-exitcode",
    is_flag=True,
    help="Exit with 2 instead of 0 when the plan has changes.",
)
@click.option(
    "--prices",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A price list of your own (docs/cost.md); the cost in the plan is estimated with it.",
)
@worklist_options
@variable_options
def command(
    *,
    manifests: tuple[Path, ...],
    out: Path,
    only: tuple[str, ...],
    exclude: tuple[str, ...],
    limit_groups: int | None,
    year: tuple[str, ...],
    limit: int | None,
    replace_archives: bool,
    items: str | None,
    from_journal: Path | None,
    failed: bool,
    detailed_exitcode: bool,
    prices: Path | None,
    var: tuple[str, ...],
    var_file: tuple[Path, ...],
) -> int:
    """Look at S3 and write what has to be done as a plan file.

    Only reads. Prints the steps in order, how each is undone, and one `Plan:` line, or exactly
    `No changes.`
    """
    from s3plan import api
    from s3plan.rules.commands import apply_command
    from s3plan.views.view import Remarks

    said = unattended()
    if not only and said.bucket is not None and said.key is None:
        only = (f"bucket={said.bucket}",)
    variables = read_variables(var, var_file)
    view = settings().view()
    with read_worklist(items, from_journal, failed) as worklist, view.look() as watch:
        made = api.plan(
            manifests,
            out=out,
            variables=variables,
            only=only,
            exclude=exclude,
            limit_groups=limit_groups,
            years=year,
            limit=limit,
            replace_archives=replace_archives,
            worklist=worklist or said.worklist(),
            objects=said.objects,
            prices=prices,
            observer=watch,
        )
    path = str(made.path or out)
    following = apply_command(path, made.plan.digest) if made.plan else ""
    view.plan_made(made.plan, path, following, Remarks((*said.notes, *made.notes), made.unfinished))
    return CHANGES if made.plan is not None and detailed_exitcode else 0
