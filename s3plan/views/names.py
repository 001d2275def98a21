"""Lists of names that may be long: the first few, and how many there are besides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from s3plan.views.quantities import number
from s3plan.views.text import visible

ON_A_TERMINAL = 10
"""Names on one screen: more would push what matters out of sight."""

IN_A_FILE = 100
"""Names where the output is kept."""


def name_lines(title: str, names: Sequence[str], total: int, most: int) -> Iterator[Text]:
    """Yield ``title:``, at most ``most`` names, and how many of ``total`` are not shown."""
    if not names:
        return
    yield Text(f"{title}:")
    for name in names[:most]:
        yield Text(f"  {visible(name)}")
    more = max(total, len(names)) - min(most, len(names))
    if more:
        yield Text(f"  ... and {number(more)} more")
