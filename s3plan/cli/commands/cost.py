"""``s3plan cost``: the bill of a plan by month, or the prices of the storage classes."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command
from s3plan.cli.settings import settings
from s3plan.cli.tables import MANIFESTS, chosen_format, put_out
from s3plan.cli.variables import read_variables, variable_options


@click.command(
    cls=Command,
    name="cost",
    short_help="Show what a plan costs, month by month.",
    exits=(0, 1),
)
@click.argument(
    "plan", metavar="[PLAN|MANIFEST]", type=click.Path(path_type=Path), default=Path("plan.json")
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
    help="Whose prices --classes shows (us-east-1), or count for a manifest.",
)
@click.option(
    "--prices",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A price list of your own, for --classes and for a manifest.",
)
@variable_options
def command(
    *,
    plan: Path,
    months: int,
    classes: bool,
    region: str | None,
    prices: Path | None,
    var: tuple[str, ...],
    var_file: tuple[Path, ...],
) -> int:
    """Show what a plan file (plan.json unless named) is estimated to cost.

    Estimates were made when the plan was: `s3plan plan --prices FILE` makes them with other prices.
    Of a manifest with a SessionArchive: what its archives cost, and what having them back costs.
    """
    from s3plan import api

    view = settings().view()
    if plan.suffix in MANIFESTS and not classes:
        from s3plan.views.tabular import report_lines

        with view.look() as watch:
            bill = api.archive_bill(
                plan,
                variables=read_variables(var, var_file),
                months=months,
                region=region,
                prices=prices,
                observer=watch,
            )
        put_out(report_lines(bill, chosen_format(None, None), most_rows=None), None)
        return 0
    if classes:
        region = region or "us-east-1"
        view.class_prices(region, api.region_prices(region, prices=prices))
        return 0
    if prices is not None:
        message = "--prices is for --classes; the plan's cost is in the plan"
        raise click.UsageError(message)
    view.bill(api.show(plan).header.known_cost, months)
    return 0
