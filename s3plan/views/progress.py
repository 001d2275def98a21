"""Progress on standard error: bars on a terminal, a line every few seconds elsewhere, or nothing.

Handling an event only adds to counters. Bars are drawn five times a second by rich's own thread,
which reads the counters, so the cost does not grow with the number of events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, Protocol

from rich.console import RenderableType
from rich.progress import Progress as RichProgress
from rich.progress import ProgressColumn, SpinnerColumn, Task, TaskID
from rich.progress_bar import ProgressBar
from rich.text import Text

from s3plan.model.events import (
    AnyEvent,
    Progressed,
    Scanning,
    StepBegan,
    StepFinished,
    UnderWay,
    Waiting,
)
from s3plan.model.steps import Totals
from s3plan.views.dashboard import Dashboard
from s3plan.views.meter import Meter
from s3plan.views.quantities import counted, duration, number, size
from s3plan.views.terminal import Screen
from s3plan.views.text import shorten, visible

Mode = Literal["auto", "plain", "none"]

Output = Literal["stdout", "stderr"]
"""Where progress is shown."""

PLAIN_SECONDS = 5.0
"""Seconds between two plain lines of one step."""


class Progress(Protocol):
    """Shows how far the running steps are."""

    def handle(self, event: AnyEvent) -> None:
        """Take note of an event; others than those about progress are ignored."""

    def paused(self) -> AbstractContextManager[None]:
        """Keep off the screen, for a question."""

    def close(self) -> None:
        """Leave the screen. May be called twice."""


class Silent:
    """``--progress none``."""

    def handle(self, event: AnyEvent) -> None:
        """Ignore it."""

    @contextmanager
    def paused(self) -> Iterator[None]:
        """There is nothing to pause."""
        yield

    def close(self) -> None:
        """There is nothing to leave."""


class Plain(Silent):
    """A line when a step begins and every few seconds after that, for logs."""

    def __init__(self, screen: Screen, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives seconds."""
        self._screen = screen
        self._clock = clock
        self._steps: dict[str, tuple[str, Meter]] = {}
        self._told: dict[str, float] = {}

    def handle(self, event: AnyEvent) -> None:
        """Count, and print a line where one is due."""
        match event:
            case Scanning():
                if event.finished or self._due(event.subject):
                    self._screen.say(_scan_line(event))
            case StepBegan():
                meter = Meter(event.totals, event.done, self._clock)
                name = visible(f"{event.verb} {event.subject}")
                self._steps[event.step] = name, meter
                self._told[event.step] = self._clock()
                self._screen.say(f"{name}{_extent(event.totals, event.done)}")
            case Progressed() if event.step in self._steps:
                name, meter = self._steps[event.step]
                meter.add(event.items, event.bytes)
                if self._due(event.step):
                    self._screen.say(f"{name}: {_standing(meter)}")
            case UnderWay() if event.step in self._steps:
                name, meter = self._steps[event.step]
                meter.move(event.bytes)
                if self._due(event.step):
                    self._screen.say(f"{name}: {_standing(meter)}")
            case Waiting() if event.step in self._steps:
                name, meter = self._steps[event.step]
                meter.wait(event.objects, event.seconds)
                self._screen.say(f"{name}: {_standing(meter)}")
            case StepFinished():
                self._steps.pop(event.step, None)
            case _:
                pass

    def _due(self, name: str) -> bool:
        now = self._clock()
        if now - self._told.setdefault(name, now) < PLAIN_SECONDS:
            return False
        self._told[name] = now
        return True


class _Live(RichProgress):
    """The bars, and below them the dashboard."""

    def __init__(self, screen: Screen, dashboard: Dashboard) -> None:
        self._screen = screen
        self._dashboard = dashboard
        super().__init__(
            SpinnerColumn(),
            _Name(),
            _Bar(),
            Figures(screen),
            console=screen,
            refresh_per_second=5,
            transient=True,
            redirect_stdout=False,  # data stays on standard output
            redirect_stderr=False,
        )

    def get_renderables(self) -> Iterator[RenderableType]:
        yield from super().get_renderables()
        yield from self._dashboard.lines(self._screen.columns)


class Bars(Silent):
    """One bar a running step: objects, bytes, rate, time left; below them the dashboard."""

    def __init__(self, screen: Screen) -> None:
        """Nothing is drawn before the first event."""
        self._dashboard = Dashboard(time.monotonic)
        self._progress = _Live(screen, self._dashboard)
        self._tasks: dict[str, tuple[TaskID, Meter]] = {}
        self._drawn = False

    def handle(self, event: AnyEvent) -> None:
        """Count; add or remove a bar."""
        self._dashboard.handle(event)
        match event:
            case Progressed():
                if event.step in self._tasks:
                    self._tasks[event.step][1].add(event.items, event.bytes)
            case UnderWay():
                if event.step in self._tasks:
                    self._tasks[event.step][1].move(event.bytes)
            case Waiting():
                if event.step in self._tasks:
                    self._tasks[event.step][1].wait(event.objects, event.seconds)
            case StepBegan():
                meter = Meter(event.totals, event.done, time.monotonic)
                self._add(event.step, f"{event.verb} {event.subject}", meter)
            case Scanning():
                self._scanning(event)
            case StepFinished():
                self._remove(event.step)
            case _:
                pass

    def _scanning(self, event: Scanning) -> None:
        name = f"scan {event.subject}"
        if name not in self._tasks:
            self._add(name, f"looking at {event.subject}", Meter(*_NOTHING, time.monotonic))
        meter = self._tasks[name][1]
        meter.add(event.objects - meter.items, event.bytes - meter.bytes)
        if event.finished:
            self._remove(name)

    def _add(self, key: str, name: str, meter: Meter) -> None:
        self._remove(key)
        # A task without total and without automatic removal: columns read the meter themselves.
        self._tasks[key] = self._progress.add_task(name, total=None, meter=meter), meter
        if not self._drawn:
            self._drawn = True
            self._progress.start()

    def _remove(self, key: str) -> None:
        if key in self._tasks:
            self._progress.remove_task(self._tasks.pop(key)[0])

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Erase the bars for a while."""
        if not self._drawn:
            yield
            return
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()

    def close(self) -> None:
        """Erase the bars."""
        if self._drawn:
            self._drawn = False
            self._progress.stop()


_NOTHING = (Totals(), Totals())


def _meter(task: Task) -> Meter:
    meter = task.fields["meter"]
    assert isinstance(meter, Meter)
    return meter


_NAME, _BAR = 30, 12
"""Columns; beside them are the spinner and a blank between each two."""


class _Name(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(shorten(task.description, _NAME), no_wrap=True)


class _Bar(ProgressColumn):
    def render(self, task: Task) -> ProgressBar | Text:
        meter = _meter(task)
        if not meter.totals.items:
            return Text()
        return ProgressBar(total=1.0, completed=meter.fraction, width=_BAR)


class Figures(ProgressColumn):
    """How far a step is, in what room its bar leaves."""

    def __init__(self, screen: Screen) -> None:
        """``screen`` tells its width whenever it is drawn."""
        super().__init__()
        self._screen = screen

    def render(self, task: Task) -> Text:
        """One line of text."""
        meter = _meter(task)
        known = meter.totals.items > 0
        room = self._screen.width - len("⠋ ") - (_NAME + 1) - (_BAR + 1)
        figures = _standing(meter, room) if known else _extent_of(meter.items, meter.bytes)
        return Text(figures, no_wrap=True, overflow="ellipsis")


def progress_for(mode: Mode, screen: Screen) -> Progress:
    """Choose how to show progress on ``screen``."""
    if mode == "none":
        return Silent()
    if mode == "auto" and screen.interactive:
        return Bars(screen)
    return Plain(screen)


def _standing(meter: Meter, room: int | None = None) -> str:
    """Say ``28%, 340 of 1,204, 5.1 GiB of 18.2 GiB, 120.0 MiB/s, 2 min left``.

    In a ``room`` of so many columns the rate is left out first, then the bytes: how long it takes
    matters more.
    """
    # Rounded down: 100% is only said of what is done.
    parts = [f"{int(meter.fraction * 100)}%"]
    parts.append(f"{number(meter.items)} of {number(meter.totals.items)}")
    if meter.waiting is not None:
        objects, seconds = meter.waiting
        parts.append(f"waiting for {counted(objects, 'object')}")
        parts.append(f"next look in {duration(seconds)}")
        return ", ".join(parts)
    volume = f"{size(meter.bytes)} of {size(meter.totals.bytes)}" if meter.bytes else ""
    left = meter.seconds_left
    time_left = ""
    if left is not None:
        time_left = "nearly done" if left < 1 else f"{duration(left)} left"
    text = ""
    for optional in ((volume, _rate(meter)), (volume,), ()):
        text = ", ".join(filter(None, [*parts, *optional, time_left]))
        if room is None or len(text) <= room:
            break
    return text


def _rate(meter: Meter) -> str:
    items, volume = meter.rate
    if volume:
        return f"{size(volume)}/s"
    return f"{items:,.0f}/s" if items else ""


def _extent(totals: Totals, done: Totals) -> str:
    """Say how much a step is about; nothing where it is about the bucket itself."""
    if not totals.items:
        return ""
    before = f", {number(done.items)} of them done before" if done.items else ""
    return f": {_extent_of(totals.items, totals.bytes)}{before}"


def _extent_of(items: int, volume: int) -> str:
    text = counted(items, "object")
    return f"{text}, {size(volume)}" if volume else text


def _scan_line(event: Scanning) -> str:
    words = "looked at" if event.finished else "looking at"
    return f"{words} {visible(event.subject)}: {_extent_of(event.objects, event.bytes)}"
