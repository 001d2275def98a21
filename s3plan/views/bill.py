"""The bill of a plan: what is charged for, and how it adds up month by month; prices by class."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from s3plan.model.cost import ChargeLine, Dollars, PlanCost
from s3plan.rules.prices import MINIMUM_DAYS, Price, RegionPrices
from s3plan.rules.prices import dollars as as_dollars
from s3plan.rules.restores import SECONDS
from s3plan.views.quantities import dollars, duration
from s3plan.views.text import visible


def months(cost: PlanCost, count: int) -> Iterator[tuple[int, Dollars, Dollars]]:
    """Yield month, difference to the bill of that month, and sum of the differences so far.

    What is paid once falls into the first month, which is also a whole month of the new bill.
    """
    total = Dollars()
    for month in range(1, count + 1):
        here = cost.total.monthly + (cost.total.once if month == 1 else Dollars())
        total += here
        yield month, here.rounded(), total.rounded()


def bill(cost: PlanCost | None, count: int) -> Iterator[RenderableType]:
    """Yield the charges, then a line for each of ``count`` months."""
    if cost is None:
        yield Text("Cost: unknown. There are no prices for this endpoint or one of the classes.")
        yield Text("next: write them into a file and plan again with --prices FILE")
        return
    yield Text(visible(f"List prices of {cost.region}, {cost.date}; {cost.source}."), style="dim")
    yield Text()
    table = _table("charge", "class", "once", "a month")
    monthly = {(line.charge, line.storage_class): line for line in cost.total.monthly_lines}
    for line in cost.total.lines:
        _row(table, line, line.dollars, None)
    for line in monthly.values():
        _row(table, line, None, line.dollars)
    table.add_section()
    table.add_row("total", "", dollars(cost.total.once), dollars(cost.total.monthly))
    yield table
    yield Text()
    yield Text("The difference to the bill:")
    calendar = _table("month", "difference", "so far", left=1)
    for month, here, total in months(cost, count):
        calendar.add_row(str(month), dollars(here), dollars(total))
    yield calendar


def class_prices(prices: RegionPrices) -> Iterator[RenderableType]:
    """Yield a table of storage classes with what they cost, and one of retrieval options."""
    table = _table("class", "GB-month", "1,000 PUT", "1,000 GET", "GB read", "minimum days", left=1)
    for name, each in prices.classes.items():
        table.add_row(
            visible(name),
            *(_price(price) for price in (each.storage, each.put, each.get, each.retrieval)),
            str(MINIMUM_DAYS.get(name, "-")),
        )
    yield table
    if prices.restores:
        yield Text()
        options = _table(
            "archive", "retrieval", "GB restored", "1,000 requests", "ready in at most"
        )
        for name, tiers in prices.restores.items():
            for tier, each_tier in tiers.items():
                slowest = next(
                    (most for key, (_, most) in SECONDS.items() if key == (name, tier)), None
                )
                options.add_row(
                    visible(name),
                    visible(tier),
                    _price(each_tier.gb),
                    _price(each_tier.thousand),
                    "unknown" if slowest is None else duration(slowest),
                )
        yield options


def _row(table: Table, line: ChargeLine, once: Dollars | None, monthly: Dollars | None) -> None:
    table.add_row(
        line.charge.replace("-", " "),
        visible(line.storage_class),
        "" if once is None else dollars(once),
        "" if monthly is None else dollars(monthly),
    )


def _table(*names: str, left: int = 2) -> Table:
    """A table whose first ``left`` columns are words, the others figures."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for number, name in enumerate(names):
        table.add_column(name, justify="left" if number < left else "right")
    return table


def _price(price: Price) -> str:
    """Write a unit price with as many digits as it has; a range as ``from-to``."""
    amount = as_dollars(price)
    low, high = (f"{value:.6f}".rstrip("0").rstrip(".") for value in (amount.low, amount.high))
    return f"${low}" if low == high else f"${low}-{high}"
