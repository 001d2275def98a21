"""``s3plan diff``: what a plan does differently from one that was reviewed before."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command
from s3plan.cli.exits import CHANGES
from s3plan.cli.settings import settings


@click.command(
    cls=Command,
    name="diff",
    short_help="Show what changed between two plans.",
    exits=(0, 1, 2),
)
@click.argument("old", metavar="OLD", type=click.Path(path_type=Path))
@click.argument("new", metavar="NEW", type=click.Path(path_type=Path))
@click.option(
    "--items",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="How many changed items of each step are named.",
)
@click.option("--markdown", is_flag=True, help="Print Markdown for a pull request.")
@click.option(
    "--budget",
    type=click.IntRange(min=4_000),
    default=30_000,
    show_default=True,
    help="Bytes that --markdown may take.",
)
@click.option(
    "--detailed-exitcode", is_flag=True, help="Exit with 2 instead of 0 when they differ."
)
def command(
    *, old: Path, new: Path, items: int, markdown: bool, budget: int, detailed_exitcode: bool
) -> int:
    """Compare two plan files, step by step and item by item."""
    from s3plan import api

    view = settings().view()
    changes = api.compare(old, new, shown=items)
    if markdown:
        from s3plan.views.changes import markdown_changes

        view.document(markdown_changes(changes, budget=budget))
    else:
        view.changes(changes)
    return CHANGES if detailed_exitcode and not changes.same else 0
