"""Counts of what is given to another program, and of what is not, by reason."""

from __future__ import annotations

from s3plan.model.handover import LeftOut
from s3plan.model.steps import Item, Totals


class Leftovers:
    """What is given and what stays, counted item by item; memory is that of the reasons."""

    def __init__(self) -> None:
        self.given = Totals()
        self._left: dict[str, LeftOut] = {}

    def give(self, item: Item) -> None:
        """Count an item that is given."""
        self.given += Totals(1, item.size)

    def keep(self, item: Item, reason: str) -> None:
        """Count an item that stays."""
        known = self._left.get(reason)
        totals = (known.totals if known else Totals()) + Totals(1, item.size)
        self._left[reason] = LeftOut(reason, totals, known.example if known else item.key)

    def told(self) -> tuple[LeftOut, ...]:
        """What stays, the most frequent reason first."""
        return tuple(sorted(self._left.values(), key=lambda one: -one.totals.items))
