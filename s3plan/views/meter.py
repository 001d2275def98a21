"""How far a step is, how fast it goes and how long it will take, from the increases it reports."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from s3plan.model.steps import Totals

# What an item and a byte weigh in a guess of the time left. Small objects cost requests and large
# ones cost bytes; a step with both would otherwise be guessed wrong for half of its way.
_SECONDS_AN_ITEM = 1 / 1500
_SECONDS_A_BYTE = 1 / 100e6

_WINDOW = 10.0  # seconds over which a rate is taken
_SAMPLE = 0.5  # seconds between the samples it is taken from


class Meter:
    """Counts one step. Rates are per second over the last ten seconds, by ``clock``'s seconds."""

    def __init__(self, totals: Totals, done: Totals, clock: Callable[[], float]) -> None:
        """``done`` is what earlier sessions did: behind us, but not this session's speed."""
        self.totals = totals
        self.items = done.items
        self.bytes = done.bytes
        self._moving = 0
        self._begun_with = done
        self._clock = clock
        self._begun = clock()
        self._next_look = (0, 0.0)
        self._samples = deque([(self._begun, done.items, done.bytes)])

    def add(self, items: int, size: int) -> None:
        """Count an increase; what had been under way of it counts once."""
        moved = min(size, self._moving)
        self._moving -= moved
        self.items += items
        self.bytes += size - moved
        self._sample()

    def move(self, size: int) -> None:
        """So many bytes are under way, of items that have not ended."""
        size = min(size, self.totals.bytes - self.bytes + self._moving)
        self.bytes += size - self._moving
        self._moving = size
        self._sample()

    def _sample(self) -> None:
        now = self._clock()
        if now - self._samples[-1][0] >= _SAMPLE:
            self._samples.append((now, self.items, self.bytes))
            while len(self._samples) > 2 and now - self._samples[1][0] > _WINDOW:
                self._samples.popleft()

    def wait(self, objects: int, seconds: float) -> None:
        """Nothing of so many objects moves here: somebody else works, and is asked after that."""
        self._next_look = (objects, self._clock() + seconds)

    @property
    def waiting(self) -> tuple[int, float] | None:
        """How many objects are waited for, and the seconds until the next look; None for none."""
        objects, moment = self._next_look
        left = moment - self._clock()
        return (objects, left) if objects and left > 0 else None

    @property
    def fraction(self) -> float:
        """How much of the step is behind us, from 0 to 1."""
        # Bytes move more evenly than objects, where a step moves any.
        if self.totals.bytes and self.bytes:
            return min(1.0, self.bytes / self.totals.bytes)
        return min(1.0, self.items / self.totals.items) if self.totals.items else 0.0

    @property
    def rate(self) -> tuple[float, float]:
        """Items and bytes a second; zero until something can be said."""
        then, items, size = self._samples[0]
        seconds = self._clock() - then
        if seconds < _SAMPLE:
            return 0.0, 0.0
        return (self.items - items) / seconds, (self.bytes - size) / seconds

    @property
    def seconds_left(self) -> float | None:
        """A guess from this session's pace; None until there is one."""
        seconds = self._clock() - self._begun
        done = self._work(self.items, self.bytes) - self._work(
            self._begun_with.items, self._begun_with.bytes
        )
        left = self._work(self.totals.items, self.totals.bytes) - self._work(self.items, self.bytes)
        if seconds < 1 or done <= 0:
            return None
        return max(0.0, left * seconds / done)

    def _work(self, items: int, size: int) -> float:
        # A step that reports no bytes (a deletion) is only about its items.
        moves_bytes = self.bytes > self._begun_with.bytes
        return items * _SECONDS_AN_ITEM + (size * _SECONDS_A_BYTE if moves_bytes else 0)
