"""``s3plan cost``: the bill of a plan by month, or the prices of the storage classes."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command
from s3plan.cli.settings import settings


@click.command(
    cls=Command,
    name="cost",
    short_help="Show what a plan costs, month by month.",
    exits=(0, 1),
)
@click.argument(
    "plan", metavar="[PLAN]", type=click.Path(path_type=Path), default=Path("plan.json")
)
@click.option(
    "--months",
    type=click.IntRange(1, 120),
    default=12,
    show_default=True,
    help="How many months to add up.",
)
@click.option("--classes", is_flag=True, help="Show the prices by storage class instead.")
@click.option(
    "--region",
    metavar="NAME",
    default="us-east-1",
    show_default=True,
    help="Whose prices --classes shows.",
)
@click.option(
    "--prices",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A price list of your own, for --classes.",
)
def command(*, plan: Path, months: int, classes: bool, region: str, prices: Path | None) -> int:
    """Show what a plan file (plan.json unless named) is estimated to cost.

    Estimates were made when the plan was: `s3plan plan --prices FILE` makes them with other prices.
    """
    from s3plan import api

    view = settings().view()
    if classes:
        view.class_prices(region, api.region_prices(region, prices=prices))
        return 0
    if prices is not None:
        message = "--prices is for --classes; the plan's cost is in the plan"
        raise click.UsageError(message)
    view.bill(api.show(plan).header.known_cost, months)
    return 0
