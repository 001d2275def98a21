"""How much a plan is about, object by object, whatever number of steps work on each."""

from __future__ import annotations

from collections.abc import Iterable

from s3plan.model.steps import Archive, Download, Extract, Step, Totals


def totals_of(steps: Iterable[Step]) -> Totals:
    """What steps on one subject are about.

    Of most, the largest worklist holds all the others; archives have files of their own each, and
    so have downloads: what can be read, and what must be restored before.
    """
    apart = largest = Totals()
    for step in steps:
        if isinstance(step.action, Archive | Extract | Download):
            apart += step.totals
        else:
            largest = max(largest, step.totals, key=_size)
    return max(largest, apart, key=_size)


def _size(totals: Totals) -> tuple[int, int]:
    return totals.items, totals.bytes
