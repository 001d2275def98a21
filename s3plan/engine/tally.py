"""Counting what a verification found: by verdict, by what it rests on, and what would be lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from s3plan.engine.context import Context
from s3plan.engine.gate import SHOWN, lost_on
from s3plan.model.journal import Loss
from s3plan.model.objects import Rung, Verdict
from s3plan.model.steps import Step, Totals
from s3plan.rules.commands import step_command

VERDICTS: Final[tuple[Verdict, ...]] = ("verified", "unverifiable", "mismatched")


@dataclass(slots=True)
class Count:
    """Items of one verdict, their bytes, and the first of their names."""

    items: int = 0
    bytes: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, keys: list[str], size: int) -> None:
        """More items: their keys and all their bytes."""
        self.items += len(keys)
        self.bytes += size
        self.names += keys[: max(0, SHOWN - len(self.names))]

    @property
    def totals(self) -> Totals:
        """Items and bytes."""
        return Totals(self.items, self.bytes)

    def sentence(self, what: str) -> str:
        """How many, what of them, and the first names."""
        return f"{self.items:,} {what}: {', '.join(self.names)}"


class Tally:
    """What one verification found of its items."""

    def __init__(self) -> None:
        self._counts: dict[Verdict, Count] = {verdict: Count() for verdict in VERDICTS}
        self._rungs: dict[Rung, int] = {}

    def of(self, verdict: Verdict) -> Count:
        """The items of one verdict."""
        return self._counts[verdict]

    def add_rungs(self, rungs: list[Rung]) -> None:
        """What the verdicts of verified items rest on."""
        for rung in rungs:
            self._rungs[rung] = self._rungs.get(rung, 0) + 1

    def figures(self) -> dict[str, int]:
        """For the gate and for reports; the names with ``_count`` are those of the replaced tool.

        ``size_only_count`` are items of which only the number of bytes agrees.
        """
        verified, unverifiable = (self._counts[v].items for v in ("verified", "unverifiable"))
        rungs = {f"by_{rung.replace('-', '_')}": self._rungs[rung] for rung in sorted(self._rungs)}
        return {
            "verified": verified,
            **rungs,
            "mismatched": self._counts["mismatched"].items,
            "unverifiable": unverifiable,
            "size_verified_count": verified + unverifiable,
            "checksum_verified_count": verified,
            "size_only_count": unverifiable,
        }


def losses(
    context: Context, verifying: Step, gated: list[Step], unverifiable: Count
) -> tuple[Loss, ...]:
    """What the steps that wait for a verification would take away for good.

    Content that offers nothing to compare with is in the way of a deletion, and of nothing else.
    Blocks: it reads the plan.
    """
    found: list[Loss] = []
    if gated and unverifiable.items:
        listed = str(context.run.evidence(verifying.id))
        found.append(Loss("unverifiable", unverifiable.totals, tuple(unverifiable.names), listed))
    for step in lost_on(gated, verifying):
        first = (item.key for item in islice(context.plan.items(step.id), SHOWN))
        listed = step_command(str(context.run.plan), step.id)
        found.append(Loss("no-copy", step.totals, tuple(first), listed))
    return tuple(found)
