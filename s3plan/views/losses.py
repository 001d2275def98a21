"""What a deletion would take away for good, as gates, questions and standings show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from s3plan.model.journal import Loss
from s3plan.views.names import ON_A_TERMINAL, name_lines
from s3plan.views.quantities import counted, size
from s3plan.views.text import visible
from s3plan.views.wording import LOSSES


def loss_parts(losses: Sequence[Loss]) -> Iterator[Text]:
    """Yield what a deletion would take away for good, each kind with its figures and names."""
    for loss in losses:
        what = f"{counted(loss.totals.items, 'object')}, {size(loss.totals.bytes)}"
        yield Text(f"loss: {what} {LOSSES[loss.reason]}", style="bold red")
        yield from name_lines("among them", loss.names, loss.totals.items, ON_A_TERMINAL)
        if loss.listed:
            yield Text(visible(f"all of them: {loss.listed}"))
