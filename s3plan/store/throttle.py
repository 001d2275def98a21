"""Ceilings a connection sets on itself: requests a second and bytes a second."""

from __future__ import annotations

import asyncio
import threading
import time


class RequestRate:
    """Spaces requests evenly; every request of a connection passes here once per attempt."""

    def __init__(self, per_second: float | None) -> None:
        """``per_second`` None is no ceiling."""
        self._interval = 1 / per_second if per_second else 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Wait until this request may be sent."""
        if not self._interval:
            return
        now = time.monotonic()
        at = max(now, self._next)
        self._next = at + self._interval
        if at > now:
            await asyncio.sleep(at - now)


class Bandwidth:
    """One bucket of bytes that all transfers of a connection share, in both directions.

    Bytes are counted when they have passed; whoever moved them waits until the average is below
    the ceiling again. A body in memory is therefore a burst followed by a pause.
    """

    def __init__(self, per_second: int | None) -> None:
        """``per_second`` is bytes; None is no ceiling."""
        self._rate = per_second
        self._paid_until = 0.0
        self._lock = threading.Lock()

    def debit(self, count: int) -> float:
        """Account for ``count`` bytes; the answer is how many seconds to wait. Thread-safe."""
        if self._rate is None:
            return 0.0
        with self._lock:
            now = time.monotonic()
            self._paid_until = max(now, self._paid_until) + count / self._rate
            return self._paid_until - now
