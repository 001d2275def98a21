"""How many requests a bucket takes at once: learnt from its answers, per bucket, while sending.

A window says how many requests may be in flight. It starts at the connection's limit. Answers are
judged in rounds of about one window: what the server refused with a request to slow down takes
half its share away (of a round that was refused as a whole, three quarters), a full window whose
answers take much longer than they used to loses a fifth, and every round gives a little back. Below
one the window is a share of time: 0.25 is one request in flight for a quarter of it.

This is AIMD with a cut in proportion to what was refused, as in DCTCP (RFC 8257, 3.3): a server
that refuses some requests at any load keeps a window that moves, while a server with a ceiling is
asked for little more than it gives.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

_SHORTEST_ROUND = 16
"""Answers that a share can be computed from."""

_STEP = 0.4
_GROWTH = 0.2
"""A round adds ``_STEP`` requests, or ``_GROWTH`` of a window that is small."""

_CLEAR = 5
"""Answers after which a round ends early when every one of them was a refusal."""

_LONGEST_IDLE = 0.1
"""Seconds between two requests at the most, but for Retry-After: what a server refuses at ten a
second, it refuses for another reason than our speed, and each request waits longer by itself.
"""

_QUEUEING = 0.25
_SLOWER = 4.0
_LATENCY_CUT = 0.8
_LATENCY_FLOOR = 4.0
_FORGETTING = 1.01
"""A full window whose answers take over ``_QUEUEING`` seconds and ``_SLOWER`` times as long as in
the quickest round stands in a queue; four requests in flight are never blamed for one. The quickest
round counts one percent less with every further one, for servers that have become slower."""

_FIRST_GUESS = 0.02
"""Seconds that an answer takes, before any came."""


class Pace:
    """The window of one bucket. Belongs to one event loop; ``enter`` and ``leave`` are a pair."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        """``most`` requests in flight at the most; ``clock`` gives seconds that never go back."""
        self.window = float(most)
        self._most = float(most)
        self._clock = clock
        self._in_flight = 0
        self._filled = False
        self._not_before = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._stale = 0
        self._latency = _FIRST_GUESS
        self._quickest = float("inf")
        self._begin_round()

    async def enter(self) -> None:
        """Wait until one more request may be sent; ``leave`` must follow."""
        if self._in_flight + 1 <= self.window and not self._waiting and not self._not_before:
            self._in_flight += 1
            return
        self._filled = True
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.leave()  # the turn came together with the cancellation
            raise

    def leave(self) -> None:
        """The request has ended, well or not."""
        self._in_flight -= 1
        if self.window < 1:
            self._rest(min(self._latency * (1 / self.window - 1), _LONGEST_IDLE))
        if self._waiting:
            self._admit()

    def answered(self, seconds: float | None) -> None:
        """The server did what was asked, or said why not; its first byte took so many seconds.

        None is an answer whose time says nothing about the server.
        """
        if self._stale:
            self._stale -= 1
            return
        self._answers += 1
        if seconds is not None:
            self._timed += 1
            self._seconds += seconds
        if self._answers >= self._round or self._refused == self._answers == _CLEAR:
            self._judge_round()

    def refused(self, rest: float | None) -> None:
        """The server asked to slow down; ``rest`` is Retry-After in seconds, for everybody."""
        if rest:
            self._rest(rest)
        if not self._stale:
            self._refused += 1
        self.answered(None)

    def _begin_round(self) -> None:
        self._round = max(_SHORTEST_ROUND, int(self.window))
        self._answers = 0
        self._refused = 0
        self._timed = 0
        self._seconds = 0.0
        self._filled = False

    def _judge_round(self) -> None:
        before = self.window
        share = self._refused / self._answers
        self.window *= 1 - max(share / 2, share - 0.25)
        if self._timed:
            self._latency = self._seconds / self._timed
            queueing = max(_QUEUEING, _SLOWER * self._quickest)
            self._quickest = min(self._quickest * _FORGETTING, self._latency)
            if self._filled and self._latency > queueing and self.window > _LATENCY_FLOOR:
                self.window = max(_LATENCY_FLOOR, self.window * _LATENCY_CUT)
        if self.window < before:
            # What is in flight was sent at the old window, and must not be blamed on the new one.
            self._stale = self._in_flight
        self.window += min(_STEP, _GROWTH * self.window)
        smallest = self._latency / (self._latency + _LONGEST_IDLE)
        self.window = max(smallest, min(self.window, self._most))
        self._begin_round()

    def _rest(self, seconds: float) -> None:
        self._not_before = max(self._not_before, self._clock() + seconds)

    def _admit(self) -> None:
        """Let in who waits, as far as there is room and the time has come."""
        while self._waiting and self._in_flight + 1 <= max(1.0, self.window):
            if self._not_before:
                left = self._not_before - self._clock()
                if left > 0:
                    self._wake_in(left)
                    return
                self._not_before = 0.0
            turn = self._waiting.popleft()
            if not turn.done():
                self._in_flight += 1
                turn.set_result(None)

    def _wake_in(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._woken)

    def _woken(self) -> None:
        self._timer = None
        self._admit()
