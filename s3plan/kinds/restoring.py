"""Archived objects of one bucket: how they are asked for, what that takes, and what forbids it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from msgspec import Struct

from s3plan.errors import PlanningError
from s3plan.kinds.fields import RestoreFields
from s3plan.kinds.kind import Observed
from s3plan.model.steps import Restore, Tier, Totals
from s3plan.plan import StepDraft
from s3plan.plan.cost import cost_of
from s3plan.plan.estimate import download_seconds
from s3plan.plan.holdings import holdings_of
from s3plan.rules.counting import counted
from s3plan.rules.restores import SECONDS, ArchiveTier, default_tier

_DAY = 86_400


class Archived(Struct, frozen=True):
    """Objects to read that lie in one archive; ``first`` is one of their keys."""

    storage_class: str
    archive: ArchiveTier
    totals: Totals
    first: str
    tier: Tier


def archived_in(
    rows: Iterable[tuple[str, ArchiveTier, int, int, str]], restore: RestoreFields
) -> tuple[Archived, ...]:
    """What must be restored, of rows of class, archive, count, bytes and one key."""
    return tuple(
        Archived(
            storage_class,
            archive,
            Totals(items, size),
            first,
            restore.tier or default_tier(storage_class),
        )
        for storage_class, archive, items, size, first in rows
    )


def restore_obstacles(
    bucket: str,
    restore: RestoreFields,
    archived: tuple[Archived, ...],
    missing: Totals,
    observed: Observed,
) -> Iterator[PlanningError]:
    """What cannot be restored as asked. ``missing`` is all that is to be downloaded."""
    address = f"s3://{bucket}"
    for held in archived:
        if (held.archive, held.tier) not in SECONDS:
            yield PlanningError(
                f"S3 does not offer {held.tier} restores from {held.archive}",
                address=address,
                expected="restore.tier Standard or Bulk for a bucket with such objects",
                found=f"{held.totals.items:,} of them, such as {held.first}",
                next_step="leave restore.tier out, or leave these objects out",
            )
    # Of INTELLIGENT_TIERING there are no copies that could expire.
    copies = [held for held in archived if held.storage_class == held.archive]
    waits = max((_slowest(held) for held in copies), default=0)
    window = waits + download_seconds(missing, observed.connection.limits)
    if copies and window >= restore.days * _DAY:
        yield PlanningError(
            "temporary copies would expire before they are downloaded",
            address=address,
            expected=f"restore.days of {math.floor(window / _DAY) + 1} or more: up to"
            f" {_hours(waits)} until copies are there, and about {_hours(window - waits)} to"
            " download",
            found=f"days: {restore.days}",
            next_step="set restore.days to that, or plan fewer objects",
        )


def cost_obstacles(
    bucket: str, restore: RestoreFields, draft: StepDraft, observed: Observed
) -> Iterator[PlanningError]:
    """A restore that costs more than ``maxCost``, or nobody knows how much."""
    if restore.max_cost is None or draft.worklist is None:
        return
    now = observed.now.isoformat()
    held = holdings_of(draft.worklist, observed.database, now)
    cost = cost_of(draft.action, held, observed.prices)
    if cost is not None and cost.once.high <= restore.max_cost:
        return
    yield PlanningError(
        "what the restore costs is not known"
        if cost is None
        else "the restore costs more than restore.maxCost",
        address=f"s3://{bucket}",
        expected=f"at most ${restore.max_cost:,.2f}",
        found=f"up to ${cost.once.high:,.2f}"
        if cost is not None
        else f"no prices for {observed.target.endpoint} in {observed.target.region}",
        next_step="raise restore.maxCost, choose a slower restore.tier, or plan fewer objects"
        if cost is not None
        else "give prices with --prices, or leave restore.maxCost out",
    )


def restore_draft(bucket: str, restore: RestoreFields, archived: tuple[Archived, ...]) -> StepDraft:
    """The step that asks for them; its worklist is its own, still to be filled."""
    action = Restore(
        days=restore.days,
        tiers={held.storage_class: held.tier for held in archived},
        poll=round(restore.poll),
    )
    totals = sum((held.totals for held in archived), Totals())
    kinds = ", ".join(
        f"{held.totals.items:,} in {held.archive} ({held.tier}, up to {_hours(_slowest(held))})"
        for held in archived
    )
    return StepDraft(
        action,
        bucket,
        reversibility="costs",
        undo="Temporary copies expire by themselves; what they cost stays paid.",
        reason=f"{counted(totals.items, 'object')} must be restored before they can be read:"
        f" {kinds}.",
        seconds=float(max(_slowest(held) for held in archived)),
    )


def _slowest(held: Archived) -> int:
    return SECONDS.get((held.archive, held.tier), (0, 0))[1]


def _hours(seconds: float) -> str:
    if seconds < 3600:
        return f"{max(1, math.ceil(seconds / 60))} min"
    return f"{math.ceil(seconds / 3600)} h"
