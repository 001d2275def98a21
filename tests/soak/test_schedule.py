"""Which check of a soak is due when, and what keeps the sources from being deleted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3plan.model.soak import Checked, CheckKind, SignedOff, SoakStanding, SoakTerms
from s3plan.rules.soak import due, next_due, obstacles, over, slots

BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)
TERMS = SoakTerms()
SIGNED = SignedOff("Ann", "data owner", "", "0" * 64, "ann", "2026-01-31T12:00:00.000Z")


def _at(days: float) -> datetime:
    return BEGAN + timedelta(days=days)


def _text(when: datetime) -> str:
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _check(day: float, kind: CheckKind = "daily", *, passes: bool = True) -> Checked:
    return Checked(
        kind, passes, {"copies": 1}, () if passes else ("bad",), "c", "h", _text(_at(day))
    )


def _soak(*checks: Checked, terms: SoakTerms = TERMS, signed: bool = False) -> SoakStanding:
    return SoakStanding(
        "r", "journal.json", _text(BEGAN), terms, checks, (), (SIGNED,) if signed else ()
    )


def test_daily_in_week_1_weekly_in_weeks_2_and_3_everything_in_week_4() -> None:
    """B62: a cron job that runs every day for 30 days makes these checks and no other."""
    checks: list[Checked] = []
    made: list[tuple[int, str]] = []
    for day in range(31):
        kind = due(_soak(*checks), _at(day + 0.3))
        if kind is not None:
            checks.append(_check(day + 0.3, kind))
            made.append((day + 1, kind))
    assert made == [
        *((day, "daily") for day in range(1, 8)), (8, "weekly"), (15, "weekly"), (22, "full"),
    ]  # fmt: skip


def test_a_check_that_found_something_is_due_again() -> None:
    assert due(_soak(_check(1.1)), _at(1.2)) is None
    assert due(_soak(_check(1.1, passes=False)), _at(1.2)) == "daily"
    assert due(_soak(_check(23, "full", passes=False)), _at(40)) == "full"


def test_a_full_check_counts_for_what_is_due_that_day() -> None:
    assert due(_soak(_check(9, "full")), _at(9.5)) is None
    assert due(_soak(_check(9, "full")), _at(21)) == "full"


def test_a_missed_full_check_stays_due_after_the_end() -> None:
    assert due(_soak(_check(20, "weekly")), _at(100)) == "full"
    assert due(_soak(_check(20, "weekly"), _check(99, "full")), _at(100)) is None


def test_when_the_next_one_is_due() -> None:
    assert next_due(_soak(), _at(0.5)) == _at(1)
    assert next_due(_soak(), _at(8)) == _at(14)
    assert next_due(_soak(), _at(29)) is None


@given(
    st.builds(SoakTerms, st.integers(0, 400), daily=st.integers(0, 400), weekly=st.integers(0, 400))
)
def test_whatever_the_terms_slots_follow_each_other_and_end_in_a_full_check(
    terms: SoakTerms,
) -> None:
    found = list(slots(terms, BEGAN))
    assert [slot.kind for slot in found].count("full") == 1
    assert found[-1].kind == "full"
    assert found[-1].closes is None
    assert found[0].opens == BEGAN
    for one, other in pairwise(found):
        assert one.opens < other.opens
        assert one.closes == other.opens
    assert found[-1].opens <= over(terms, BEGAN)


GREEN = (_check(20, "weekly"), _check(25, "full"))


def test_nothing_stands_in_the_way_of_a_soak_that_is_over_green_and_signed() -> None:
    assert obstacles(_soak(*GREEN, signed=True), SoakTerms(), _at(30)) == ()


@pytest.mark.parametrize(
    ("soak", "now", "said"),
    [
        (_soak(*GREEN, signed=True), _at(29.9), "is over at 2026-01-31 12:00 UTC"),
        (_soak(*GREEN), _at(31), "nobody has signed off"),
        (_soak(signed=True), _at(31), "was never checked"),
        (_soak(*GREEN, _check(26, passes=False), signed=True), _at(31), "found something"),
        (_soak(_check(20, "weekly"), signed=True), _at(31), "was not compared since"),
        (_soak(_check(10, "full"), signed=True), _at(31), "was not compared since"),
        (_soak(*GREEN, _check(28), signed=True), _at(31), "was not compared since"),
    ],
)
def test_each_of_these_alone_keeps_the_sources(
    soak: SoakStanding, now: datetime, said: str
) -> None:
    """B58, B62: what is not recorded did not happen."""
    (found,) = obstacles(soak, SoakTerms(), now)
    assert said in found


def test_a_manifest_may_ask_for_more_than_the_run_did() -> None:
    soak = _soak(*GREEN, signed=True)
    (found,) = obstacles(soak, SoakTerms(days=60), _at(31))
    assert "is over at 2026-03-02" in found
