"""What of a plan goes to S3 Batch Operations where the project file says so; shown, and billed.

An estimate, like all that a plan costs: what is there already when a run comes to it goes into no
job. The digest knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from s3plan.model.cost import ChargeLine, Cost
from s3plan.model.plan import PlanHeader
from s3plan.model.runners import RunnerChoice
from s3plan.model.steps import Copy, Item, Restore, Step, Totals
from s3plan.rules.counting import counted
from s3plan.rules.handover.batch import LARGEST
from s3plan.rules.handover.splitting import Split, split
from s3plan.rules.handover.terms import declined
from s3plan.tables import Database

# One item of each group of those that are sorted alike.
_GROUPS = """
    SELECT arg_min(key, n), arg_min(path, n), storage_class, arg_min(version_id, n), large, older,
        count(*), CAST(sum(size) AS BIGINT)
    FROM (
        SELECT *, size > $largest AS large,
            coalesce(newer, 0) > 0 OR coalesce(marker, false) AS older,
            CASE WHEN suffix(path, key) THEN left(path, length(path) - length(key)) END AS folder
        FROM items WHERE step = $step
    ) GROUP BY storage_class, version_id IS NULL, large, older, folder
    ORDER BY ALL"""


def splits(
    steps: Iterable[Step], database: Database, header: PlanHeader, runners: RunnerChoice
) -> dict[str, Split]:
    """By step, those that a job is made for."""
    told = header.connection.batch
    found: dict[str, Split] = {}
    for step in steps:
        action = step.action
        if (
            runners.of(step.verb) == "s3-batch"
            and told is not None
            and isinstance(action, Copy | Restore)
            and declined(header.connection, header.target.endpoint, step) is None
        ):
            rows = database.rows(_GROUPS, {"step": step.worklist, "largest": LARGEST})
            made = split(action, (_group(*row) for row in rows), told.least_objects)
            if made.kinds:
                found[step.id] = made
    return found


def _group(
    key: str,
    path: str,
    storage_class: str,
    version_id: str | None,
    large: bool,
    older: bool,
    count: int,
    size: int,
) -> tuple[Item, Totals]:
    item = Item(
        step="",
        n=0,
        key=key,
        path=path,
        size=LARGEST + 1 if large else 0,
        etag="",
        modified="",
        storage_class=storage_class,
        version_id=version_id,
        newer=int(older),
    )
    return item, Totals(count, size)


def sentences(steps: Iterable[Step], made: Mapping[str, Split]) -> tuple[str, ...]:
    """What is told of it with the plan."""
    return tuple(
        f"{step.verb} {step.subject}: {made[step.id].given:,} of"
        f" {counted(step.totals.items, 'object')} go to S3 Batch Operations in"
        f" {counted(made[step.id].jobs, 'job')}; what stays here is {_left(made[step.id])}"
        for step in steps
        if step.id in made
    )


def cost_of_jobs(made: Split) -> Cost:
    """What the service itself takes."""
    price = made.price.rounded()
    return Cost(once=price, lines=(ChargeLine("batch-jobs", "STANDARD", price),))


def _left(made: Split) -> str:
    reasons = [f"{left.totals.items:,} ({left.reason})" for left in made.left]
    return ", ".join(reasons) or "nothing"
