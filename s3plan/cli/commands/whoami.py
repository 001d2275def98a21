"""``s3plan whoami``: whose credentials these are, and what they see."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command
from s3plan.cli.settings import settings


@click.command(
    cls=Command,
    name="whoami",
    short_help="Show whose credentials these are, and which buckets they see.",
    exits=(0, 1),
)
@click.argument("manifest", metavar="[MANIFEST]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--buckets",
    is_flag=True,
    help="Also every bucket with its region, its versioning, and whether it is public.",
)
def command(*, manifest: Path | None, buckets: bool) -> int:
    """Show account, user or role, and ARN, as S3 and IAM see them.

    MANIFEST is a file with the Connection to use; without it the usual AWS chain counts. Of a
    session of a role it also shows the role, which is what policies must name. Only reads.
    """
    from s3plan import api

    settings().view().whoami(api.whoami(manifest, buckets=buckets))
    return 0
