"""``s3plan show``: the review of a plan file, or the items of one of its steps."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command
from s3plan.cli.settings import settings


@click.command(
    cls=Command,
    name="show",
    short_help="Show a plan, or every item of one of its steps.",
    exits=(0, 1),
)
@click.argument(
    "plan", metavar="[PLAN]", type=click.Path(path_type=Path), default=Path("plan.json")
)
@click.option("--step", metavar="ID", help="List every item of this step instead.")
def command(plan: Path, step: str | None) -> int:
    """Show a plan file (plan.json unless named), or every item of one step."""
    from s3plan import api
    from s3plan.rules.commands import apply_command

    view = settings().view()
    found = api.show(plan)
    if step is None:
        view.plan(found, str(plan), apply_command(str(plan), found.digest))
        return 0
    named = found.step(step)
    view.items(named, found.items(step) if named.worklist else iter(()))
    return 0
