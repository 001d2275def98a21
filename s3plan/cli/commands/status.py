"""``s3plan status``: how far a run is, bucket by bucket."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command
from s3plan.cli.settings import settings


@click.command(
    cls=Command, name="status", short_help="Show how far a run is, bucket by bucket.", exits=(0, 1)
)
@click.argument("journal", metavar="[JOURNAL]", required=False, type=click.Path(path_type=Path))
def command(journal: Path | None) -> int:
    """Show how far a run is (that of journal.json unless named); works while it runs."""
    from s3plan import api

    settings().view().status(api.status(journal))
    return 0
