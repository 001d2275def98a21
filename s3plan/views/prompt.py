"""A question on the terminal to which only the word ``yes`` means yes."""

from __future__ import annotations

import select
import signal
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from s3plan.views.terminal import Screen

_LOOK_EVERY = 0.2  # seconds between two looks whether a signal arrived


def can_ask(screen: Screen) -> bool:
    """Whether somebody is there: both the question and the answer need a terminal."""
    return screen.interactive and sys.stdin is not None and sys.stdin.isatty()


def confirmed(screen: Screen, question: str) -> bool:
    """Ask and wait. End of input, a signal and every other word are no; what was typed before the
    question counts for nothing.

    A signal is passed on to whoever handled it before, after the terminal has been left: an
    asyncio loop cannot act on one while its thread waits here.
    """
    # What was typed before the figures were shown is no answer to them.
    with suppress(termios.error):
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
    screen.print(question, end=" ", soft_wrap=True)
    screen.file.flush()
    with _signals() as arrived:
        while not arrived:
            readable, _, _ = select.select([sys.stdin], [], [], _LOOK_EVERY)
            if readable:
                return sys.stdin.readline().strip() == "yes"
        screen.say()
    signal.raise_signal(arrived[0])
    return False


@contextmanager
def _signals() -> Iterator[list[signal.Signals]]:
    """Collect SIGINT and SIGTERM instead of acting on them. Main thread only."""
    arrived: list[signal.Signals] = []

    def note(number: int, _frame: FrameType | None) -> None:
        arrived.append(signal.Signals(number))

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield arrived
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
