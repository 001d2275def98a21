"""What changed between two plans: step by step, and item by item in one pass over both.

Worklists are in the order of their keys, so that two of them are compared like two sorted lists:
memory does not grow with their length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal

from msgspec import Struct, structs

from s3plan.model.steps import Item, Step, Totals
from s3plan.plan.reading import PlanFile

Change = Literal["added", "removed", "changed", "same"]


class ItemChange(Struct, frozen=True):
    """One item as it was and as it is; one of them is None where it came or went."""

    old: Item | None
    new: Item | None


class ItemChanges(Struct, frozen=True):
    """How two worklists differ: totals, and the first changes in the order of the keys.

    ``changed`` counts what the new plan says of them.
    """

    added: Totals = Totals()
    removed: Totals = Totals()
    changed: Totals = Totals()
    first: tuple[ItemChange, ...] = ()

    @property
    def any(self) -> bool:
        """Whether they differ at all."""
        return bool(self.added.items or self.removed.items or self.changed.items)


class StepChange(Struct, frozen=True):
    """One step: what became of it, which of its parts differ, and how its worklist does.

    ``items`` is None where the step has no worklist of its own in either plan.
    """

    change: Change
    old: Step | None
    new: Step | None
    parts: tuple[str, ...] = ()
    items: ItemChanges | None = None

    @property
    def step(self) -> Step:
        """The step as it is, or was."""
        found = self.new or self.old
        assert found is not None
        return found


class PlanChanges(Struct, frozen=True):
    """Two plans compared. ``header`` names what differs of target and limits."""

    old: str
    new: str
    header: tuple[str, ...]
    steps: tuple[StepChange, ...]

    @property
    def same(self) -> bool:
        """Whether both do exactly the same."""
        return self.old == self.new

    def sentence(self) -> str:
        """All of it in one sentence."""
        if self.same:
            return "nothing changed"
        parts = [f"another {name}" for name in self.header]
        for change, word in (("added", "more"), ("removed", "fewer"), ("changed", "changed")):
            count = sum(step.change == change for step in self.steps)
            if count:
                parts.append(f"{count:,} {'step' if count == 1 else 'steps'} {word}")
        for name, word in (("added", "more"), ("removed", "fewer"), ("changed", "changed")):
            items = sum(
                getattr(step.items, name).items for step in self.steps if step.items is not None
            )
            if items:
                parts.append(f"{items:,} {'item' if items == 1 else 'items'} {word}")
        return ", ".join(parts) or "only their order differs"


def compare_plans(old: PlanFile, new: PlanFile, *, shown: int = 10) -> PlanChanges:
    """What the new plan does differently; ``shown`` changes of each worklist are named.

    Raises PlanFileError where one of them is damaged.
    """
    header = []
    if old.header.target != new.header.target:
        header.append("target")
    if old.header.own_limits != new.header.own_limits:
        header.append("limits")
    return PlanChanges(
        old.digest,
        new.digest,
        tuple(header),
        tuple(_steps(old, new, shown)) if old.digest != new.digest else (),
    )


def _steps(old: PlanFile, new: PlanFile, shown: int) -> Iterator[StepChange]:
    """The steps of the new plan in order, then those that are gone."""
    pairs = _paired(old.steps, new.steps)
    for step in new.steps:
        known = pairs.get(step.id)
        items = _worklists(old, known, new, step, shown)
        if known is None:
            yield StepChange("added", None, step, items=items)
            continue
        parts = tuple(_parts(known, step))
        differs = bool(parts) or (items is not None and items.any)
        yield StepChange("changed" if differs else "same", known, step, parts, items)
    kept = {step.id for step in pairs.values()}
    for step in old.steps:
        if step.id not in kept:
            items = _worklists(old, step, new, None, shown)
            yield StepChange("removed", step, None, items=items)


def _paired(old: Sequence[Step], new: Sequence[Step]) -> dict[str, Step]:
    """The old step for each new one: the same id, else the next of the same verb and subject."""
    same = {step.id for step in old} & {step.id for step in new}
    pairs = {step.id: step for step in old if step.id in same}
    left: dict[tuple[str, str], list[Step]] = {}
    for step in old:
        if step.id not in same:
            left.setdefault((step.verb, step.subject), []).append(step)
    for step in new:
        candidates = left.get((step.verb, step.subject))
        if step.id not in same and candidates:
            pairs[step.id] = candidates.pop(0)
    return pairs


def _parts(old: Step, new: Step) -> Iterator[str]:
    if old.action != new.action:
        yield "parameters"
    if [need.mode for need in old.needs] != [need.mode for need in new.needs]:
        yield "what it waits for"
    if (old.gate is None, old.gate and old.gate.kind) != (
        new.gate is None,
        new.gate and new.gate.kind,
    ):
        yield "gate"
    if old.reversibility != new.reversibility:
        yield "how it is undone"


def _worklists(
    old: PlanFile, before: Step | None, new: PlanFile, after: Step | None, shown: int
) -> ItemChanges | None:
    own_before = before is not None and before.worklist == before.id
    own_after = after is not None and after.worklist == after.id
    if not own_before and not own_after:
        return None
    return _compare(
        old.items(before.id) if before is not None and before.worklist else iter(()),
        new.items(after.id) if after is not None and after.worklist else iter(()),
        shown,
    )


def _compare(old: Iterator[Item], new: Iterator[Item], shown: int) -> ItemChanges:
    sums: dict[str, list[int]] = {"added": [0, 0], "removed": [0, 0], "changed": [0, 0]}
    first: list[ItemChange] = []
    for change in merged_items(old, new):
        kind = "added" if change.old is None else "removed" if change.new is None else "changed"
        item = change.new or change.old
        assert item is not None
        sums[kind][0] += 1
        sums[kind][1] += item.size
        if len(first) < shown:
            first.append(change)
    return ItemChanges(
        Totals(*sums["added"]), Totals(*sums["removed"]), Totals(*sums["changed"]), tuple(first)
    )


def merged_items(old: Iterator[Item], new: Iterator[Item]) -> Iterator[ItemChange]:
    """Everything that differs between two worklists, in the order of the keys."""
    olds, news = groupby(old, _place), groupby(new, _place)
    before, after = next(olds, None), next(news, None)
    while before is not None or after is not None:
        if after is None or (before is not None and before[0] < after[0]):
            assert before is not None
            yield from (ItemChange(item, None) for item in before[1])
            before = next(olds, None)
        elif before is None or after[0] < before[0]:
            yield from (ItemChange(None, item) for item in after[1])
            after = next(news, None)
        else:
            yield from _same_key(list(before[1]), list(after[1]))
            before, after = next(olds, None), next(news, None)


def _same_key(old: list[Item], new: list[Item]) -> Iterator[ItemChange]:
    """A key may stand for several versions; those that are alike belong together."""
    left = [item for item in old if not any(_alike(item, other) for other in new)]
    here = [item for item in new if not any(_alike(item, other) for other in old)]
    for number in range(max(len(left), len(here))):
        yield ItemChange(
            left[number] if number < len(left) else None,
            here[number] if number < len(here) else None,
        )


def _place(item: Item) -> bytes:
    # Lone surrogates cannot be in a plan: JSON text is UTF-8.
    return item.key.encode()


def _alike(old: Item, new: Item) -> bool:
    """Whether they say the same of the same object, wherever in whichever worklist."""
    return structs.astuple(old)[2:] == structs.astuple(new)[2:]
