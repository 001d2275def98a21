"""Which items of a step go to S3 Batch Operations, in how many jobs; why others do not. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from s3plan.model.cost import Dollars
from s3plan.model.handover import LeftOut
from s3plan.model.steps import Copy, Item, Restore, Totals
from s3plan.rules.handover.batch import JobKind, kind_of, price

MOST_KINDS = 1_000
"""Different jobs of one step; objects that would need more stay here."""

MOST_ROWS = 10_000_000
"""Objects of one job: a manifest of a few GB, which is sent with one request."""


class Split(Struct, frozen=True):
    """What goes with each kind of job, and what stays here."""

    kinds: dict[JobKind, Totals]
    left: tuple[LeftOut, ...]

    @property
    def given(self) -> int:
        """Objects that go to the service."""
        return sum(totals.items for totals in self.kinds.values())

    @property
    def jobs(self) -> int:
        """How many jobs that is."""
        return sum(-(-totals.items // MOST_ROWS) for totals in self.kinds.values())

    @property
    def price(self) -> Dollars:
        """What the service takes for that."""
        return price(self.jobs, self.given)


def split(action: Copy | Restore, entries: Iterable[tuple[Item, Totals]], least: int) -> Split:
    """Sort a worklist, each item standing for so many that are sorted alike.

    A job of fewer than ``least`` objects is not worth its price.
    """
    kinds: dict[JobKind, LeftOut] = {}
    left: dict[str, LeftOut] = {}
    for item, totals in entries:
        kind = kind_of(action, item)
        if not isinstance(kind, str) and kind not in kinds and len(kinds) >= MOST_KINDS:
            kind = f"more than {MOST_KINDS:,} different folders and classes"
        if isinstance(kind, str):
            left[kind] = _more(left.get(kind), kind, item, totals)
        else:
            kinds[kind] = _more(kinds.get(kind), "", item, totals)
    few = f"fewer than {least:,} of a job"
    for kind, counted in list(kinds.items()):
        if counted.totals.items < least:
            del kinds[kind]
            known = left.get(few)
            all_few = counted.totals + (known.totals if known else Totals())
            left[few] = LeftOut(few, all_few, known.example if known else counted.example)
    return Split({kind: counted.totals for kind, counted in kinds.items()}, tuple(left.values()))


def _more(known: LeftOut | None, reason: str, item: Item, totals: Totals) -> LeftOut:
    if known is None:
        return LeftOut(reason, totals, item.key)
    return LeftOut(reason, known.totals + totals, known.example)
