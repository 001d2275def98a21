"""The look at a destination before each bucket: is it the one, is it writable, has it room.

A run lasts for days: between two buckets the disk may have been changed, filled or mounted
read-only. What fails here fails for every bucket that goes there, so it stops the run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from s3plan.engine.context import Context
from s3plan.engine.state import GOOD
from s3plan.errors import DestinationError, S3PlanError
from s3plan.localfs.marker import read_marker
from s3plan.localfs.tree import Changed, Missing, Occupied, Tree
from s3plan.model.steps import Download, Extract, Step, Totals
from s3plan.plan.room import lacking, room_for


async def check_destinations(context: Context, lane: Sequence[Step]) -> None:
    """Raise DestinationError unless all that the lane is still to download can go where it is to
    go.
    """
    going: dict[str, list[Step]] = {}
    for step in lane:
        if isinstance(step.action, Download | Extract):
            going.setdefault(step.action.destination, []).append(step)
    for path, steps in going.items():
        tree = context.destination(path).tree
        await context.in_thread(_check, context, steps, tree)


def is_of_the_disk(error: S3PlanError) -> bool:
    """Whether an error is about a destination as a whole, and not about one path in it."""
    return isinstance(error, DestinationError) and not isinstance(
        error, Occupied | Changed | Missing
    )


def check_marker(tree: Tree, recorded: str | None, next_step: str) -> None:
    """Raise DestinationError where a run finds another disk than it recorded at a destination."""
    if recorded is None:
        return
    marker = read_marker(tree)
    if marker is not None and marker.id == recorded:
        return
    raise DestinationError(
        "this is not the destination that the run began with",
        address=str(tree.root),
        expected=f"the marker {recorded}",
        found=f"the marker {marker.id}, of another disk" if marker else "no marker",
        next_step=next_step,
    )


def _left(context: Context, step: Step) -> Totals:
    """What a download has no receipts of."""
    state = context.step_state(step)
    good = sum(state.count(code) for code in GOOD)
    return Totals(max(0, step.totals.items - good), max(0, step.totals.bytes - state.done_bytes))


def _check(context: Context, steps: Sequence[Step], tree: Tree) -> None:
    tree.check_place()
    check_marker(
        tree,
        context.state.started.destinations.get(str(tree.root)),
        f"mount the disk that the run began with, then {context.retry_command()}",
    )
    if os.statvfs(tree.root).f_flag & os.ST_RDONLY or not os.access(tree.root, os.W_OK | os.X_OK):
        raise DestinationError(
            "the destination cannot be written",
            address=str(tree.root),
            next_step=f"mount it writable, then {context.retry_command()}",
        )
    free = tree.space()
    left = sum((_left(context, step) for step in steps), Totals())
    if lacking(room_for(left, free.block), free):
        # What the journal does not tell: files that are there, and will only be compared.
        left = sum((_absent(context, step, tree) for step in steps), Totals())
    for unit, wanted, found in lacking(room_for(left, free.block), free):
        raise DestinationError(
            f"what is left of {steps[0].subject} does not fit into the destination",
            address=str(tree.root),
            expected=f"{wanted:,} {unit} free",
            found=f"{found:,} {unit} free",
            next_step=f"make room on the disk, then {context.retry_command()}",
        )


def _absent(context: Context, step: Step, tree: Tree) -> Totals:
    """The files of a download that are not there with their size."""
    items = size = 0
    for item in context.plan.items(step.id):
        there = tree.stat(item.path.rstrip("/"))
        if there is None or there.size not in (item.size, -1):
            items += 1
            size += item.size
    return Totals(items, size)
