"""``s3plan list``: what there is to declare something about."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command, Group
from s3plan.cli.settings import settings
from s3plan.cli.tables import chosen_format, put_out
from s3plan.cli.variables import read_variables, variable_options

_MANIFEST = click.argument(
    "manifest", metavar="[MANIFEST]", required=False, type=click.Path(path_type=Path)
)


@click.group(cls=Group, name="list", short_help="List buckets, policies and sessions.")
def command() -> None:
    """List buckets, policies or sessions, to choose from."""


@command.command(cls=Command, name="buckets", exits=(0, 1))
@_MANIFEST
def buckets(*, manifest: Path | None) -> int:
    """List the buckets that the credentials see, a name a line.

    MANIFEST is a file with the Connection to use; without it the usual AWS chain counts.
    """
    from s3plan import api

    settings().view().names("bucket", api.list_buckets(manifest))
    return 0


@command.command(cls=Command, name="sessions", exits=(0, 1))
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--not-archived", is_flag=True, help="Only those that have no archive.")
@click.option("--year", multiple=True, metavar="YYYY", help="Only of this year. May be repeated.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "csv", "json", "markdown"]),
    help="How to write it; text unless said.",
)
@variable_options
def sessions(
    *,
    manifest: Path,
    not_archived: bool,
    year: tuple[str, ...],
    form: str | None,
    var: tuple[str, ...],
    var_file: tuple[Path, ...],
) -> int:
    """List the sessions of a SessionArchive: date, camera, size, and whether they are archived."""
    from s3plan import api
    from s3plan.views.tabular import TABLE_LINES

    view = settings().view()
    with view.look() as watch:
        found = api.list_sessions(
            manifest,
            variables=read_variables(var, var_file),
            years=year,
            not_archived=not_archived,
            observer=watch,
        )
    put_out(TABLE_LINES[chosen_format(form, None)](found.columns, found.rows), None)
    return 0


@command.command(cls=Command, name="extras", exits=(0, 1))
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "csv", "json", "markdown"]),
    help="How to write it; text unless said.",
)
@variable_options
def extras(
    *, manifest: Path, form: str | None, var: tuple[str, ...], var_file: tuple[Path, ...]
) -> int:
    """List the versions that the bucket keeps of the extras of a SessionArchive."""
    from s3plan import api
    from s3plan.views.tabular import TABLE_LINES

    view = settings().view()
    with view.look() as watch:
        found = api.list_extras(manifest, variables=read_variables(var, var_file), observer=watch)
    put_out(TABLE_LINES[chosen_format(form, None)](found.columns, found.rows), None)
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
