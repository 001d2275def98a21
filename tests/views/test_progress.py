"""Progress: figures that can be planned by, and events that cost next to nothing."""

from __future__ import annotations

import io
import sys
import time

import pytest
from rich.progress import Task, TaskID

from s3plan.model.events import (
    ItemBegan,
    ItemProblem,
    Progressed,
    RunBegan,
    Scanning,
    StepBegan,
    StepFinished,
    UnderWay,
    Waiting,
)
from s3plan.model.steps import Totals
from s3plan.views.dashboard import Dashboard
from s3plan.views.meter import Meter
from s3plan.views.progress import Bars, Figures, Plain, Silent, progress_for
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


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (120, "10%, 1 of 10, 1.0 KiB of 10.0 KiB, 1.0 KiB/s, 9 s left"),
        (90, "10%, 1 of 10, 1.0 KiB of 10.0 KiB, 9 s left"),
        (80, "10%, 1 of 10, 9 s left"),
    ],
)
def test_how_long_it_takes_is_said_on_a_narrow_terminal_too(columns: int, shown: str) -> None:
    clock = Clock()
    meter = Meter(Totals(10, 10 << 10), Totals(), clock)
    clock.now += 1
    meter.add(1, 1 << 10)
    screen = Screen(Terminal(), color=False, environ={"TERM": "xterm", "COLUMNS": str(columns)})
    task = Task(TaskID(0), "stage b", None, 0, _get_time=clock, fields={"meter": meter})
    assert Figures(screen).render(task).plain == shown


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


def test_one_large_archive_moves_long_before_it_ends() -> None:
    """D7: a session is one step whose files end together; its bytes are shown as they go."""
    clock = Clock()
    stream = io.StringIO()
    progress = Plain(Screen(stream, color=False, environ={}), clock)
    progress.handle(StepBegan("s1", "archive", "astro", Totals(40, 100 << 20), Totals()))
    for part in range(1, 6):
        clock.now += 2.5
        progress.handle(UnderWay("s1", part * (20 << 20) + 4096))
    progress.handle(Progressed("s1", "verified", 40, 100 << 20))
    assert stream.getvalue().splitlines()[1:] == [
        "archive astro: 40%, 0 of 40, 40.0 MiB of 100.0 MiB, 8.0 MiB/s, 8 s left",
        "archive astro: 80%, 0 of 40, 80.0 MiB of 100.0 MiB, 8.0 MiB/s, 3 s left",
    ]
    meter = Meter(Totals(40, 100), Totals(), clock)
    meter.move(60)
    meter.add(40, 100)
    assert (meter.items, meter.bytes, meter.fraction) == (40, 100, 1.0)


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


def _began(clock: Clock, total: int, done: int = 0) -> Dashboard:
    dashboard = Dashboard(clock)
    dashboard.handle(RunBegan("r", "apply", False, Totals(total, 0), Totals(done, 0)))
    return dashboard


def _shown(dashboard: Dashboard) -> list[str]:
    return [line.plain for line in dashboard.lines(100)]


def test_a_dashboard_tells_how_items_stand() -> None:
    """C18, C49: totals by status, the last completion, what was most recent; every 2 s."""
    clock = Clock()
    dashboard = _began(clock, 100, 40)
    dashboard.handle(StepBegan("s", "download", "b", Totals(100, 0), Totals(40, 0)))
    assert _shown(dashboard) == [], "nothing of a run that is over at once"
    for n in range(12):
        clock.now += 1
        dashboard.handle(ItemBegan("s", f"key-{n}"))
    dashboard.handle(Progressed("s", "verified", 1, 10, ("key-0",)))
    clock.now += 30
    dashboard.handle(Progressed("s", "failed", 1, 0, ("key-3",)))
    dashboard.handle(
        ItemProblem("s", "key-3", "p", "failed", "endpoint", "key-3: no answer", "again")
    )
    shown = _shown(dashboard)
    assert shown[0] == (
        "all steps, 42 s: 48 planned, 10 running, 41 succeeded, 1 failed; last completion 30 s ago"
    )
    assert shown[1] == "  failed key-3, under 1 s ago: no answer", "its name once"
    assert shown[2] == "  download key-11, 30 s"
    assert len(shown) == 1 + 10
    clock.now += 1.5
    dashboard.handle(Progressed("s", "verified", 1, 0, ("key-1",)))
    assert _shown(dashboard) == shown, "not before its time"
    clock.now += 0.5
    assert ", 42 succeeded," in _shown(dashboard)[0]


def test_a_dashboard_counts_what_a_verification_saw_as_a_whole() -> None:
    clock = Clock()
    dashboard = _began(clock, 20)
    dashboard.handle(StepBegan("v", "verify", "b", Totals(20, 0), Totals()))
    dashboard.handle(ItemBegan("v", "a"))
    dashboard.handle(StepFinished("v", "verify", "b", "done", "", 1.0))
    clock.now += 3
    (line,) = _shown(dashboard)
    assert line.startswith(
        "all steps, 3 s: 0 planned, 0 running, 20 succeeded, 0 failed; last completion none yet"
    )


def test_a_dashboard_shows_hostile_names_as_text_and_no_wider_than_the_screen() -> None:
    """Invariant 7."""
    clock = Clock()
    dashboard = _began(clock, 2)
    dashboard.handle(ItemBegan("s", "a\x1b]0;x\n" + "写" * 200))
    problem = ItemProblem("s", "k" * 500, "", "drifted", "r", "\x1b[2J" + "m" * 500, "n")
    dashboard.handle(problem)
    clock.now += 3
    for line in dashboard.lines(80):
        assert "\x1b" not in line.plain
        assert line.cell_len <= 80


def test_bars_have_the_dashboard_below_them() -> None:
    stream = Terminal()
    bars = Bars(Screen(stream, color=False, environ={"TERM": "xterm", "COLUMNS": "120"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("s3plan.views.dashboard.INTERVAL", 0.1)
        bars.handle(RunBegan("r", "apply", False, Totals(10, 10), Totals()))
        bars.handle(StepBegan("s1", "download", "b", Totals(10, 10), Totals()))
        bars.handle(ItemBegan("s1", "the-key"))
        time.sleep(0.6)
    bars.close()
    text = stream.getvalue()
    assert "9 planned, 1 running, 0 succeeded, 0 failed" in text
    assert "download the-key" in text
