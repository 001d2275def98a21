"""How much a plan is about, object by object, whatever number of steps work on each."""

from __future__ import annotations

from collections.abc import Iterable

from s3plan.model.steps import Archive, Extract, Step, Totals


def totals_of(steps: Iterable[Step]) -> Totals:
    """What steps on one subject are about.

    Of most, the largest worklist holds all the others; archives have files of their own each.
    """
    archived = largest = Totals()
    for step in steps:
        if isinstance(step.action, Archive | Extract):
            archived += step.totals
        else:
            largest = max(largest, step.totals, key=lambda one: (one.items, one.bytes))
    return max(largest, archived, key=lambda one: (one.items, one.bytes))
