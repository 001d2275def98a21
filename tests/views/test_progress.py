"""Progress: figures that can be planned by, and events that cost next to nothing."""

from __future__ import annotations

import io
import sys
import time

import pytest

from s3plan.model.events import Progressed, Scanning, StepBegan, StepFinished, Waiting
from s3plan.model.steps import Totals
from s3plan.views.meter import Meter
from s3plan.views.progress import Bars, Plain, Silent, progress_for
from s3plan.views.terminal import Screen


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_rate_and_time_left_come_from_this_session_only() -> None:
    clock = Clock()
    meter = Meter(Totals(100, 1000), Totals(50, 500), clock)
    assert meter.seconds_left is None
    for _ in range(10):
        clock.now += 1
        meter.add(2, 20)
    assert meter.rate == (2.0, 20.0)
    assert meter.seconds_left == pytest.approx(15.0)


def test_the_rate_forgets_what_is_longer_ago_than_its_window() -> None:
    clock = Clock()
    meter = Meter(Totals(10_000, 0), Totals(), clock)
    for _ in range(20):
        clock.now += 1
        meter.add(100, 0)
    for _ in range(20):
        clock.now += 1
        meter.add(1, 0)
    items, _ = meter.rate
    assert items == pytest.approx(1.0)


def test_a_wait_counts_down_and_says_for_what() -> None:
    clock = Clock()
    meter = Meter(Totals(1204, 0), Totals(), clock)
    meter.wait(1204, 300)
    said = []
    for seconds in (60, 240):
        clock.now += seconds
        said.append(meter.waiting)
    assert said == [(1204, 240), None]


def test_plain_lines_say_what_is_waited_for() -> None:
    """A20."""
    stream = io.StringIO()
    plain = Plain(Screen(stream, color=False, environ={}), Clock())
    plain.handle(StepBegan("r", "restore", "photos", Totals(1204, 0), Totals(4, 0)))
    plain.handle(Waiting("r", "photos", 1200, 300))
    assert stream.getvalue().splitlines()[-1] == (
        "restore photos: 0%, 4 of 1,204, waiting for 1,200 objects, next look in 5 min"
    )


def test_a_step_without_bytes_is_timed_by_its_items() -> None:
    clock = Clock()
    meter = Meter(Totals(100, 10**12), Totals(), clock)
    clock.now += 10
    meter.add(50, 0)
    assert meter.seconds_left == pytest.approx(10.0)


def test_plain_progress_is_a_line_every_five_seconds() -> None:
    clock = Clock()
    stream = io.StringIO()
    progress = Plain(Screen(stream, color=False, environ={}), clock)
    progress.handle(Scanning("old-photos", 1000, 4096))
    progress.handle(Scanning("old-photos", 1204, 5000, finished=True))
    progress.handle(StepBegan("s1", "download", "old-photos", Totals(100, 102400), Totals(10, 0)))
    for _ in range(24):
        clock.now += 0.25
        progress.handle(Progressed("s1", "verified", 1, 1024))
    progress.handle(StepFinished("s1", "download", "old-photos", "done", "", 6.0))
    progress.handle(Progressed("unknown", "verified", 1, 1024))
    assert stream.getvalue().splitlines() == [
        "looked at old-photos: 1,204 objects, 4.9 KiB",
        "download old-photos: 100 objects, 100.0 KiB, 10 of them done before",
        "download old-photos: 20%, 30 of 100, 20.0 KiB of 100.0 KiB, 4.0 KiB/s, 18 s left",
    ]


def test_bars_are_only_for_terminals() -> None:
    plain = Screen(io.StringIO(), color=False, environ={})
    terminal = Screen(Terminal(), color=False, environ={"TERM": "xterm"})
    dumb = Screen(Terminal(), color=False, environ={"TERM": "dumb"})
    assert type(progress_for("auto", plain)) is Plain
    assert type(progress_for("auto", dumb)) is Plain
    assert type(progress_for("auto", terminal)) is Bars
    assert type(progress_for("plain", terminal)) is Plain
    assert type(progress_for("none", terminal)) is Silent


def test_a_bar_names_its_step_and_shows_hostile_names_as_text() -> None:
    stream = Terminal()
    bars = Bars(Screen(stream, color=False, environ={"TERM": "xterm", "COLUMNS": "120"}))
    bars.handle(StepBegan("s1", "download", "a[red]\x1b]0;x", Totals(10, 1024), Totals()))
    bars.handle(Progressed("s1", "verified", 4, 512))
    time.sleep(0.5)
    with bars.paused():
        pass
    bars.handle(StepFinished("s1", "download", "a", "done", "", 1.0))
    bars.close()
    bars.close()
    text = stream.getvalue()
    assert "download a[red]\\x1b]0;x" in text
    assert "4 of 10, 512 B of 1.0 KiB" in text
    assert "\x1b]0;" not in text


def test_bars_leave_standard_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    bars = Bars(Screen(Terminal(), color=False, environ={"TERM": "xterm", "COLUMNS": "120"}))
    bars.handle(StepBegan("s1", "download", "b", Totals(10, 10), Totals()))
    sys.stdout.write("data\n")
    bars.close()
    assert capsys.readouterr().out == "data\n"


def test_an_event_costs_little_with_bars() -> None:
    bars = Bars(Screen(Terminal(), color=False, environ={"TERM": "xterm", "COLUMNS": "120"}))
    bars.handle(StepBegan("s1", "download", "b", Totals(10**6, 10**9), Totals()))
    event = Progressed("s1", "verified", 1, 1000)
    begun = time.process_time()
    for _ in range(20_000):
        bars.handle(event)
    spent = time.process_time() - begun
    bars.close()
    assert spent / 20_000 < 50e-6
