"""Comparing a sealed plan with its limits: when it is made, and again before it is applied.

The same function looks both times, at the plan as it stands in the file. Limits of manifests are in
the plan and covered by its digest; those of the project file are read anew each time, so that no
manifest and no older plan can loosen them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from s3plan.errors import LimitError
from s3plan.inventory.selection import matches_any
from s3plan.model.limits import Limits
from s3plan.model.steps import Delete, DeleteBucket, DeleteSource, Purge, Step, Totals
from s3plan.plan.reading import PlanFile
from s3plan.rules.effects import touches_s3


def broken_limits(plan: PlanFile, project: Limits | None) -> list[LimitError]:
    """Everything in which the plan goes beyond a limit of its own or of the project."""
    found: list[LimitError] = []
    for limits in (*plan.header.own_limits, *((project,) if project is not None else ())):
        found += _broken(plan, limits)
    return found


def _broken(plan: PlanFile, limits: Limits) -> Iterator[LimitError]:
    deleting = [step for step in plan.steps if isinstance(step.action, Delete | DeleteSource)]
    # Forms beside objects are none of those that a bucket held when it was listed.
    purging = [step for step in plan.steps if isinstance(step.action, Purge)]
    yield from _amounts([*deleting, *purging], limits)
    yield from _shares(deleting, plan, limits)
    yield from _cost(plan, limits)
    yield from _protected(plan, limits)
    account = plan.header.target.account
    if limits.accounts and account not in limits.accounts:
        yield _error(
            limits,
            "accounts",
            "the plan is for an account that is not allowed",
            expected=", ".join(limits.accounts),
            found=account or "an account that the endpoint does not tell",
        )


def _amounts(deleting: Sequence[Step], limits: Limits) -> Iterator[LimitError]:
    totals = _sum(deleting)
    for name, most, count, unit in (
        ("maxDeletes", limits.max_deletes, totals.items, "objects"),
        ("maxDeleteBytes", limits.max_delete_bytes, totals.bytes, "bytes"),
    ):
        if most is not None and count > most:
            yield _error(
                limits,
                name,
                "the plan deletes more than it may",
                expected=f"at most {most:,} {unit}",
                found=f"{count:,} {unit}",
            )


def _shares(deleting: Sequence[Step], plan: PlanFile, limits: Limits) -> Iterator[LimitError]:
    most = limits.max_delete_percent
    if most is None:
        return
    for bucket in dict.fromkeys(step.subject for step in deleting):
        count = _sum(step for step in deleting if step.subject == bucket).items
        held = plan.header.held_in(bucket)
        share = 100.0 if held is None or not held.items else 100 * count / held.items
        if count and share > most:
            yield _error(
                limits,
                "maxDeletePercent",
                "the plan deletes a larger part of a bucket than it may",
                address=f"s3://{bucket}",
                expected=f"at most {most:g} %",
                found=f"{share:.1f} %: {count:,} of "
                + ("an unknown number" if held is None else f"{held.items:,} objects"),
            )


def _cost(plan: PlanFile, limits: Limits) -> Iterator[LimitError]:
    if limits.max_cost is None:
        return
    cost = plan.header.known_cost
    if cost is None:
        yield _error(
            limits,
            "maxCost",
            "it is not known what the plan costs",
            expected=f"at most ${limits.max_cost:,.2f} once",
            found="no prices for this endpoint or one of its storage classes",
            next_step="give a price list with --prices FILE (docs/cost.md)",
        )
    elif cost.total.once.high > limits.max_cost:
        yield _error(
            limits,
            "maxCost",
            "the plan may cost more than it may",
            expected=f"at most ${limits.max_cost:,.2f} once",
            found=f"${cost.total.once.low:,.2f} to ${cost.total.once.high:,.2f}",
        )


def _protected(plan: PlanFile, limits: Limits) -> Iterator[LimitError]:
    buckets = [name for name in limits.protected if "/" not in name]
    prefixes = [entry.split("/", 1) for entry in limits.protected if "/" in entry]
    for step in plan.steps:
        if not touches_s3(step.action):
            continue
        here = [prefix for bucket, prefix in prefixes if matches_any([bucket], step.subject)]
        if matches_any(buckets, step.subject) or (here and isinstance(step.action, DeleteBucket)):
            yield _error(
                limits,
                "protected",
                f"the plan would {step.verb} in a protected bucket",
                address=f"s3://{step.subject}",
                expected="no step that changes or removes anything there",
                found=step.id,
            )
        elif here and isinstance(step.action, Delete | DeleteSource | Purge):
            inside = _first_below(plan, step, tuple(here))
            if inside is not None:
                yield _error(
                    limits,
                    "protected",
                    "the plan would delete below a protected prefix",
                    address=f"s3://{step.subject}",
                    expected="no key that starts with " + " or ".join(here),
                    found=inside,
                )


def _first_below(plan: PlanFile, step: Step, prefixes: tuple[str, ...]) -> str | None:
    for rows in plan.rows(step.id):
        for row in rows:
            if row.key.startswith(prefixes):
                return row.key
    return None


def _sum(steps: Iterable[Step]) -> Totals:
    return sum((step.totals for step in steps), Totals())


def _error(
    limits: Limits,
    name: str,
    what: str,
    *,
    expected: str,
    found: str,
    address: str | None = None,
    next_step: str | None = None,
) -> LimitError:
    return LimitError(
        f"{what} ({name})",
        address=address or limits.source,
        expected=f"{expected}, as {limits.source} says" if address else expected,
        found=found,
        next_step=next_step or f"plan less, or have {name} changed in {limits.source}",
    )
