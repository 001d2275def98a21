"""``s3plan doctor``: is everything here that a run will need, and what can the endpoint do."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command
from s3plan.cli.settings import settings
from s3plan.cli.variables import read_variables, variable_options


@click.command(
    cls=Command,
    name="doctor",
    short_help="Check credentials, places and what the endpoint can do.",
    exits=(0, 1),
)
@click.argument("manifests", metavar="[MANIFEST]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--probe",
    is_flag=True,
    help="Write canaries in the Connection's scratch place and race for them; takes a minute.",
)
@click.option(
    "--with-bucket",
    is_flag=True,
    help="Also make a bucket, to try versions and policies in it, and remove it.",
)
@variable_options
def command(
    *,
    manifests: tuple[Path, ...],
    probe: bool,
    with_bucket: bool,
    var: tuple[str, ...],
    var_file: tuple[Path, ...],
) -> int:
    """Check credentials, buckets, destinations and the journal's place of manifests.

    Without a manifest: what the usual AWS chain leads to. Prints what is known of the endpoint's
    conditions, checksums, versions and policies. Only --probe and --with-bucket write, and only
    where they say.
    """
    from s3plan import api

    found = api.doctor(
        manifests,
        variables=read_variables(var, var_file),
        probe=probe,
        with_bucket=with_bucket,
    )
    settings().view().diagnosis(found)
    return 0 if found.healthy else 1
