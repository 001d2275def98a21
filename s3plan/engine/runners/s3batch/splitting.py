"""Which items of a step go to the service, in how many jobs, at what price; and why others do not.

Pure: the same of a plan at any time, as far as the plan itself can tell.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from s3plan.model.handover import LeftOut
from s3plan.model.steps import Copy, Item, Restore, Totals
from s3plan.rules.handover.batch import JobKind, kind_of

MOST_KINDS = 1_000
"""Different jobs of one step; objects that would need more stay here."""

MOST_ROWS = 10_000_000
"""Objects of one job: a manifest of a few GB, which is sent with one request."""


class Split(Struct, frozen=True):
    """What goes with each kind of job, and what stays here."""

    kinds: dict[JobKind, Totals]
    left: tuple[LeftOut, ...]

    @property
    def given(self) -> Totals:
        """All that goes to the service."""
        return sum(self.kinds.values(), Totals())

    @property
    def jobs(self) -> int:
        """How many jobs that is."""
        return sum(-(-totals.items // MOST_ROWS) for totals in self.kinds.values())


def split(action: Copy | Restore, items: Iterable[Item], least: int) -> Split:
    """Sort a worklist. A job of fewer than ``least`` objects is not worth its price."""
    kinds: dict[JobKind, LeftOut] = {}
    left: dict[str, LeftOut] = {}
    for item in items:
        kind = kind_of(action, item)
        if not isinstance(kind, str) and kind not in kinds and len(kinds) >= MOST_KINDS:
            kind = f"more than {MOST_KINDS:,} different folders and classes"
        if isinstance(kind, str):
            left[kind] = _more(left.get(kind), kind, item)
        else:
            kinds[kind] = _more(kinds.get(kind), "", item)
    few = f"fewer than {least:,} of a job"
    for kind, counted in list(kinds.items()):
        if counted.totals.items < least:
            del kinds[kind]
            known = left.get(few)
            totals = counted.totals + (known.totals if known else Totals())
            left[few] = LeftOut(few, totals, counted.example)
    return Split({kind: counted.totals for kind, counted in kinds.items()}, tuple(left.values()))


def _more(known: LeftOut | None, reason: str, item: Item) -> LeftOut:
    totals = (known.totals if known else Totals()) + Totals(1, item.size)
    return LeftOut(reason, totals, known.example if known else item.key)
