"""The HTTP transport: libcurl on the event loop for small bodies, in threads for streamed ones.

One request, one answer: no retries, no redirects, nothing about S3. Each thread's transfer calls
its sink or source in that thread, so hashing and disk never run on the loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import pycurl

from s3plan.model.connection import Limits
from s3plan.store.egress import Egress
from s3plan.store.multi import Multi
from s3plan.store.once import Once
from s3plan.store.throttle import Bandwidth
from s3plan.store.transfer import (
    Answer,
    Receiver,
    Source,
    Transfer,
    WireError,
    parse_headers,
)

_T = TypeVar("_T")

_LARGEST_BUFFER = 512 * 1024
_SMALLEST_BUFFER = 16 * 1024
_STALL_BYTES_PER_SECOND = 1


class Outgoing(NamedTuple):
    """A request as it goes out: signed, encoded. ``url`` is exact; ``lines`` are header lines.

    ``once`` is for what must not be repeated: libcurl would silently send it again when a reused
    connection turns out dead. ``seconds`` is what is left until the deadline, 0 for none.
    """

    method: str
    origin: str
    url: str
    lines: list[bytes]
    once: bool = False
    seconds: float = 0.0


class _Handle:
    """A handle of libcurl that is used again and again, and where its answers come together."""

    __slots__ = ("chunks", "curl", "lines", "once")

    def __init__(self, curl: pycurl.Curl) -> None:
        self.curl = curl
        self.lines: list[bytes] = []
        self.chunks: list[bytes] = []
        self.once = Once(curl)
        curl.setopt(pycurl.HEADERFUNCTION, self.lines.append)
        curl.setopt(pycurl.WRITEFUNCTION, self.chunks.append)


class Wire:
    """The connections of one store. Bound to the loop that first uses it."""

    def __init__(
        self,
        limits: Limits,
        egress: Egress,
        *,
        user_agent: str,
        connect_seconds: float,
        stall_seconds: float,
    ) -> None:
        """``stall_seconds`` without a byte end a transfer."""
        self._limits = limits
        self._egress = egress
        self._user_agent = user_agent
        self._connect_ms = int(connect_seconds * 1000)
        self._stall = max(1, round(stall_seconds))
        self._slots = asyncio.Semaphore(limits.connections)
        self._bandwidth = Bandwidth(limits.bandwidth)
        self._limited = limits.bandwidth is not None
        # All receive buffers together take at most an eighth of the memory that is allowed.
        share = limits.memory // 8 // max(1, limits.connections)
        self._buffer = max(_SMALLEST_BUFFER, min(_LARGEST_BUFFER, share))
        self._multi: Multi | None = None
        self._idle: dict[tuple[str, str], list[_Handle]] = {}
        self._idle_in_threads: list[pycurl.Curl] = []
        self._threads: ThreadPoolExecutor | None = None
        self._cancels: set[threading.Event] = set()
        self._closed = False

    async def exchange(self, out: Outgoing, body: bytes | None = None) -> Answer:
        """One request with its whole answer in memory, on the loop. Raises `WireError`.

        An answer larger than ``limits.memory`` is refused.
        """
        async with self._slots:
            self._check_open()
            return await self._exchange(out, body)

    async def _exchange(self, out: Outgoing, body: bytes | None) -> Answer:
        shape = "body" if body is not None else out.method
        idle = self._idle.setdefault((shape, out.origin), [])
        handle = idle.pop() if idle else self._new_handle(shape, out.origin)
        curl = handle.curl
        curl.setopt(pycurl.URL, out.url)
        curl.setopt(pycurl.HTTPHEADER, out.lines)
        if body is not None:
            curl.setopt(pycurl.CUSTOMREQUEST, out.method)
            curl.setopt(pycurl.POSTFIELDS, body)
        curl.setopt(pycurl.TIMEOUT_MS, _milliseconds(out.seconds))
        handle.once.begin(out.once)
        if self._multi is None:
            self._multi = Multi(self._limits.connections)
        try:
            await self._multi.perform(curl)
        except pycurl.error as error:
            failure = _failure(error, curl, handle.once)
            curl.close()
            raise failure from error
        except BaseException:
            # Cancelled: the handle must leave the multi now, not on the loop's next turn.
            self._multi.remove(curl)
            curl.close()
            raise
        status = curl.getinfo(pycurl.RESPONSE_CODE)
        seconds = curl.getinfo(pycurl.STARTTRANSFER_TIME)
        content = b"".join(handle.chunks)
        headers = parse_headers(handle.lines)
        # An idle handle must not keep the last body alive.
        handle.chunks.clear()
        handle.lines.clear()
        if body:
            curl.setopt(pycurl.POSTFIELDS, b"")
        idle.append(handle)
        if self._limited:
            pause = self._bandwidth.debit(len(content) + len(body or b""))
            if pause:
                await asyncio.sleep(pause)
        return Answer(status, headers, content, seconds)

    async def stream(
        self,
        out: Outgoing,
        *,
        receiver: Receiver | None = None,
        source: Source | None = None,
        size: int = 0,
        good: int = 200,
    ) -> Answer:
        """One request in a thread of its own, body streamed in or out. Raises `WireError`, or
        what receiver or source raised. ``good`` is the status whose body the receiver takes.

        Cancelling aborts the transfer within about a second and returns only when the thread has
        let go of receiver and source.
        """
        async with self._slots:
            self._check_open()
            bandwidth = self._bandwidth if self._limited else None
            transfer = Transfer(bandwidth, receiver, source, good)
            return await self._in_thread(
                lambda: self._perform(out, transfer, size), transfer.cancelled
            )

    async def run(self, work: Callable[[], _T]) -> _T:
        """Run ``work`` in one of the transfer threads."""
        async with self._slots:
            return await self._in_thread(work, threading.Event())

    async def aclose(self) -> None:
        """Abort what is in flight and close every connection, for good."""
        self._closed = True
        for cancel in list(self._cancels):
            cancel.set()
        if self._multi is not None:
            self._multi.close()
            self._multi = None
        if self._threads is not None:
            threads, self._threads = self._threads, None
            await asyncio.to_thread(threads.shutdown)
        for curl in self._idle_in_threads:
            curl.close()
        for handles in self._idle.values():
            for handle in handles:
                handle.curl.close()
        self._idle.clear()
        self._idle_in_threads.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise WireError("the store is closed", sent=False, fatal=True)

    async def _in_thread(self, work: Callable[[], _T], cancel: threading.Event) -> _T:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._limits.connections, "s3plan-wire")
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        self._cancels.add(cancel)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            cancel.set()
            await _until_done(running)
            raise
        finally:
            self._cancels.discard(cancel)

    def _perform(self, out: Outgoing, transfer: Transfer, size: int) -> Answer:
        try:
            curl = self._idle_in_threads.pop()
        except IndexError:
            curl = pycurl.Curl()
        self._configure(curl, out.origin)
        curl.setopt(pycurl.URL, out.url)
        curl.setopt(pycurl.HTTPHEADER, out.lines)
        once = Once(curl)
        once.begin(out.once)
        curl.setopt(pycurl.TIMEOUT_MS, _milliseconds(out.seconds))
        curl.setopt(pycurl.NOPROGRESS, 0)
        curl.setopt(pycurl.XFERINFOFUNCTION, transfer.progress)
        curl.setopt(pycurl.HEADERFUNCTION, transfer.lines.append)
        curl.setopt(pycurl.WRITEFUNCTION, transfer.write)
        if transfer.source is not None:
            curl.setopt(pycurl.UPLOAD, 1)
            curl.setopt(pycurl.INFILESIZE_LARGE, size)
            curl.setopt(pycurl.READFUNCTION, transfer.read)
            curl.setopt(pycurl.SEEKFUNCTION, transfer.seek)
            curl.setopt(pycurl.UPLOAD_BUFFERSIZE, self._buffer)
        try:
            if transfer.source is not None:
                transfer.source.start()
            curl.perform()
            return transfer.finish(
                curl.getinfo(pycurl.RESPONSE_CODE), curl.getinfo(pycurl.STARTTRANSFER_TIME)
            )
        except pycurl.error as error:
            if transfer.raised is not None:
                raise transfer.raised from None
            raise _failure(error, curl, once) from error
        finally:
            curl.reset()
            self._idle_in_threads.append(curl)

    def _new_handle(self, shape: str, origin: str) -> _Handle:
        curl = pycurl.Curl()
        self._configure(curl, origin)
        handle = _Handle(curl)
        if shape == "HEAD":
            # Its content-length is of a body that does not come, and may be larger than memory.
            curl.setopt(pycurl.NOBODY, 1)
            return handle
        curl.setopt(pycurl.MAXFILESIZE_LARGE, self._limits.memory)
        if shape == "DELETE":
            curl.setopt(pycurl.CUSTOMREQUEST, "DELETE")
        return handle

    def _configure(self, curl: pycurl.Curl, origin: str) -> None:
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        # libcurl would fold `a/../b` in a key; S3 would not.
        curl.setopt(pycurl.PATH_AS_IS, 1)
        curl.setopt(pycurl.FOLLOWLOCATION, 0)
        curl.setopt(pycurl.TCP_NODELAY, 1)
        curl.setopt(pycurl.TCP_KEEPALIVE, 1)
        curl.setopt(pycurl.BUFFERSIZE, self._buffer)
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, self._connect_ms)
        curl.setopt(pycurl.LOW_SPEED_LIMIT, _STALL_BYTES_PER_SECOND)
        curl.setopt(pycurl.LOW_SPEED_TIME, self._stall)
        curl.setopt(pycurl.USERAGENT, self._user_agent)
        # Both explicit: an empty value keeps libcurl from reading the environment by its rules.
        curl.setopt(pycurl.PROXY, self._egress.proxy(origin) or "")
        curl.setopt(pycurl.NOPROXY, "")
        if origin.startswith("https:"):
            curl.setopt(pycurl.CAINFO, self._egress.ca_bundle)


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000)) if seconds else 0


async def _until_done(running: Awaitable[object]) -> None:
    waited = asyncio.ensure_future(running)
    while not waited.done():
        try:
            await asyncio.wait([waited])
        except asyncio.CancelledError:
            continue
    waited.exception()


_FATAL = {
    pycurl.E_UNSUPPORTED_PROTOCOL,
    pycurl.E_URL_MALFORMAT,
    pycurl.E_PEER_FAILED_VERIFICATION,
    pycurl.E_SSL_CACERT_BADFILE,
    pycurl.E_SSL_CERTPROBLEM,
    pycurl.E_SSL_CIPHER,
    pycurl.E_FILESIZE_EXCEEDED,
}


def _failure(error: pycurl.error, curl: pycurl.Curl, once: Once) -> WireError:
    code, message = error.args[0], str(error.args[1])
    if once.refused:
        message = "the connection was closed before an answer came"
    return WireError(
        message or f"libcurl error {code}",
        sent=once.refused or curl.getinfo(pycurl.REQUEST_SIZE) > 0,
        fatal=code in _FATAL,
    )
