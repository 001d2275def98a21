"""What a run is doing right now, for somebody who watches: how many items stand how, which ones are
being worked on, and what did not end well. Below the bars of the steps, on a terminal only.

Handling an event only notes it; lines are made every two seconds, however often they are drawn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from heapq import nlargest
from operator import itemgetter

from rich.text import Text

from s3plan.model.events import (
    AnyEvent,
    ItemBegan,
    ItemProblem,
    Progressed,
    RunBegan,
    StepBegan,
    StepFinished,
)
from s3plan.model.journal import Outcome
from s3plan.views.quantities import duration, number
from s3plan.views.text import shorten, visible, without_name

INTERVAL = 2.0
"""Seconds between two looks; nothing is shown of a run that is shorter."""

RECENT = 10
"""Items that are named: what began or went wrong most recently."""

_STANDINGS: dict[Outcome, str] = {
    "verified": "succeeded",
    "unverifiable": "succeeded",
    "done": "succeeded",
    "failed": "failed",
    "mismatched": "failed",
    "drifted": "drifted",
    "kept": "kept",
}

_ALWAYS = ("planned", "running", "succeeded", "failed")
_STYLES = {"failed": "red", "mismatched": "red", "drifted": "yellow", "kept": "yellow"}


class Dashboard:
    """Notes events of one run. ``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began: float | None = None
        self._total = 0
        self._counts = dict.fromkeys(("succeeded", "failed", "drifted", "kept"), 0)
        self._steps: dict[str, int] = {}
        """Items of each step that is under way and not at their end."""
        self._verbs: dict[str, str] = {}
        self._running: dict[tuple[str, str], float] = {}
        self._problems: deque[tuple[float, ItemProblem]] = deque(maxlen=RECENT)
        self._last: float | None = None
        self._lines: list[Text] = []
        self._due = 0.0

    def handle(self, event: AnyEvent) -> None:
        """Note an event; others than those about items are ignored."""
        match event:
            case ItemBegan():
                self._running[event.step, event.key] = self._clock()
            case Progressed():
                self._progressed(event)
            case ItemProblem():
                self._problems.append((self._clock(), event))
            case RunBegan():
                self._began = self._clock()
                self._due = self._began + INTERVAL
                self._total = event.totals.items
                self._counts["succeeded"] = event.done.items
            case StepBegan():
                self._steps[event.step] = event.totals.items - event.done.items
                self._verbs[event.step] = event.verb
            case StepFinished():
                self._finished(event)
            case _:
                pass

    def lines(self, columns: int) -> list[Text]:
        """What there is to see, made anew where that is due."""
        now = self._clock()
        if self._began is None or now < self._due:
            return self._lines
        self._due = now + INTERVAL
        self._lines = list(self._made(now, self._began, columns))
        return self._lines

    def _progressed(self, event: Progressed) -> None:
        standing = _STANDINGS[event.outcome]
        self._counts[standing] += event.items
        if event.step in self._steps:
            self._steps[event.step] -= event.items
        if standing == "succeeded":
            self._last = self._clock()
        for key in event.keys:
            self._running.pop((event.step, key), None)

    def _finished(self, event: StepFinished) -> None:
        left = self._steps.pop(event.step, 0)
        if event.outcome == "done":
            # A verification looks at the whole, and tells of no item by itself.
            self._counts["succeeded"] += max(0, left)
        for name in [name for name in self._running if name[0] == event.step]:
            del self._running[name]

    def _made(self, now: float, began: float, columns: int) -> Iterator[Text]:
        running = list(self._running.items())  # at once: events come on another thread
        ended = sum(self._counts.values())
        counts = {
            "planned": max(0, self._total - ended - len(running)),
            "running": len(running),
            **self._counts,
        }
        said = [
            f"{number(count)} {name}" for name, count in counts.items() if count or name in _ALWAYS
        ]
        head = Text(
            f"all steps, {duration(now - began)}: {', '.join(said)};"
            f" last completion {_ago(self._last, now)}"
        )
        head.truncate(columns, overflow="ellipsis")
        yield head
        recent: list[tuple[float, Text]] = [
            (since, Text(f"  {self._doing(step)} {_name(key, columns)}, {duration(now - since)}"))
            for (step, key), since in nlargest(RECENT, running, key=itemgetter(1))
        ]
        recent += [
            (since, _problem(event, now - since, columns)) for since, event in list(self._problems)
        ]
        for _, line in nlargest(RECENT, recent, key=itemgetter(0)):
            line.truncate(columns, overflow="ellipsis")
            yield line

    def _doing(self, step: str) -> str:
        return self._verbs.get(step, "running")


def _name(key: str, columns: int) -> str:
    return shorten(key, columns // 2)


def _ago(then: float | None, now: float) -> str:
    if then is None:
        return "none yet"
    return f"{duration(now - then)} ago" if now - then >= 1 else "just now"


def _problem(event: ItemProblem, seconds: float, columns: int) -> Text:
    line = Text("  ").append(event.outcome, style=_STYLES.get(event.outcome, ""))
    said = visible(without_name(event.message, event.key))
    line.append(f" {_name(event.key, columns)}, {duration(seconds)} ago: {said}", style="default")
    return line
