"""Waiting for the hours in which a step may begin; what is under way goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, Protocol

from s3plan.model.events import AnyEvent, Warned
from s3plan.rules.windows import Window

LOOK = 60.0
"""Seconds after which the clock is looked at again: it may be set, and summer time begins."""


class Waits(Protocol):
    """As much of a run as waiting needs."""

    @property
    def clock(self) -> Callable[[], datetime]: ...
    @property
    def observer(self) -> Callable[[AnyEvent], None]: ...
    async def unless_stopped(self, waiting: Coroutine[Any, Any, object]) -> None: ...


async def wait_for_hours(run: Waits, text: str | None) -> None:
    """Wait until the window that ``text`` says is open; None always is.

    Raises Interrupted as soon as the run is to stop.
    """
    if text is None:
        return
    window = Window.parse(text)
    told = False
    while (left := window.wait(run.clock().astimezone())) > 0:
        if not told:
            run.observer(Warned(f"outside {text}: waiting {left / 60:,.0f} minutes"))
            told = True
        await run.unless_stopped(asyncio.sleep(min(left, LOOK)))
