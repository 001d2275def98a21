"""What is sent again, what is not, and what is corrected on the way."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from s3plan.errors import (
    AccessDeniedError,
    CredentialsError,
    EndpointError,
    NoSuchKeyError,
    ObjectTimeoutError,
    OutcomeUnknownError,
    PreconditionFailedError,
    StoreError,
    ThrottledError,
)
from s3plan.model.connection import Connection, Limits, Retries
from s3plan.model.objects import ObjectAttributes, ObjectHead
from s3plan.store import Bucket, ChunkedSource, DeleteTarget, Patience, Store, once
from s3plan.store.deadlines import one_object
from s3plan.store.retry import judge, patience_of, retry_after
from tests.store.scripted import (
    KEYS,
    QUICK,
    Reply,
    Scripted,
    answer,
    error,
    found,
    reset,
    scripted,
    silence,
    store_at,
)

BUSY = error(503, "SlowDown")
GONE = error(404, "NoSuchKey")
PUT_OK = answer(200, ETag='"e"')
DELETED = answer(200, "<DeleteResult><Deleted><Key>k</Key></Deleted></DeleteResult>")


def play(
    replies: Sequence[Reply], act: Callable[[Bucket], Awaitable[Any]], **options: Any
) -> tuple[Any, Scripted]:
    """What ``act`` returns or raises (a StoreError), and what the server saw."""

    async def main() -> tuple[Any, Scripted]:
        async with scripted(replies) as server, store_at(server.endpoint, **options) as store:
            try:
                return await act(store.bucket("bucket")), server
            except StoreError as problem:
                return problem, server

    return asyncio.run(main())


async def get(bucket: Bucket) -> bytes:
    _, body = await bucket.get("k", if_match=None)
    return body


class Collect:
    """A sink that keeps what it is fed, per attempt."""

    def __init__(self) -> None:
        self.attempts: list[bytearray] = []

    def start(self, head: ObjectHead) -> None:
        self.attempts.append(bytearray())

    def feed(self, chunk: bytes) -> None:
        self.attempts[-1] += chunk


async def get_to(bucket: Bucket) -> bytes:
    sink = Collect()
    await bucket.get_to("k", sink, if_match=None)
    return bytes(sink.attempts[-1])


def put(*, if_none_match: bool, body: bytes = b"data") -> Callable[[Bucket], Awaitable[Any]]:
    return lambda bucket: bucket.put(
        "k",
        body,
        size=len(body),
        attributes=ObjectAttributes(),
        content_md5=hashlib.md5(body).digest(),
        checksum=None,
        if_none_match=if_none_match,
    )


async def delete(bucket: Bucket) -> Any:
    return await bucket.delete_many([DeleteTarget("k", "e")])


TRUNCATED = answer(
    200,
    b"dat",
    length=4,
    ETag='"e"',
    Last_Modified="Fri, 20 Nov 2026 04:23:11 GMT",
    Connection="close",
)


@pytest.mark.parametrize("read", [get, get_to])
@pytest.mark.parametrize(
    "trouble",
    [
        BUSY,
        error(500, "InternalError"),
        answer(502, "<html>bad gateway</html>"),
        answer(504),
        error(400, "RequestTimeout"),
        error(429, "TooManyRequests"),
        reset,
        TRUNCATED,
    ],
    ids=["503", "500", "502", "504", "request-timeout", "429", "reset", "truncated"],
)
def test_a_read_survives(trouble: Reply, read: Callable[[Bucket], Awaitable[bytes]]) -> None:
    result, server = play([trouble, trouble, found()], read)
    assert result == b"data"
    assert len(server.asked) == 3


def test_every_attempt_of_a_stream_begins_anew() -> None:
    sink = Collect()
    play([TRUNCATED, found()], lambda bucket: bucket.get_to("k", sink, if_match=None))
    assert sink.attempts == [bytearray(b"dat"), bytearray(b"data")]


def test_an_empty_object_starts_its_sink_too() -> None:
    sink = Collect()
    play([found(b"")], lambda bucket: bucket.get_to("k", sink, if_match=None))
    assert sink.attempts == [bytearray()]


def test_what_a_sink_raises_reaches_the_caller() -> None:
    class Full:
        def start(self, head: ObjectHead) -> None:
            pass

        def feed(self, chunk: bytes) -> None:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        play([found()], lambda bucket: bucket.get_to("k", Full(), if_match=None))


@pytest.mark.parametrize(("most", "sent"), [(0, 1), (2, 3)])
def test_a_connection_says_how_often_a_request_is_sent_again(most: int, sent: int) -> None:
    """B34: retries {max, backoff}."""
    retries = Retries(max=most, backoff=0.001)
    result, server = play([reset], get, patience=None, retries=retries)
    assert isinstance(result, EndpointError)
    assert len(server.asked) == sent


def test_patience_of_a_connection_is_the_usual_one_unless_it_says_otherwise() -> None:
    assert patience_of(Connection().retries) == Patience()
    assert patience_of(Retries(max=0, backoff=30)).pause(0, None, 1.0) == 30.0


def test_patience_ends() -> None:
    result, server = play([BUSY], get)
    assert isinstance(result, ThrottledError)
    assert len(server.asked) == QUICK.slowdowns
    result, server = play([reset], get)
    assert isinstance(result, EndpointError)
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (GONE, NoSuchKeyError),
        (error(403, "AccessDenied"), AccessDeniedError),
        (error(412, "PreconditionFailed"), PreconditionFailedError),
        (error(403, "InvalidAccessKeyId"), CredentialsError),
        (answer(301), EndpointError),
    ],
)
def test_a_refusal_is_final(reply: Reply, kind: type[StoreError]) -> None:
    result, server = play([reply, found()], get)
    assert isinstance(result, kind)
    assert len(server.asked) == 1


@pytest.mark.parametrize("trouble", [reset, answer(500), answer(502), answer(504)])
def test_a_write_whose_answer_was_lost_is_unknown(trouble: Reply) -> None:
    result, server = play([trouble, PUT_OK], put(if_none_match=False))
    assert isinstance(result, OutcomeUnknownError)
    assert len(server.asked) == 1
    result, server = play([trouble, PUT_OK], delete)
    assert isinstance(result, OutcomeUnknownError)
    assert len(server.asked) == 1


def test_a_write_that_did_nothing_is_sent_again() -> None:
    result, server = play([BUSY, PUT_OK], put(if_none_match=False))
    assert result.etag == "e"
    assert len(server.asked) == 2


def test_a_conditional_write_is_sent_again_and_the_caller_looks() -> None:
    result, server = play([reset, error(412, "PreconditionFailed")], put(if_none_match=True))
    assert isinstance(result, PreconditionFailedError)
    assert [asked.headers["if-none-match"] for asked in server.asked] == ["*", "*"]


async def mark(bucket: Bucket) -> Any:
    return await bucket.mark_deleted("k")


async def put_streamed(bucket: Bucket) -> Any:
    source = ChunkedSource(lambda: iter([b"data"]))
    return await bucket.put(
        "k",
        source,
        size=4,
        attributes=ObjectAttributes(),
        content_md5=hashlib.md5(b"data").digest(),
        checksum=None,
        if_none_match=False,
    )


@pytest.mark.parametrize("write", [put(if_none_match=False), put_streamed, delete, mark])
def test_libcurl_does_not_repeat_a_write_on_its_own(
    write: Callable[[Bucket], Awaitable[Any]],
) -> None:
    """A reused connection that turns out dead makes libcurl send again silently (invariant 3)."""

    async def twice(bucket: Bucket) -> Any:
        await write(bucket)
        try:
            return await write(bucket)
        finally:
            await asyncio.sleep(0.05)  # the server sees that nothing more comes

    good = DELETED if write is delete else PUT_OK
    result, server = play([good, reset, good], twice)
    assert isinstance(result, OutcomeUnknownError)
    assert len(server.asked) == 2


def test_writes_that_must_not_be_repeated_share_a_connection() -> None:
    async def often(bucket: Bucket) -> Any:
        for _ in range(5):
            await put(if_none_match=False)(bucket)
            await mark(bucket)
            await get(bucket)

    result, server = play([found()], often)
    assert result is None
    assert (len(server.asked), server.connections) == (15, 1)


def test_such_a_write_takes_no_connection_that_was_idle_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server may be about to close it."""
    monkeypatch.setattr(once, "IDLE_SECONDS", 1)

    async def rested(bucket: Bucket) -> Any:
        await get(bucket)
        await asyncio.sleep(1.1)
        await put(if_none_match=False)(bucket)

    result, server = play([found()], rested)
    assert result is None
    assert (len(server.asked), server.connections) == (2, 2)


def test_a_refused_connection_is_no_unknown_outcome() -> None:
    async def main() -> None:
        async with scripted([PUT_OK]) as server:
            endpoint = server.endpoint
        async with store_at(endpoint) as store:
            await put(if_none_match=False)(store.bucket("bucket"))

    with pytest.raises(EndpointError) as raised:
        asyncio.run(main())
    assert not isinstance(raised.value, OutcomeUnknownError)


def test_a_stalled_answer_ends() -> None:
    began = time.monotonic()
    result, _ = play([silence], get, patience=Patience(attempts=1, stall=1))
    assert isinstance(result, EndpointError)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("read", [get, get_to])
def test_no_request_outlives_its_deadline(read: Callable[[Bucket], Awaitable[bytes]]) -> None:
    began = time.monotonic()
    limits = Limits(connections=2, object_timeout=0.3)
    result, _ = play([silence], read, limits=limits, patience=Patience(base=0.01, cap=0.01))
    assert isinstance(result, EndpointError)
    assert time.monotonic() - began < 3


def test_a_region_answer_is_followed_once_per_bucket() -> None:
    moved = error(301, "PermanentRedirect", x_amz_bucket_region="eu-west-1")

    async def twice(bucket: Bucket) -> bytes:
        return await get(bucket) + await get(bucket)

    result, server = play([moved, found()], twice)
    assert result == b"datadata"
    regions = [asked.headers["authorization"].split("/")[2] for asked in server.asked]
    assert regions == ["us-east-1", "eu-west-1", "eu-west-1"]


@pytest.mark.parametrize(
    "moved",
    [
        error(400, "AuthorizationHeaderMalformed", extra="<Region>eu-west-1</Region>"),
        error(307, "TemporaryRedirect", Location="https://b.s3.eu-west-1.amazonaws.com/k"),
        error(301, "PermanentRedirect", extra="<Endpoint>b.s3-eu-west-1.amazonaws.com</Endpoint>"),
    ],
    ids=["400", "307", "301"],
)
def test_every_form_of_region_answer_is_understood(moved: Reply) -> None:
    result, server = play([moved, found()], get)
    assert result == b"data"
    assert "/eu-west-1/s3/" in server.asked[1].headers["authorization"]


def test_two_regions_that_send_us_to_each_other_are_an_error() -> None:
    there = error(301, "PermanentRedirect", x_amz_bucket_region="eu-west-1")
    back = error(301, "PermanentRedirect", x_amz_bucket_region="us-east-1")
    result, server = play([there, back, there, back], get)
    assert isinstance(result, EndpointError)
    assert len(server.asked) == 2


def test_head_learns_the_region_without_a_document() -> None:
    moved = answer(400, x_amz_bucket_region="eu-west-1", Connection="close")
    result, _ = play([moved, answer(200)], lambda bucket: bucket.exists())
    assert result is True


def test_a_wrong_clock_is_corrected_from_the_date() -> None:
    date = formatdate(time.time() + 7200, usegmt=True)
    result, server = play([error(403, "RequestTimeTooSkewed", Date=date), found()], get)
    assert result == b"data"
    first, second = (asked.headers["x-amz-date"] for asked in server.asked)
    assert first[:11] != second[:11]


def test_a_clock_that_stays_wrong_is_an_error() -> None:
    date = formatdate(time.time() + 7200, usegmt=True)
    result, server = play([error(403, "RequestTimeTooSkewed", Date=date)], get)
    assert isinstance(result, StoreError)
    assert len(server.asked) == 2


def test_expired_credentials_are_loaded_again_once(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    text = "[default]\naws_access_key_id = {}\naws_secret_access_key = S\n"
    file.write_text(text.format("OLD"))
    environ = {name: value for name, value in KEYS.items() if "KEY" not in name}

    async def main() -> tuple[bytes, Scripted]:
        expired = error(400, "ExpiredToken")
        async with scripted([found(), expired, found()]) as server:
            store = Store(
                Connection(endpoint=server.endpoint, profile="default"),
                environ=environ | {"AWS_SHARED_CREDENTIALS_FILE": str(file)},
            )
            async with store:
                bucket = store.bucket("bucket")
                await get(bucket)
                file.write_text(text.format("NEW"))
                return await get(bucket), server

    body, server = asyncio.run(main())
    assert body == b"data"
    used = [asked.headers["authorization"].split("Credential=")[1][:3] for asked in server.asked]
    assert used == ["OLD", "OLD", "NEW"]


def test_credentials_that_stay_expired_are_an_error() -> None:
    result, server = play([error(400, "ExpiredToken")], get)
    assert isinstance(result, CredentialsError)
    assert len(server.asked) == 1


def test_a_delete_answered_200_with_an_error_document_is_no_success() -> None:
    result, server = play([answer(200, "<Error><Code>InternalError</Code></Error>")], delete)
    assert isinstance(result, OutcomeUnknownError)
    result, server = play([answer(200, "<Error><Code>AccessDenied</Code></Error>")], delete)
    assert isinstance(result, AccessDeniedError)
    assert len(server.asked) == 1


def test_retry_after_is_a_minimum_and_jitter_has_a_ceiling() -> None:
    patience = Patience()
    assert patience.pause(1, 7.0, 0.0) == 7.0
    assert patience.pause(1, None, 0.0) == 0.0
    assert patience.pause(50, None, 1.0) == 20.0
    assert patience.pause(1, 10_000.0, 0.0) == 60.0
    assert retry_after({"retry-after": "3"}, 0.0) == 3.0
    assert retry_after({"retry-after": "Thu, 01 Jan 1970 00:00:09 GMT"}, 4.0) == 5.0
    assert retry_after({"retry-after": "soon"}, 0.0) is None
    assert retry_after({}, 0.0) is None


def test_retry_after_is_waited_for() -> None:
    began = time.monotonic()
    play([error(503, "SlowDown", Retry_After="1"), found()], get, patience=Patience(base=0.001))
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize(
    ("status", "code", "judgement"),
    [
        (503, None, "not-done"),
        (200, "SlowDown", "not-done"),
        (409, "ConditionalRequestConflict", "not-done"),
        (500, "InternalError", "maybe-done"),
        (504, None, "maybe-done"),
        (501, "NotImplemented", "refused"),
        (409, "BucketNotEmpty", "refused"),
        (403, "AccessDenied", "refused"),
    ],
)
def test_judgements(status: int, code: str | None, judgement: str) -> None:
    assert judge(status, code) == judgement


@pytest.mark.parametrize("body", [b"", b"x" * 1000, b"y" * (9 << 20)])
def test_a_put_says_what_it_sends(body: bytes) -> None:
    _, server = play([BUSY, PUT_OK], put(if_none_match=True, body=body))
    for asked in server.asked:
        assert asked.body == body
        assert asked.headers["content-md5"] == base64.b64encode(hashlib.md5(body).digest()).decode()
        assert asked.headers["x-amz-content-sha256"] == hashlib.sha256(body).hexdigest()
        assert "expect" not in asked.headers
        assert "content-type" not in asked.headers
        assert "transfer-encoding" not in asked.headers


def test_the_requests_for_one_object_have_one_deadline() -> None:
    """C21: an object of many parts does not begin anew with each."""
    limits = Limits(connections=2, object_timeout=0.3)

    async def slowly(bucket: Bucket) -> bytes:
        with one_object(0.3):
            first = await get(bucket)
            await asyncio.sleep(0.4)
            return first + await get(bucket)

    result, server = play([found(), found()], slowly, limits=limits)
    assert isinstance(result, ObjectTimeoutError)
    assert len(server.asked) == 1

    async def two(bucket: Bucket) -> bytes:
        both = []
        for _ in range(2):
            with one_object(0.3):
                await asyncio.sleep(0.2)
                both.append(await get(bucket))
        return b"".join(both)

    result, _ = play([found(), found()], two, limits=limits)
    assert result == b"datadata"
