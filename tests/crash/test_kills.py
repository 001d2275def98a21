"""kill -9 anywhere, then the same command: the end is that of a run that nobody disturbed.

Compared are the bucket (objects, bytes, metadata, tags), the local tree (names, bytes), the folded
catalogue and the folded journals. The last two tests are the long run, ``make test-crash``.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import zip_longest

import pytest

from tests.crash.harness import Cycle

Last = str | float

KILLS = 30
"""Of the short run."""


def _kind(position: str) -> str:
    return position.rpartition(" #")[0]


def _one_of_each_kind(positions: Iterable[str], chance: random.Random) -> list[str]:
    """Positions in random order, one for each place in the program."""
    kinds: dict[str, list[str]] = {}
    for position in positions:
        kinds.setdefault(_kind(position), []).append(position)
    chosen = [chance.choice(same) for same in kinds.values()]
    chance.shuffle(chosen)
    return chosen


def _again(position: str) -> str:
    """A position of this kind that a session which goes on is likely to reach."""
    return f"{_kind(position)} #1"


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_is_not(cycle: Cycle) -> None:
    chance = random.Random(1)
    places = {phase: _one_of_each_kind(cycle.positions[phase], chance) for phase in cycle.PHASES}
    begun = cycle.executioner.kills
    while cycle.executioner.kills < begun + KILLS:
        cycle.plan()
        for phase in cycle.PHASES:
            first, second = places[phase].pop(), places[phase].pop()
            instant = chance.uniform(0, cycle.seconds[phase])
            cycle.killed(phase, [first, _again(second), instant])


@pytest.mark.slow
def test_a_run_that_was_killed_can_be_taken_back_instead(cycle: Cycle) -> None:
    """What it wrote is gone, also files that got their names and no row in the catalogue."""
    lasts: list[tuple[str, Last]] = [
        ("download", "before journal run #1"),
        ("download", "after rename #4"),
        ("download", "torn catalogue object #2"),
        ("download", "before journal receipts #2"),
        ("delete", "after delete objects #1"),
        ("delete", "before delete bucket #1"),
        ("delete", "after delete bucket #1"),
    ]
    for phase, last in lasts:
        cycle.plan()
        if phase == "delete":
            cycle.killed("download", [])
        assert cycle.abandoned(phase, last), f"{last} was not reached\n{cycle.said()}"


def test_a_session_removes_the_temporary_tables_of_one_that_was_killed(cycle: Cycle) -> None:
    cycle.plan()
    cycle.executioner.run(cycle.scene, *cycle.command("download"), last="before evidence #1")
    name = f"s3plan-{cycle.scene.run().id}"
    left = cycle.executioner.directory / name
    assert list(left.iterdir())
    cycle.killed("download", [])
    assert not left.exists()


@pytest.mark.crash
@pytest.mark.timeout(0)
def test_killed_at_every_position(cycle: Cycle) -> None:
    """Each position of each phase once, and now and then at some instant of the next session."""
    chance = random.Random(2)
    begun = cycle.executioner.kills
    for lasts in zip_longest(*[cycle.positions[phase] for phase in cycle.PHASES]):
        cycle.plan()
        for phase, last in zip(cycle.PHASES, lasts, strict=True):
            cycle.killed(phase, _and_perhaps_more(last, cycle.seconds[phase], chance))
    assert cycle.executioner.kills >= begun + 300


@pytest.mark.crash
@pytest.mark.timeout(0)
def test_killed_at_every_position_and_taken_back_instead(cycle: Cycle) -> None:
    """As above, for the phases that can be taken back."""
    begun = cycle.executioner.kills
    for phase in ("download", "delete"):
        for last in cycle.positions[phase]:
            cycle.plan()
            if phase == "delete":
                cycle.killed("download", [])
            cycle.abandoned(phase, last)
    assert cycle.executioner.kills >= begun + 300


def _and_perhaps_more(last: str | None, seconds: float, chance: random.Random) -> Sequence[Last]:
    lasts: list[Last] = [] if last is None else [last]
    if chance.random() < 0.3:
        lasts.append(chance.uniform(0, seconds))
    return lasts
