"""The faults that a `Rule` plays, each named for what the client or the server sees of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.faults.proxy import Exchange, Fault, Reply
from tests.store.scripted import answer, error


def refuse(status: int, code: str, message: str = "m", **headers: Any) -> Fault:
    """An error document instead of the server's answer; the server sees nothing."""

    async def fault(exchange: Exchange) -> None:
        if exchange.asked.method == "HEAD":
            exchange.send(answer(status, **headers))
        else:
            exchange.send(error(status, code, message, **headers))

    return fault


def say(data: bytes) -> Fault:
    """These bytes instead of the server's answer; the server sees nothing."""

    async def fault(exchange: Exchange) -> None:
        exchange.send(data)

    return fault


async def reset_before(exchange: Exchange) -> None:
    """The connection breaks before the server saw the request."""
    await exchange.reset()


async def reset_after(exchange: Exchange) -> None:
    """The server does what it is asked, and its answer is lost."""
    await exchange.served()
    await exchange.reset()


async def fail_after(exchange: Exchange) -> None:
    """The server does what it is asked, and something between answers 502."""
    await exchange.served()
    exchange.send(answer(502, "<html>bad gateway</html>"))


async def truncate(exchange: Exchange) -> None:
    """The connection ends in the middle of the body."""
    reply = await exchange.served()
    exchange.send(_head_and(reply, len(reply.body) // 2))
    await exchange.hang_up()


async def stall(exchange: Exchange) -> None:
    """Nothing more comes after the middle of the body, and the connection stays open."""
    reply = await exchange.served()
    exchange.send(_head_and(reply, len(reply.body) // 2))
    await asyncio.sleep(60)


async def never_answer(exchange: Exchange) -> None:
    """The server does what it is asked, and nothing is heard of it."""
    await exchange.served()
    await asyncio.sleep(60)


async def flip(exchange: Exchange) -> None:
    """One bit of one byte in the middle of the answer's body is another."""
    reply = await exchange.served()
    exchange.send(reply.with_body(flipped(reply.body)))


async def flip_request(exchange: Exchange) -> None:
    """One bit of one byte in the middle of the request's body is another."""
    body = exchange.asked.body
    head = exchange.raw[: len(exchange.raw) - len(body)]
    reply = await exchange.forward(head + flipped(body))
    exchange.send(reply.head.raw + reply.raw)


def longer(exchange_bytes: int) -> Fault:
    """Content-Length announces more than comes; the connection then ends."""

    async def fault(exchange: Exchange) -> None:
        reply = await exchange.served()
        exchange.send(reply.with_body(reply.body, length=len(reply.body) + exchange_bytes))
        await exchange.hang_up()

    return fault


def shorter(count: int) -> Fault:
    """Content-Length announces less than there is, and only so much is sent."""

    async def fault(exchange: Exchange) -> None:
        reply = await exchange.served()
        kept = max(0, len(reply.body) - count)
        exchange.send(reply.with_body(reply.body[:kept]))

    return fault


async def partial_content(exchange: Exchange) -> None:
    """A 206 with a Content-Range of the first half, which nobody asked for."""
    reply = await exchange.served()
    half = reply.body[: len(reply.body) // 2]
    data = reply.with_body(half).replace(b" 200 OK", b" 206 Partial Content", 1)
    span = b"Content-Range: bytes 0-%d/%d\r\n" % (len(half) - 1, len(reply.body))
    first, _, rest = data.partition(b"\r\n")
    exchange.send(first + b"\r\n" + span + rest)


async def wrong_range(exchange: Exchange) -> None:
    """A 200 with the whole body and a Content-Range that speaks of something else."""
    reply = await exchange.served()
    first, _, rest = reply.with_body(reply.body).partition(b"\r\n")
    exchange.send(first + b"\r\nContent-Range: bytes 5-9/10\r\n" + rest)


def edit(change: Callable[[bytes], bytes]) -> Fault:
    """The server's answer with its body changed, and a length that fits."""

    async def fault(exchange: Exchange) -> None:
        reply = await exchange.served()
        exchange.send(reply.with_body(change(reply.body)))

    return fault


def flipped(body: bytes) -> bytes:
    """The lowest bit of the byte in the middle turned."""
    assert body, "there is nothing to flip in an empty body"
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]


def _head_and(reply: Reply, count: int) -> bytes:
    data = reply.with_body(reply.body)
    return data[: len(data) - len(reply.body) + count]
