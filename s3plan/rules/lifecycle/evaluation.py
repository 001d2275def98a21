"""What a lifecycle configuration does to one object, day by day, and which rules never get to act.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-conflicts.html and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

from msgspec import Struct

from s3plan.rules.lifecycle.document import Filter, MinimumSize, Rule

SMALL: Final = 128 * 1024
"""Bytes below which S3 by default moves nothing."""

_TYPICAL: Final = 1024**3

REACHES: Final[dict[str, frozenset[str]]] = {
    "STANDARD": frozenset(
        {
            "STANDARD_IA",
            "INTELLIGENT_TIERING",
            "ONEZONE_IA",
            "GLACIER_IR",
            "GLACIER",
            "DEEP_ARCHIVE",
        }
    ),
    "REDUCED_REDUNDANCY": frozenset(
        {
            "STANDARD_IA",
            "INTELLIGENT_TIERING",
            "ONEZONE_IA",
            "GLACIER_IR",
            "GLACIER",
            "DEEP_ARCHIVE",
        }
    ),
    "STANDARD_IA": frozenset(
        {"INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"}
    ),
    "INTELLIGENT_TIERING": frozenset({"ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"}),
    "ONEZONE_IA": frozenset({"GLACIER", "DEEP_ARCHIVE"}),
    "GLACIER_IR": frozenset({"GLACIER", "DEEP_ARCHIVE"}),
    "GLACIER": frozenset({"DEEP_ARCHIVE"}),
}
"""Which classes lifecycle moves an object to, by the class it is in: only ever down."""

_PREFERRED: Final = (
    "DEEP_ARCHIVE",
    "GLACIER",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "ONEZONE_IA",
    "STANDARD_IA",
)
"""Of several transitions on one day the first of these is taken: the cheapest, except that
INTELLIGENT_TIERING comes before all but the two archives."""


class Example(Struct, frozen=True):
    """An object that rules are tried on."""

    key: str
    size: int
    tags: frozenset[tuple[str, str]]
    storage_class: str = "STANDARD"


class Event(Struct, frozen=True):
    """On ``day`` after its making, ``rule`` moves the object; or deletes it (no class)."""

    day: int
    rule: str
    storage_class: str | None


class Shadowed(Struct, frozen=True):
    """What ``loser`` would do and never does to objects that ``winner`` means as well."""

    loser: str
    winner: str
    lost: Event
    instead: Event
    overlap: Filter


def timeline(
    rules: Sequence[Rule], example: Example, minimum: MinimumSize, *, versioned: bool
) -> tuple[Event, ...]:
    """What happens to the object, in order. Rules with dates are not told: they know no age.

    Permanent deletion comes before a transition of the same day, a transition before a delete
    marker (in a bucket with versions); either ends the story of the current object.
    """
    wanted = [
        event
        for rule in rules
        if rule.enabled and rule.filter.matches(example.key, example.size, example.tags)
        for event in _events(rule, example.size, minimum)
    ]
    happened: list[Event] = []
    current = example.storage_class
    for day in sorted({event.day for event in wanted}):
        due = [event for event in wanted if event.day == day]
        expiring = [event for event in due if event.storage_class is None]
        if expiring and not versioned:
            return (*happened, expiring[0])
        moving = [event for event in due if event.storage_class in REACHES.get(current, ())]
        if moving:
            taken = min(moving, key=lambda event: _PREFERRED.index(event.storage_class or ""))
            happened.append(taken)
            current = taken.storage_class or current
        if expiring:
            return (*happened, expiring[0])
    return tuple(happened)


def _events(rule: Rule, size: int, minimum: MinimumSize) -> Iterator[Event]:
    for transition in rule.transitions:
        known = transition.storage_class in _PREFERRED
        if (
            transition.days is not None
            and known
            and moves(rule, transition.storage_class, size, minimum)
        ):
            yield Event(transition.days, rule.id, transition.storage_class)
    if rule.expiration is not None and rule.expiration.days is not None:
        yield Event(rule.expiration.days, rule.id, None)


def moves(rule: Rule, storage_class: str, size: int, minimum: MinimumSize) -> bool:
    """Whether S3 moves an object of that size by this rule to this class."""
    if size >= SMALL or rule.filter.bounded:
        return True
    return minimum == "varies_by_storage_class" and storage_class in {"GLACIER", "DEEP_ARCHIVE"}


def shadowed(
    rules: Sequence[Rule], minimum: MinimumSize, *, versioned: bool
) -> tuple[Shadowed, ...]:
    """Every action of a rule that another one forestalls, where both mean the same objects."""
    found: list[Shadowed] = []
    for pair in combinations([rule for rule in rules if rule.enabled], 2):
        both = overlap(pair[0].filter, pair[1].filter)
        if both is None:
            continue
        example = Example(both.prefix, _size(both), both.tags)
        together = timeline(pair, example, minimum, versioned=versioned)
        for rule, other in (pair, pair[::-1]):
            for event in timeline((rule,), example, minimum, versioned=versioned):
                # The same thing on the same day, done by the other, is no loss.
                done = {(one.day, one.storage_class) for one in together}
                before = [one for one in together if one.rule == other.id and one.day <= event.day]
                if (event.day, event.storage_class) not in done and before:
                    found.append(Shadowed(rule.id, other.id, event, before[-1], both))
    return tuple(found)


def overlap(one: Filter, other: Filter) -> Filter | None:
    """What both filters mean; None where no object can be in both."""
    if not (one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)):
        return None
    tags = dict(one.tags)
    if any(tags.get(key, value) != value for key, value in other.tags):
        return None
    larger = max((x.larger_than for x in (one, other) if x.larger_than is not None), default=None)
    smaller = min(
        (x.smaller_than for x in (one, other) if x.smaller_than is not None), default=None
    )
    if larger is not None and smaller is not None and smaller - larger < 2:
        return None
    return Filter(max(one.prefix, other.prefix, key=len), one.tags | other.tags, larger, smaller)


def _size(both: Filter) -> int:
    if both.larger_than is not None:
        return both.larger_than + 1
    return min(_TYPICAL, both.smaller_than - 1) if both.smaller_than is not None else _TYPICAL
