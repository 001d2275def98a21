"""A range of an object is taken only for what it is, whatever the endpoint says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from s3plan.errors import EndpointError, NotSupportedError, PreconditionFailedError, StoreError
from s3plan.model.objects import ObjectAttributes, ObjectHead
from tests.store.scripted import answer, error, found, reset, scripted, store_at

OBJECT = ObjectHead(
    key="k", size=100, etag="e", modified="2026-11-20T04:23:11.000Z", attributes=ObjectAttributes()
)
GOOD: dict[str, Any] = {"ETag": '"e"', "Content_Range": "bytes 10-13/100"}


class Keep:
    """A sink that keeps the bytes of the last attempt."""

    def __init__(self) -> None:
        self.body = b""

    def start(self) -> None:
        self.body = b""

    def feed(self, chunk: bytes) -> None:
        self.body += chunk


def fetch(*replies: Any) -> tuple[bytes, dict[str, str]]:
    """Bytes 10 to 13, and the headers of the first request."""

    async def main() -> tuple[bytes, dict[str, str]]:
        async with scripted(replies) as server, store_at(server.endpoint) as store:
            sink = Keep()
            await store.bucket("bucket").get_range("k", sink, 10, 14, of=OBJECT)
            return sink.body, server.asked[0].headers

    return asyncio.run(main())


def test_a_range_is_asked_for_with_its_object() -> None:
    body, headers = fetch(answer(206, b"data", **GOOD))
    assert body == b"data"
    assert (headers["range"], headers["if-match"]) == ("bytes=10-13", '"e"')


def test_a_range_that_broke_off_is_asked_for_again() -> None:
    assert fetch(reset, answer(206, b"data", **GOOD))[0] == b"data"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (answer(206, b"data", **GOOD | {"ETag": '"other"'}), PreconditionFailedError),
        (answer(206, b"data", **GOOD | {"Content_Range": "bytes 0-3/100"}), EndpointError),
        (answer(206, b"data", **GOOD | {"Content_Range": "bytes 10-13/101"}), EndpointError),
        (answer(206, b"data", **GOOD | {"Content_Range": "bytes 10-13/*"}), EndpointError),
        (answer(206, b"data", ETag='"e"'), EndpointError),
        (answer(206, b"datas", **GOOD), EndpointError),
        (found(b"x" * 100), NotSupportedError),
        (error(412, "PreconditionFailed"), PreconditionFailedError),
        (error(416, "InvalidRange"), StoreError),
    ],
)
def test_nothing_else_is_taken_for_the_range(reply: Any, expected: type[StoreError]) -> None:
    with pytest.raises(expected):
        fetch(reply)


def test_a_whole_object_that_is_sent_instead_is_not_read_to_its_end() -> None:
    with pytest.raises(NotSupportedError, match="whole object"):
        fetch(answer(200, b"x" * 4096, length=1 << 40, ETag='"e"'))


def test_a_part_is_still_an_error_where_the_whole_was_asked_for() -> None:
    async def main() -> None:
        async with (
            scripted([answer(206, b"data", **GOOD)]) as server,
            store_at(server.endpoint) as store,
        ):
            await store.bucket("bucket").get("k", if_match="e")

    with pytest.raises(StoreError):
        asyncio.run(main())
