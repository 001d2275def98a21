"""Ctrl-C and SIGTERM, as Terraform treats them: the first drains, the second leaves at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_HANDLED = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, by KeyboardInterrupt: for work without a loop.

    Outside the main thread nothing changes.
    """
    try:
        previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


class Signals:
    """Turns the first signal into a call of ``stop``; a context of :meth:`handled`."""

    def __init__(self, stop: Callable[[signal.Signals], None]) -> None:
        self._stop = stop
        self._stopping = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle signals while the block runs; outside the main thread the caller has to."""
        try:
            self._install()
        except (ValueError, RuntimeError):
            yield
            return
        try:
            yield
        finally:
            self._remove()

    @contextmanager
    def prompting(self) -> Iterator[None]:
        """While a person is asked, Ctrl-C interrupts the question: KeyboardInterrupt.

        The prompt holds the loop, so the loop's own handler would not run before the answer.
        """
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            yield
            return
        self._remove()
        previous = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)
            self._install()

    def _install(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _HANDLED:
            loop.add_signal_handler(number, self._arrived, number)

    def _remove(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _HANDLED:
            loop.remove_signal_handler(number)

    def _arrived(self, number: signal.Signals) -> None:
        if self._stopping:
            # The journal is consistent at any instant; what is in flight becomes unknown.
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
            return
        self._stopping = True
        self._stop(number)
