"""``python -m benchmarks.bare REQUESTS``: libcurl's multi interface and nothing else.

What any program over libcurl could do at most: requests that were signed before, a fixed number at
a time, nothing compared and nothing recorded. It also fills the buckets of the benchmarks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pycurl

CONNECTIONS = 32


class Request(msgspec.Struct, frozen=True, array_like=True):
    """A method, a signed address, headers, and what is sent, or the file for what comes."""

    method: str
    url: str
    headers: list[str] = []
    body: bytes = b""
    file: str = ""


class RefusedError(Exception):
    """The server did not do it."""


def send(requests: Iterable[Request], connections: int = CONNECTIONS) -> int:
    """Send all of them, ``connections`` at a time; how many there were. Raises RefusedError."""
    multi = pycurl.CurlMulti()
    # Connections are kept for the next handle, not closed after each.
    multi.setopt(pycurl.M_MAXCONNECTS, connections)
    waiting = iter(requests)
    under_way: dict[pycurl.Curl, Any] = {}
    sent = 0
    for _ in range(connections):
        sent += _begin(multi, pycurl.Curl(), waiting, under_way)
    while under_way:
        multi.perform()
        more, done, failed = multi.info_read(connections)
        for _, _, message in failed:
            raise RefusedError(message)
        for handle in done:
            _end(multi, handle, under_way)
            sent += _begin(multi, handle, waiting, under_way)
        if not (done or more):  # what has just begun is on no socket yet
            multi.select(1.0)
    return sent


def _begin(
    multi: pycurl.CurlMulti,
    handle: pycurl.Curl,
    waiting: Iterator[Request],
    under_way: dict[pycurl.Curl, Any],
) -> int:
    request = next(waiting, None)
    if request is None:
        handle.close()
        return 0
    handle.reset()
    handle.setopt(pycurl.URL, request.url)
    handle.setopt(pycurl.CUSTOMREQUEST, request.method)
    handle.setopt(pycurl.PATH_AS_IS, 1)
    handle.setopt(pycurl.NOSIGNAL, 1)
    handle.setopt(pycurl.PROXY, "")
    handle.setopt(pycurl.BUFFERSIZE, 256 * 1024)
    if request.method == "PUT":
        handle.setopt(pycurl.UPLOAD, 1)
        handle.setopt(pycurl.INFILESIZE_LARGE, len(request.body))
        handle.setopt(pycurl.READDATA, BytesIO(request.body))
        handle.setopt(pycurl.HTTPHEADER, ["Expect:", *request.headers])
    elif request.headers:
        handle.setopt(pycurl.HTTPHEADER, request.headers)
    sink = Path(request.file).open("wb") if request.file else BytesIO()  # noqa: SIM115
    handle.setopt(pycurl.WRITEDATA, sink)
    under_way[handle] = sink
    multi.add_handle(handle)
    return 1


def _end(multi: pycurl.CurlMulti, handle: pycurl.Curl, under_way: dict[pycurl.Curl, Any]) -> None:
    multi.remove_handle(handle)
    sink = under_way.pop(handle)
    status = handle.getinfo(pycurl.RESPONSE_CODE)
    if status >= 300:
        said = sink.getvalue() if isinstance(sink, BytesIO) else b""
        raise RefusedError(f"{status} {said[:500]!r}")
    sink.close()


def main() -> None:
    """Send what a file of requests says (msgpack)."""
    send(msgspec.msgpack.decode(Path(sys.argv[1]).read_bytes(), type=list[Request]))


if __name__ == "__main__":
    main()
