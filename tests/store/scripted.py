"""A tiny HTTP server that says exactly what a test wrote down, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from s3plan.model.connection import Connection, Limits
from s3plan.store import Patience, Store

Reply = bytes | Callable[[asyncio.StreamWriter], object]
"""Bytes to send, or something to do with the connection."""

KEYS = {
    "AWS_ACCESS_KEY_ID": "AK",
    "AWS_SECRET_ACCESS_KEY": "SK",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}
QUICK = Patience(attempts=4, base=0.001, cap=0.01, connect=2, stall=1)


def answer(
    status: int = 200, body: bytes | str = b"", *, length: int = -1, **headers: Any
) -> bytes:
    """An HTTP answer; underscores in header names stand for hyphens."""
    content = body.encode() if isinstance(body, str) else body
    lines = [
        f"HTTP/1.1 {status} X",
        f"Content-Length: {len(content) if length < 0 else length}",
    ]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + content


def found(body: bytes = b"data", **headers: Any) -> bytes:
    """A good answer to GetObject."""
    return answer(200, body, ETag='"e"', Last_Modified="Fri, 20 Nov 2026 04:23:11 GMT", **headers)


def error(status: int, code: str, message: str = "m", extra: str = "", **headers: Any) -> bytes:
    """An S3 error document."""
    document = (
        f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message>{extra}"
        "<RequestId>RID</RequestId></Error>"
    )
    return answer(status, document, **headers)


def reset(writer: asyncio.StreamWriter) -> None:
    """Drop the connection without an answer."""
    writer.transport.abort()


def silence(_: asyncio.StreamWriter) -> None:
    """Never answer."""


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Scripted:
    """The server's end of a test."""

    endpoint: str
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0


@contextlib.asynccontextmanager
async def scripted(
    replies: Sequence[Reply], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Scripted]:
    """Serve ``replies`` in order; the last one is repeated."""
    state = Scripted("")
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ", 2)
                pairs = [line.partition(":") for line in head[1:] if line]
                headers = {name.lower(): value.strip() for name, _, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                state.asked.append(Asked(method, target, headers, body))
                reply = replies[min(len(state.asked), len(replies)) - 1]
                if callable(reply):
                    reply(writer)
                    continue
                writer.write(reply)
                await writer.drain()
                if b"\r\nConnection: close" in reply:
                    writer.close()
                    return

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    state.endpoint = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield state
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


def store_at(
    endpoint: str,
    *,
    limits: Limits | None = None,
    environ: dict[str, str] | None = None,
    patience: Patience | None = QUICK,
    **connection: object,
) -> Store:
    """A store with test keys; ``connection`` are more fields of Connection."""
    return Store(
        Connection(endpoint=endpoint, limits=limits or Limits(connections=4), **connection),  # type: ignore[arg-type]
        environ=KEYS | (environ or {}),
        patience=patience,
    )
