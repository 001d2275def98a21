"""``s3plan import``: a manifest that says what a bucket has, or what another program was told."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command
from s3plan.cli.settings import settings

CONFIGURATION = ".json"
"""How the name of another program's configuration ends; no kind is called so."""


@click.command(
    cls=Command,
    name="import",
    short_help="Print the manifest that says what a bucket has, or a configuration says.",
    exits=(0, 1),
)
@click.argument("kind", metavar="KIND|FILE")
@click.argument("bucket", metavar="[BUCKET]", required=False)
@click.option(
    "--connection",
    metavar="MANIFEST",
    type=click.Path(path_type=Path),
    help="A manifest file with the Connection to use; without it the usual AWS chain counts.",
)
@click.option(
    "--leave-out",
    is_flag=True,
    help="Of a FILE: leave out settings that cannot be honoured, and name them in a comment.",
)
def command(*, kind: str, bucket: str | None, connection: Path | None, leave_out: bool) -> int:
    """Print a manifest for BUCKET that gives No changes, to begin from; only reads.

    KIND is bucket-access or bucket-lifecycle. FILE is astro_cat's s3_config.json: it becomes a
    SessionArchive with its Connection, and settings that cannot be honoured are refused by name.
    """
    from s3plan import api

    view = settings().view()
    if kind.endswith(CONFIGURATION):
        view.document(api.import_configuration(Path(kind), leave_out=leave_out))
        return 0
    if bucket is None:
        message = "name the BUCKET to import from"
        raise click.UsageError(message)
    view.document(api.import_manifest(kind, bucket, connection=connection))
    return 0
