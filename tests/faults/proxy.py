"""A proxy between s3plan and a real server that forwards every byte as it came, except by order.

The client is given the proxy's address as its endpoint, signs for it, and the server behind gets
the Host that was signed. A `Rule` picks requests and plays a fault on them; the fault decides
whether the server sees the request, and what the client sees of the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit


class _HungUp(Exception):
    """The other side closed the connection."""


@dataclass(frozen=True)
class Head:
    """A first line and headers, names in lower case; ``raw`` is both as they came."""

    raw: bytes
    first: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Reply:
    """A whole answer. ``raw`` is the body as it came, ``body`` without its chunks."""

    head: Head
    raw: bytes
    body: bytes

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self.head.first.split(" ")[1])

    def with_body(self, body: bytes, *, length: int | None = None) -> bytes:
        """The answer with another body, and a Content-Length that fits or is the one given."""
        kept = [
            line
            for line in self.head.raw.rstrip(b"\r\n").split(b"\r\n")
            if not line.lower().startswith((b"content-length:", b"transfer-encoding:"))
        ]
        kept.append(b"Content-Length: %d" % (len(body) if length is None else length))
        return b"\r\n".join(kept) + b"\r\n\r\n" + body


@dataclass
class Asked:
    """One request as the proxy saw it; ``status`` is of the answer that the client was given."""

    method: str
    bucket: str
    key: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    fault: str = ""
    status: int = 0


@dataclass
class Exchange:
    """A request in the hands of a fault."""

    asked: Asked
    raw: bytes
    forward: Callable[[bytes], Awaitable[Reply]]
    client: asyncio.StreamWriter

    async def served(self) -> Reply:
        """What the server answers to the request as it came."""
        return await self.forward(self.raw)

    def send(self, data: bytes) -> None:
        """Bytes to the client."""
        if not self.asked.status and data.startswith(b"HTTP/1.1 "):
            self.asked.status = int(data[9:12])
        self.client.write(data)

    async def reset(self) -> None:
        """Drop the connection with a RST, after the bytes sent so far have left."""
        with contextlib.suppress(ConnectionError):
            await self.client.drain()
        one = self.client.get_extra_info("socket")
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.transport.abort()
        raise _HungUp

    async def hang_up(self) -> None:
        """Close the connection after the bytes sent so far."""
        with contextlib.suppress(ConnectionError):
            await self.client.drain()
        self.client.close()
        raise _HungUp


Fault = Callable[[Exchange], Awaitable[None]]


@dataclass
class Rule:
    """A fault for requests that match everything given; ``times`` of them after ``skip``.

    ``key`` is a regular expression for the whole key, ``""`` for the bucket itself; ``query`` is a
    parameter that must be there, ``-`` means none.
    """

    name: str
    fault: Fault
    method: str | None = None
    key: str | None = None
    query: str | None = None
    times: float = float("inf")
    skip: int = 0
    when: Callable[[Asked], bool] = lambda _: True

    def takes(self, asked: Asked) -> bool:
        """Whether this rule plays now; counts."""
        if self.method is not None and asked.method != self.method:
            return False
        if self.key is not None and not re.fullmatch(self.key, asked.key, re.DOTALL):
            return False
        if self.query is not None and (
            bool(asked.query) if self.query == "-" else self.query not in asked.query
        ):
            return False
        if self.times <= 0 or not self.when(asked):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True


@dataclass
class Proxy:
    """The test's end; ``asked`` is everything that arrived, in order."""

    endpoint: str = ""
    rules: list[Rule] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    open: int = 0
    most_open: int = 0

    def play(self, *rules: Rule) -> None:
        """These rules from now on, instead of what was there; the first that matches plays."""
        self.rules = list(rules)
        self.asked.clear()

    def heal(self) -> None:
        """No faults from now on."""
        self.play()

    def played(self) -> list[Asked]:
        """Requests that met a fault."""
        return [asked for asked in self.asked if asked.fault]


@contextlib.contextmanager
def proxy_to(endpoint: str) -> Iterator[Proxy]:
    """A proxy in a thread of its own, in front of ``endpoint`` (http only)."""
    parts = urlsplit(endpoint)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = Proxy()
    loop = asyncio.new_event_loop()
    served = _Served(proxy, parts.hostname, parts.port)
    server = loop.run_until_complete(asyncio.start_server(served.connection, "127.0.0.1", 0))
    proxy.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    thread = threading.Thread(target=loop.run_forever, name="proxy")
    thread.start()

    async def stop() -> None:
        server.close()
        tasks = list(served.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class _Served:
    """The proxy's side of its connections."""

    def __init__(self, proxy: Proxy, host: str, port: int) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self._proxy = proxy
        self._host = host
        self._port = port

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self._proxy.open += 1
        self._proxy.most_open = max(self._proxy.most_open, self._proxy.open)
        upstream: list[asyncio.StreamWriter] = []
        try:
            await self._serve(reader, writer, upstream)
        except (_HungUp, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._proxy.open -= 1
            self.tasks.discard(task)
            for one in (writer, *upstream):
                one.close()

    async def _serve(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream: list[asyncio.StreamWriter],
    ) -> None:
        answers: asyncio.StreamReader | None = None

        async def forward(raw: bytes) -> Reply:
            nonlocal answers
            if answers is None:
                answers, connected = await asyncio.open_connection(self._host, self._port)
                upstream.append(connected)
            upstream[0].write(raw)
            await upstream[0].drain()
            return await _read_reply(answers, bodiless=raw.startswith(b"HEAD "))

        while True:
            head = _head(await reader.readuntil(b"\r\n\r\n"))
            body = await reader.readexactly(int(head.headers.get("content-length", "0")))
            asked = _asked(head, body)
            self._proxy.asked.append(asked)
            exchange = Exchange(asked, head.raw + body, forward, writer)
            rule = next((rule for rule in self._proxy.rules if rule.takes(asked)), None)
            if rule is None:
                reply = await exchange.served()
                exchange.send(reply.head.raw + reply.raw)
            else:
                asked.fault = rule.name
                await rule.fault(exchange)
            await writer.drain()


def _head(raw: bytes) -> Head:
    first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = [line.partition(":") for line in lines]
    return Head(raw, first, {name.lower(): value.strip() for name, _, value in pairs})


def _asked(head: Head, body: bytes) -> Asked:
    method, target, _ = head.first.split(" ")
    path, _, query = target.partition("?")
    bucket, _, key = path.lstrip("/").partition("/")
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    return Asked(method, bucket, unquote(key), parameters, head.headers, body)


async def _read_reply(reader: asyncio.StreamReader, *, bodiless: bool) -> Reply:
    head = _head(await reader.readuntil(b"\r\n\r\n"))
    status = int(head.first.split(" ")[1])
    if bodiless or status in (204, 304):
        return Reply(head, b"", b"")
    if head.headers.get("transfer-encoding", "").lower() == "chunked":
        raw, body = bytearray(), bytearray()
        while True:
            line = await reader.readuntil(b"\r\n")
            chunk = await reader.readexactly(int(line.split(b";")[0], 16) + 2)
            raw += line + chunk
            if len(chunk) == 2:
                return Reply(head, bytes(raw), bytes(body))
            body += chunk[:-2]
    body_bytes = await reader.readexactly(int(head.headers.get("content-length", "0")))
    return Reply(head, body_bytes, body_bytes)
