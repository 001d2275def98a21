"""One streamed body: libcurl's callbacks on one side, a receiver or a source on the other.

Also what an answer is and how its headers are read, for bodies in memory too.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import pycurl

from s3plan.store.throttle import Bandwidth

_ERROR_BODY_LIMIT = 256 * 1024
_NAP_SECONDS = 0.2
_READ_ABORTED: int = pycurl.READFUNC_ABORT
_SEEK_DONE: int = pycurl.SEEKFUNC_OK
_SEEK_FAILED: int = pycurl.SEEKFUNC_FAIL
_CANNOT_SEEK: int = pycurl.SEEKFUNC_CANTSEEK


_HEADER = re.compile(r"^([^:\r\n]+):[ \t]*([^\r\n]*)", re.MULTILINE)


class Answer(NamedTuple):
    """An HTTP answer. Header names are lower-case, values one character per byte (Latin-1).

    ``body`` is empty where a receiver took the bytes. ``seconds`` passed until the first byte.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float = 0.0


class WholeObjectSent(Exception):
    """The endpoint answers with the whole object where a range of it was asked for."""


class WireError(Exception):
    """No whole answer came. ``sent`` tells whether the server may have seen the request."""

    def __init__(self, what: str, *, sent: bool, fatal: bool = False) -> None:
        """``fatal`` is what trying again cannot cure: certificates, names, protocols."""
        super().__init__(what)
        self.sent = sent
        self.fatal = fatal


class Receiver(Protocol):
    """Takes a successful answer piece by piece, in the transfer's thread; may raise to abort."""

    def accept(self, headers: dict[str, str]) -> None:
        """The answer begins; at every attempt, so a second call means start over."""

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""


class Source(Protocol):
    """Gives a body piece by piece, in the transfer's thread; may raise to abort."""

    def start(self) -> None:
        """Begin, or begin again, at the first byte."""

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; empty at the end."""


class ChunkedSource:
    """A body made of chunks: ``chunks`` begins anew at each attempt.

    A chunk need only be valid until the next one is asked for.
    """

    def __init__(self, chunks: Callable[[], Iterator[bytes | memoryview]]) -> None:
        self._chunks = chunks
        self._left: Iterator[bytes | memoryview] = iter(())
        self._rest = memoryview(b"")

    def start(self) -> None:
        """Begin, or begin again, at the first chunk."""
        self._left = self._chunks()
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; empty at the end."""
        while not self._rest:
            chunk = next(self._left, None)
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        data, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return data


class Transfer:
    """The callbacks of one streamed request; all but ``cancelled`` belong to its thread."""

    def __init__(
        self,
        bandwidth: Bandwidth | None,
        receiver: Receiver | None,
        source: Source | None,
        good: int = 200,
    ) -> None:
        """``bandwidth`` None is unlimited; one of receiver and source may be None.

        ``good`` is the status of an answer whose body the receiver takes.
        """
        self.cancelled = threading.Event()
        self.source = source
        self.lines: list[bytes] = []
        self.raised: BaseException | None = None
        self._bandwidth = bandwidth
        self._receiver = receiver
        self._good = b"%d" % good
        self._accepted = False
        self._decided = False
        self._received = 0
        self._body: list[bytes] = []

    def progress(self, *_: float) -> int:
        """XFERINFOFUNCTION: not 0 aborts."""
        return 1 if self.cancelled.is_set() else 0

    def write(self, chunk: bytes) -> int:
        """WRITEFUNCTION: another number than was given aborts."""
        # libcurl asks for progress only between long runs of these.
        if self.cancelled.is_set():
            return -1
        try:
            if not self._decided:
                self._decide()
            self._received += len(chunk)
            if self._accepted:
                assert self._receiver is not None
                self._receiver.feed(chunk)
            elif self._received <= _ERROR_BODY_LIMIT:
                self._body.append(chunk)
            self._pace(len(chunk))
        except BaseException as error:  # noqa: BLE001 (the caller gets it; libcurl only gets -1)
            self.raised = error
            return -1
        return len(chunk)

    def read(self, size: int) -> bytes | int:
        """READFUNCTION."""
        if self.cancelled.is_set():
            return _READ_ABORTED
        try:
            assert self.source is not None
            chunk = self.source.read(size)
            self._pace(len(chunk))
        except BaseException as error:  # noqa: BLE001 (as in write)
            self.raised = error
            return _READ_ABORTED
        return chunk

    def seek(self, offset: int, origin: int) -> int:
        """SEEKFUNCTION: only back to the start, for sending again on another connection."""
        if offset or origin:
            return _CANNOT_SEEK
        try:
            assert self.source is not None
            self.source.start()
        except BaseException as error:  # noqa: BLE001 (as in write)
            self.raised = error
            return _SEEK_FAILED
        return _SEEK_DONE

    def finish(self, status: int, seconds: float) -> Answer:
        """The answer after the last byte. Raises `WireError` when bytes are missing."""
        if not self._decided:
            self._decide()
        headers = parse_headers(self.lines)
        if self._accepted and headers.get("content-length") != str(self._received):
            raise WireError(
                f"{self._received} bytes came, content-length was "
                f"{headers.get('content-length', 'missing')}",
                sent=True,
            )
        return Answer(status, headers, b"".join(self._body), seconds)

    def _decide(self) -> None:
        """Give a good answer to the receiver; keep any other for the error message."""
        self._decided = True
        status_line = next(line for line in reversed(self.lines) if line.startswith(b"HTTP/"))
        status = status_line.split(b" ", 2)[1].strip()
        if self._receiver is not None and status == b"200" != self._good:
            # Nobody wants to read a whole object to its end because a range was asked for.
            raise WholeObjectSent
        if self._receiver is not None and status == self._good:
            self._receiver.accept(parse_headers(self.lines))
            self._accepted = True

    def _pace(self, count: int) -> None:
        if self._bandwidth is None:
            return
        pause = self._bandwidth.debit(count)
        while pause > 0 and not self.cancelled.wait(min(pause, _NAP_SECONDS)):
            pause -= _NAP_SECONDS


def parse_headers(lines: list[bytes]) -> dict[str, str]:
    """The headers of the last header block; repeated ones joined by a comma (RFC 9110, 5.3)."""
    text = b"".join(lines).decode("latin-1")
    start = text.rfind("\nHTTP/") + 1  # an interim answer (1xx) came before
    pairs = _HEADER.findall(text, text.find("\n", start))
    headers = {name.lower(): value.rstrip(" \t") for name, value in pairs}
    if len(headers) == len(pairs):
        return headers
    headers.clear()
    for sent, found in pairs:
        name, value = sent.lower(), found.rstrip(" \t")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers
