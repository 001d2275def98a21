"""Hours in which archives may be begun (D36): waited for, and left when the run is to stop."""

from __future__ import annotations

import asyncio
import doctest
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from s3plan.engine.hours import LOOK, wait_for_hours
from s3plan.errors import ProblemsError
from s3plan.model.events import AnyEvent
from s3plan.model.steps import Archive
from s3plan.rules import windows
from s3plan.rules.windows import Window
from tests.engine.conftest import scene
from tests.engine.scene import Scene
from tests.sessions.test_archiving import library, plan

__all__ = ["scene"]  # a fixture

LOCAL = datetime.now(UTC).astimezone().tzinfo


class Run:
    """A run whose clock goes on as it waits."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.events: list[AnyEvent] = []
        self.waits = 0

    def clock(self) -> datetime:
        return self.now.astimezone(UTC)

    def observer(self, event: AnyEvent) -> None:
        self.events.append(event)

    async def unless_stopped(self, waiting: Coroutine[Any, Any, object]) -> None:
        waiting.close()
        self.waits += 1
        self.now += timedelta(seconds=LOOK)


def test_what_docstrings_show_is_so() -> None:
    assert doctest.testmod(windows).failed == 0


def test_apply_waits_for_the_hours() -> None:
    run = Run(datetime(2026, 11, 20, 21, 50, tzinfo=LOCAL))
    asyncio.run(wait_for_hours(run, "22:00-07:00"))
    assert run.now >= datetime(2026, 11, 20, 22, tzinfo=LOCAL)
    assert run.waits == 10
    assert len(run.events) == 1, "it is said once"
    open_already = Run(datetime(2026, 11, 21, 3, tzinfo=LOCAL))
    asyncio.run(wait_for_hours(open_already, "22:00-07:00"))
    asyncio.run(wait_for_hours(open_already, None))
    assert open_already.waits == 0


@pytest.mark.parametrize(
    ("text", "hour", "is_open"),
    [
        ("22:00-07:00", 22, True),
        ("22:00-07:00", 7, False),
        ("22:00-07:00", 12, False),
        ("08:30-17:00", 16, True),
        ("08:30-17:00", 17, False),
    ],
)
def test_the_end_is_not_of_it(text: str, hour: int, is_open: bool) -> None:
    assert (Window.parse(text).wait(datetime(2026, 1, 1, hour, tzinfo=LOCAL)) == 0) == is_open


def test_hours_are_in_the_plan(scene: Scene) -> None:
    """What apply waits for is what was approved."""
    library(scene)
    result = plan(scene, 'window: "22:00-07:00"')
    assert result.plan is not None
    actions = [step.action for step in result.plan.steps]
    assert {one.window for one in actions if isinstance(one, Archive)} == {"22:00-07:00"}
    for wrong in ("22-7", "22:00-22:00", "25:00-07:00"):
        with pytest.raises(ProblemsError):
            plan(scene, f'window: "{wrong}"')
