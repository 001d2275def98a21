"""libcurl's multi on the event loop, behind one descriptor that the loop watches.

libcurl's sockets stand in a selector of our own (epoll, kqueue), and that selector is the one thing
the loop watches. A socket comes and goes with every request; the loop's own watchers, as
pycurl.AsyncCurlMulti uses them, cost as much again as all of libcurl. Everything runs on the loop.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import Protocol, cast

import pycurl

_EVENTS = {
    pycurl.POLL_IN: selectors.EVENT_READ,
    pycurl.POLL_OUT: selectors.EVENT_WRITE,
    pycurl.POLL_INOUT: selectors.EVENT_READ | selectors.EVENT_WRITE,
}
"""What libcurl awaits of a socket, as the selector calls it; all else is nothing."""

_READY = {
    selectors.EVENT_READ: pycurl.CSELECT_IN,
    selectors.EVENT_WRITE: pycurl.CSELECT_OUT,
    selectors.EVENT_READ | selectors.EVENT_WRITE: pycurl.CSELECT_IN | pycurl.CSELECT_OUT,
}


class _Pollable(Protocol):
    """What every selector has that can itself be watched."""

    def fileno(self) -> int: ...


class Multi:
    """Transfers side by side on one event loop; ``perform`` a handle, or ``remove`` it midway."""

    def __init__(self, connections: int) -> None:
        """Keeps up to ``connections`` idle connections. Belongs to the running loop."""
        self._loop = asyncio.get_running_loop()
        self._futures: dict[pycurl.Curl, asyncio.Future[None]] = {}
        self._sockets: dict[int, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None
        self._kick: asyncio.Handle | None = None
        self._selector = selectors.DefaultSelector()
        self._loop.add_reader(cast("_Pollable", self._selector).fileno(), self._on_news)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, connections)

    def perform(self, curl: pycurl.Curl) -> asyncio.Future[None]:
        """Begin a transfer; the future is done when it is, or raises `pycurl.error`.

        Who cancels the future removes the handle.
        """
        future = self._loop.create_future()
        self._multi.add_handle(curl)
        self._futures[curl] = future
        return future

    def remove(self, curl: pycurl.Curl) -> None:
        """Break a transfer off, if it is not over: the handle is the caller's again at once."""
        if self._futures.pop(curl, None) is not None:
            self._multi.remove_handle(curl)

    def close(self) -> None:
        """Break all transfers off, cancel who waits for them, and close every connection."""
        for future in self._futures.values():
            future.cancel()
        for curl in list(self._futures):
            self.remove(curl)
        for handle in (self._timer, self._kick):
            if handle is not None:
                handle.cancel()
        # Closing connections may have libcurl say goodbye, and so call back for their sockets.
        self._multi.close()
        self._loop.remove_reader(cast("_Pollable", self._selector).fileno())
        self._selector.close()

    # -- what libcurl asks for -----------------------------------------------------------------

    def _on_socket(self, what: int, socket: int, _multi: object, _data: object) -> None:
        events = _EVENTS.get(what, 0)
        known = self._sockets.get(socket, 0)
        if events == known:
            return
        if not events:
            del self._sockets[socket]
            self._selector.unregister(socket)
            return
        self._sockets[socket] = events
        if known:
            self._selector.modify(socket, events)
        else:
            self._selector.register(socket, events)

    def _on_timer(self, milliseconds: int) -> None:
        """Call back after so long; 0 is as soon as libcurl has returned, -1 not at all."""
        if milliseconds == 0:
            self._due = None
            if self._kick is None:
                self._kick = self._loop.call_soon(self._on_kick)
            return
        if milliseconds < 0:
            self._due = None
            return
        self._due = self._loop.time() + milliseconds / 1000
        # A timer that rings earlier is left as it is, and set anew when it has rung: nearly every
        # request ends before its own timers, which are then never set.
        if self._timer is not None:
            if self._timer.when() <= self._due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(self._due, self._on_alarm)

    # -- what the loop tells -------------------------------------------------------------------

    def _on_kick(self) -> None:
        self._kick = None
        self._act([(pycurl.SOCKET_TIMEOUT, 0)])

    def _on_alarm(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._on_alarm)
            return
        self._due = None
        self._act([(pycurl.SOCKET_TIMEOUT, 0)])

    def _on_news(self) -> None:
        self._act([(key.fd, _READY[events]) for key, events in self._selector.select(0)])

    def _act(self, news: list[tuple[int, int]]) -> None:
        """Let libcurl work, and tell who waits for what is over."""
        try:
            for socket, ready in news:
                self._multi.socket_action(socket, ready)
            _, done, failed = self._multi.info_read()
        except pycurl.error as error:
            # libcurl has lost itself: nothing that is under way will ever be told of.
            for curl in list(self._futures):
                self._end(curl, error)
            return
        for curl in done:
            self._end(curl, None)
        for curl, code, message in failed:
            self._end(curl, pycurl.error(code, message))

    def _end(self, curl: pycurl.Curl, error: pycurl.error | None) -> None:
        future = self._futures.pop(curl)
        self._multi.remove_handle(curl)
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
