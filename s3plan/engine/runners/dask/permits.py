"""A worker's permission to write: given for a while, by a process that was alive when it was given.

The process that has the run asks every worker, once a second, how it is. A worker answers with the
time on its own clock, which the next question brings back. Whoever sends that time back was alive
after it was told: from it on a worker may write for the time that it is trusted, however long the
question was under way. Once nobody asks any more, all of them stop writing within that time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s3plan.errors import LockLostError

if TYPE_CHECKING:
    from s3plan.engine.runners.dask.recording import Recorder


@dataclass(slots=True)
class Running:
    """A partition that runs in this process: what it has told so far, and how to stop it."""

    recorder: Recorder | None = None
    stop: Callable[[], object] | None = None


@dataclass(slots=True)
class Permit:
    """One session's permission to this process. Its clock is the process's own (monotonic)."""

    clock: Callable[[], float] = time.monotonic
    until: float = 0.0
    lapses: int = 0
    stopping: bool = False
    running: dict[str, Running] = field(default_factory=dict)
    _given: threading.Event = field(default_factory=threading.Event)

    def asked(self, mark: float | None, seconds: float, *, stopping: bool) -> float:
        """Somebody who has the run asks; the answer is to be brought back as ``mark``."""
        now = self.clock()
        if self.until and now > self.until:
            self.lapses += 1
        if mark is not None:
            self.until = max(self.until, mark + seconds)
            if self.until > now:
                self._given.set()
        if stopping and not self.stopping:
            self.stopping = True
            for running in list(self.running.values()):
                if running.stop is not None:
                    running.stop()
        return now

    def seconds_left(self) -> float:
        """Seconds that a request which writes may take; below 0 it may not be sent."""
        return self.until - self.clock()

    def wait(self, seconds: float) -> bool:
        """Block until permission was given for the first time; False where it never was."""
        return self._given.wait(seconds)

    def check(self) -> None:
        """Raise LockLostError unless this process may write."""
        if self.seconds_left() <= 0:
            raise LockLostError(
                "the process that has the run was not heard of for too long",
                next_step="run the same command again",
            )
