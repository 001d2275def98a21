"""When checks of a soak are due, and what keeps sources from being deleted after it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from s3plan.model.soak import Checked, CheckKind, SoakStanding, SoakTerms
from s3plan.rules.commands import monitor_command, signoff_command

_WEEK = 7


class Slot(NamedTuple):
    """A check that is due from ``opens`` on. The last one never closes."""

    kind: CheckKind
    opens: datetime
    closes: datetime | None


def slots(terms: SoakTerms, began: datetime) -> Iterator[Slot]:
    """The checks of a soak, in order: of days, of weeks, and the one of everything."""
    # Days count from 1; whatever the terms, the last day is of the full check.
    full = min(max(terms.weekly, terms.daily), max(0, terms.days - 1))
    for day in range(min(terms.daily, full)):
        yield Slot("daily", _day(began, day), _day(began, day + 1))
    for day in range(min(terms.daily, full), full, _WEEK):
        yield Slot("weekly", _day(began, day), _day(began, min(full, day + _WEEK)))
    yield Slot("full", _day(began, full), None)


def over(terms: SoakTerms, began: datetime) -> datetime:
    """When the soak is over."""
    return _day(began, terms.days)


def due(soak: SoakStanding, now: datetime) -> CheckKind | None:
    """Which check is due now; None where it was made, and passed, already."""
    for slot in slots(soak.terms, moment(soak.began)):
        if slot.opens <= now and (slot.closes is None or now < slot.closes):
            return None if _made(slot, soak) else slot.kind
    return None


def next_due(soak: SoakStanding, now: datetime) -> datetime | None:
    """When the next check is due after one that passes now; None where none follows."""
    opening = (slot.opens for slot in slots(soak.terms, moment(soak.began)))
    return next((opens for opens in opening if opens > now), None)


def obstacles(soak: SoakStanding, terms: SoakTerms, now: datetime) -> tuple[str, ...]:
    """Why the sources may not be deleted yet, each with what to do; none where they may.

    ``terms`` may ask for more than the run did. What is not recorded did not happen.
    """
    found: list[str] = []
    began = moment(soak.began)
    end = over(terms, began)
    *_, full = slots(terms, began)
    last = soak.last
    if now < end:
        found.append(f"the soak of run {soak.run} is over at {spelled(end)}, not before")
    command = monitor_command(soak.journal)
    if last is None:
        found.append(f"run {soak.run} was never checked: {command}")
    elif not last.passes:
        found.append(
            f"the last check of run {soak.run}, at {last.time}, found something: {command}"
        )
    elif not _covers(last, full):
        found.append(
            f"the content of run {soak.run}'s copies was not compared since {spelled(full.opens)}:"
            f" {command}"
        )
    if not soak.signatures:
        found.append(f"nobody has signed off run {soak.run}: {signoff_command(soak.journal)}")
    return tuple(found)


def _made(slot: Slot, soak: SoakStanding) -> bool:
    """Whether the check was made; one that found something is due again, after each repair."""
    last = soak.last
    return last is not None and last.passes and _covers(last, slot)


def _covers(check: Checked, slot: Slot) -> bool:
    strong_enough = check.kind == "full" or slot.kind != "full"
    return strong_enough and moment(check.time) >= slot.opens


def moment(text: str) -> datetime:
    """A time of a record."""
    return datetime.fromisoformat(text)


def spelled(when: datetime) -> str:
    """A time for people: UTC, to the minute."""
    return when.strftime("%Y-%m-%d %H:%M UTC")


def _day(began: datetime, days: int) -> datetime:
    return began + timedelta(days=days)
