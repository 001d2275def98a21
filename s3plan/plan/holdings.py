"""What a worklist holds, by storage class, as far as it decides what is billed."""

from __future__ import annotations

from s3plan.rules.prices import MINIMUM_BYTES, MINIMUM_DAYS, MONITORED_BYTES, Holding
from s3plan.tables import Database


def _by_class(values: dict[str, int]) -> str:
    """SQL for a number by storage class; names and numbers are constants of ``rules.prices``."""
    cases = " ".join(f"WHEN '{name}' THEN {value}" for name, value in values.items())
    return f"CASE storage_class {cases} ELSE 0 END"


# An object whose date cannot be read counts as made now: the whole minimum is still to be paid.
_HOLDINGS = f"""
    SELECT storage_class, count(*), sum(size), sum(billed), sum(monitored),
           sum(billed::DOUBLE * greatest(0, minimum - age)), sum(billed::DOUBLE * minimum)
    FROM (
        SELECT storage_class, size, greatest(size, {_by_class(MINIMUM_BYTES)}) AS billed,
               {_by_class(MINIMUM_DAYS)} AS minimum,
               CASE WHEN size >= {MONITORED_BYTES} THEN 1 ELSE 0 END AS monitored,
               coalesce(greatest(0, date_diff('day', try_cast(modified AS TIMESTAMP),
                                              try_cast($now AS TIMESTAMP))), 0) AS age
        FROM items WHERE step = $step
    ) GROUP BY storage_class ORDER BY storage_class
"""  # noqa: S608 - made of the constants above; values are bound


def holdings_of(step: str, database: Database, now: str) -> tuple[Holding, ...]:
    """The worklist of ``step`` by class; ages are those at ``now`` (RFC 3339)."""
    rows = database.rows(_HOLDINGS, {"step": step, "now": now})
    return tuple(
        Holding(name, count, int(size), int(billed), int(monitored), (int(low), int(high)))
        for name, count, size, billed, monitored, low, high in rows
    )
