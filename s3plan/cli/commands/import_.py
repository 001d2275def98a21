"""``s3plan import``: a manifest that says what a bucket has."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command
from s3plan.cli.settings import settings


@click.command(
    cls=Command,
    name="import",
    short_help="Print the manifest that says what a bucket has.",
    exits=(0, 1),
)
@click.argument("kind", type=click.Choice(["bucket-access", "bucket-lifecycle"]))
@click.argument("bucket")
@click.option(
    "--connection",
    metavar="MANIFEST",
    type=click.Path(path_type=Path),
    help="A manifest file with the Connection to use; without it the usual AWS chain counts.",
)
def command(*, kind: str, bucket: str, connection: Path | None) -> int:
    """Print a manifest for BUCKET that gives No changes, to begin from.

    Put its text into a file, beside the Connection if there is one. Only reads.
    """
    from s3plan import api

    settings().view().document(api.import_manifest(kind, bucket, connection=connection))
    return 0
