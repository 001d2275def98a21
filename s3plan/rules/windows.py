"""Hours in which something may be begun, by the clock on the wall: ``22:00-07:00``."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from msgspec import Struct

_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
DAY = 24 * 60


class Window(Struct, frozen=True):
    """From minute ``start`` of a day up to minute ``end``, which may be of the next one."""

    start: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Window:
        """Raises ValueError for what is no window."""
        found = _WINDOW.fullmatch(text)
        if found is None:
            raise ValueError("hours are written as 22:00-07:00")
        first, second, third, fourth = map(int, found.groups())
        start, end = first * 60 + second, third * 60 + fourth
        if start == end:
            raise ValueError("they begin and end at the same minute")
        return cls(start, end)

    def wait(self, now: datetime) -> float:
        """Seconds until it is open; 0 while it is. ``now`` is local time.

        >>> Window.parse("22:00-07:00").wait(datetime(2026, 11, 20, 21, 59, 30))
        30.0
        >>> Window.parse("22:00-07:00").wait(datetime(2026, 11, 20, 6, 59))
        0.0
        """
        minute = now.hour * 60 + now.minute
        if (minute - self.start) % DAY < (self.end - self.start) % DAY:
            return 0.0
        opening = now.replace(
            hour=self.start // 60, minute=self.start % 60, second=0, microsecond=0
        )
        if opening < now:
            opening += timedelta(days=1)
        return (opening - now).total_seconds()
