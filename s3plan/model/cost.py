"""What a plan costs: US dollars between a lower and an upper bound, once and every month."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Charge = Literal[
    "requests",
    "retrieval",
    "restored-copies",
    "egress",
    "early-deletion",
    "storage",
    "monitoring",
    "batch-jobs",
]
"""What AWS bills for. ``restored-copies`` are the temporary copies that a restore makes; ``egress``
leaves the region; ``early-deletion`` is the rest of a class's minimum storage duration;
``batch-jobs`` is what S3 Batch Operations takes besides the requests of its jobs."""


class Dollars(Struct, frozen=True):
    """US dollars: at least ``low``, at most ``high``. What is saved is negative."""

    low: float = 0.0
    high: float = 0.0

    def __add__(self, other: Dollars) -> Dollars:
        return Dollars(self.low + other.low, self.high + other.high)

    def __neg__(self) -> Dollars:
        return Dollars(-self.high, -self.low)

    def times(self, factor: float) -> Dollars:
        """So many times this; ``factor`` is not negative."""
        return Dollars(self.low * factor, self.high * factor)

    def rounded(self) -> Dollars:
        """To a hundredth of a cent, so that a sum does not end in the noise of binary fractions."""
        return Dollars(round(self.low, 4), round(self.high, 4))


class ChargeLine(Struct, frozen=True):
    """One kind of charge for objects of one storage class, summed up."""

    charge: Charge
    storage_class: str
    dollars: Dollars


class Cost(Struct, frozen=True):
    """What a step or a plan costs: ``once``, and the difference to the bill of every later month.

    ``lines`` are the parts of ``once``; ``monthly_lines`` those of ``monthly``.
    """

    once: Dollars = Dollars()
    monthly: Dollars = Dollars()
    lines: tuple[ChargeLine, ...] = ()
    monthly_lines: tuple[ChargeLine, ...] = ()


class PlanCost(Struct, frozen=True):
    """The cost of a whole plan and of each of its steps by id.

    ``date`` and ``source`` are those of the price list, ``region`` is whose prices were taken.
    """

    total: Cost
    steps: dict[str, Cost]
    region: str
    date: str
    source: str
