"""The transport's promises: exact URLs, cancelling, TLS, proxies, ceilings."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
import threading
import time
from pathlib import Path

import pytest

from s3plan.errors import EndpointError
from s3plan.model.connection import Limits
from s3plan.model.objects import ObjectHead
from s3plan.store import Store
from s3plan.store.signing import encode_key
from s3plan.store.transfer import parse_headers
from tests.store.keys import HOSTILE_KEYS
from tests.store.scripted import answer, found, scripted, silence, store_at


class Count:
    """A sink that counts and can be slow."""

    def __init__(self, pause: float = 0.0) -> None:
        self.bytes = 0
        self.threads: set[str] = set()
        self.pause = pause
        self.begun = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def start(self, head: ObjectHead) -> None:
        self.bytes = 0
        self.loop.call_soon_threadsafe(self.begun.set)

    def feed(self, chunk: bytes) -> None:
        self.threads.add(threading.current_thread().name)
        self.bytes += len(chunk)
        time.sleep(self.pause)


def test_every_hostile_key_is_asked_for_exactly() -> None:
    async def main() -> list[str]:
        async with scripted([found()]) as server, store_at(server.endpoint) as store:
            bucket = store.bucket("bucket")
            for key in HOSTILE_KEYS:
                await bucket.get(key, if_match=None)
            return [asked.target for asked in server.asked]

    assert asyncio.run(main()) == [f"/bucket/{encode_key(key)}" for key in HOSTILE_KEYS]


def test_headers_of_a_request() -> None:
    async def main() -> dict[str, str]:
        async with scripted([found()]) as server, store_at(server.endpoint) as store:
            await store.bucket("bucket").get("k", if_match="e")
            return server.asked[0].headers

    headers = asyncio.run(main())
    assert headers["if-match"] == '"e"'
    assert headers["x-amz-checksum-mode"] == "ENABLED"
    assert headers["user-agent"].startswith("s3plan/")
    assert not {"accept", "accept-encoding", "expect", "x-amz-request-payer"} & headers.keys()


def test_requester_pays_is_said_on_every_request() -> None:
    async def main() -> str:
        async with scripted([found()]) as server:
            async with store_at(server.endpoint, requester_pays=True) as store:
                await store.bucket("bucket").get("k", if_match=None)
            return server.asked[0].headers["x-amz-request-payer"]

    assert asyncio.run(main()) == "requester"


def test_the_head_of_an_object_larger_than_memory_is_read() -> None:
    """Its content-length is no body that would have to fit anywhere."""

    async def main() -> int:
        size = 6 << 30
        told = answer(200, length=size, ETag='"e"', Last_Modified="Fri, 20 Nov 2026 04:23:11 GMT")
        async with scripted([told]) as server, store_at(server.endpoint) as store:
            return (await store.bucket("bucket").head("huge.bin")).size

    assert asyncio.run(main()) == 6 << 30


def test_connections_are_used_again_and_never_more_than_allowed() -> None:
    async def main() -> int:
        async with scripted([found()]) as server:
            async with store_at(server.endpoint, limits=Limits(connections=3)) as store:
                bucket = store.bucket("bucket")
                for _ in range(3):
                    await asyncio.gather(*[bucket.get("k", if_match=None) for _ in range(30)])
            return server.connections

    assert 1 <= asyncio.run(main()) <= 3


def test_a_cancelled_request_leaves_the_store_usable() -> None:
    async def main() -> bytes:
        async with (
            scripted([silence, silence, found()]) as server,
            store_at(server.endpoint) as store,
        ):
            bucket = store.bucket("bucket")
            for _ in range(2):
                task = asyncio.create_task(bucket.get("k", if_match=None))
                await asyncio.sleep(0.05)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            _, body = await bucket.get("k", if_match=None)
            return body

    assert asyncio.run(main()) == b"data"


def test_a_cancelled_stream_has_let_go_of_its_sink() -> None:
    async def main() -> None:
        async with (
            scripted([found(b"x" * (64 << 20))]) as server,
            store_at(server.endpoint) as store,
        ):
            sink = Count(pause=0.01)
            task = asyncio.create_task(store.bucket("bucket").get_to("k", sink, if_match=None))
            await sink.begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            seen = sink.bytes
            await asyncio.sleep(0.1)
            assert sink.bytes == seen < 64 << 20

    asyncio.run(main())


def test_a_cancelled_silent_stream_ends_soon() -> None:
    async def main() -> float:
        async with scripted([silence]) as server, store_at(server.endpoint) as store:
            task = asyncio.create_task(store.bucket("bucket").get_to("k", Count(), if_match=None))
            await asyncio.sleep(0.1)
            began = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return time.monotonic() - began

    assert asyncio.run(main()) < 2.5


def test_closing_ends_what_is_in_flight() -> None:
    async def main() -> None:
        async with scripted([silence]) as server:
            store = store_at(server.endpoint)
            bucket = store.bucket("bucket")
            tasks = [
                asyncio.create_task(bucket.get("k", if_match=None)),
                asyncio.create_task(bucket.get_to("k", Count(), if_match=None)),
            ]
            await asyncio.sleep(0.1)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await store.aclose()
            await store.aclose()

    asyncio.run(main())


def test_a_closed_store_sends_nothing() -> None:
    async def main() -> None:
        async with scripted([silence]) as server:
            store = store_at(server.endpoint)
            stream = asyncio.create_task(store.bucket("bucket").get_to("k", Count(), if_match=None))
            await asyncio.sleep(0.1)
            await store.aclose()
            with pytest.raises(EndpointError, match="no answer"):
                await stream
            with pytest.raises(EndpointError, match="no answer"):
                await store.bucket("bucket").exists()
            assert len(server.asked) == 1

    asyncio.run(main())


def test_streams_run_off_the_loop() -> None:
    async def main() -> Count:
        async with scripted([found(b"x" * 1000)]) as server, store_at(server.endpoint) as store:
            sink = Count()
            await store.bucket("bucket").get_to("k", sink, if_match=None)
            return sink

    sink = asyncio.run(main())
    assert sink.bytes == 1000
    assert all(name.startswith("s3plan-wire") for name in sink.threads)


def test_requests_a_second_are_limited() -> None:
    async def main() -> float:
        async with scripted([found()]) as server:
            limits = Limits(connections=8, requests=20)
            async with store_at(server.endpoint, limits=limits) as store:
                bucket = store.bucket("bucket")
                began = time.monotonic()
                await asyncio.gather(*[bucket.get("k", if_match=None) for _ in range(11)])
                return time.monotonic() - began

    assert 0.5 <= asyncio.run(main()) < 3


@pytest.mark.parametrize("streamed", [False, True])
def test_bandwidth_is_limited(streamed: bool) -> None:
    async def main() -> float:
        async with scripted([found(b"x" * 100_000)]) as server:
            limits = Limits(connections=4, bandwidth=1_000_000)
            async with store_at(server.endpoint, limits=limits) as store:
                bucket = store.bucket("bucket")
                began = time.monotonic()
                if streamed:
                    reads = [bucket.get_to("k", Count(), if_match=None) for _ in range(5)]
                    await asyncio.gather(*reads)
                else:
                    await asyncio.gather(*[bucket.get("k", if_match=None) for _ in range(5)])
                return time.monotonic() - began

    assert 0.45 <= asyncio.run(main()) < 3


def test_an_answer_larger_than_the_memory_allowed_is_refused() -> None:
    async def main() -> None:
        async with scripted([found(b"x" * 200_000)]) as server:
            limits = Limits(connections=1, memory=100_000)
            async with store_at(server.endpoint, limits=limits) as store:
                await store.bucket("bucket").get("k", if_match=None)

    with pytest.raises(EndpointError):
        asyncio.run(main())


def test_a_proxy_from_the_environment_is_used_with_either_spelling() -> None:
    async def main(variable: str) -> list[str]:
        async with scripted([found()]) as proxy:
            environ = {variable: proxy.endpoint}
            async with store_at("http://nowhere.invalid:9", environ=environ) as store:
                await store.bucket("bucket").get("a//../b", if_match=None)
            return [asked.target for asked in proxy.asked]

    for variable in ("HTTP_PROXY", "http_proxy"):
        assert asyncio.run(main(variable)) == ["http://nowhere.invalid:9/bucket/a//../b"]


def test_no_proxy_of_the_process_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://nowhere.invalid:9")
    monkeypatch.setenv("all_proxy", "http://nowhere.invalid:9")

    async def main() -> bytes:
        async with scripted([found()]) as server, store_at(server.endpoint) as store:
            return (await store.bucket("bucket").get("k", if_match=None))[1]

    assert asyncio.run(main()) == b"data"


def test_a_proxy_password_is_not_told() -> None:
    async def main() -> None:
        environ = {"HTTP_PROXY": "http://user:hunter2@127.0.0.1:1"}
        async with store_at("http://s3.invalid:9", environ=environ) as store:
            await store.bucket("bucket").get("k", if_match=None)

    with pytest.raises(EndpointError) as raised:
        asyncio.run(main())
    assert "hunter2" not in str(raised.value)


def certificate(directory: Path) -> tuple[Path, Path]:
    """A self-made authority's certificate for 127.0.0.1 and its key, as PEM files."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "s3plan test")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = directory / "ca.pem", directory / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return public, private


def test_tls_needs_the_right_authority(tmp_path: Path) -> None:
    public, private = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)

    async def main(store_for: dict[str, str], ca: str | None) -> tuple[bytes, int]:
        async with scripted([found()], tls=context) as server:
            store: Store = store_at(server.endpoint, environ=store_for, ca_bundle=ca)
            async with store:
                bucket = store.bucket("bucket")
                sink = Count()
                await bucket.get_to("k", sink, if_match=None)
                return (await bucket.get("k", if_match=None))[1], sink.bytes

    assert asyncio.run(main({}, str(public))) == (b"data", 4)
    assert asyncio.run(main({"AWS_CA_BUNDLE": str(public)}, None)) == (b"data", 4)
    with pytest.raises(EndpointError) as raised:
        asyncio.run(main({}, None))
    assert "certificate" in str(raised.value).lower()


def test_header_blocks() -> None:
    lines = [
        b"HTTP/1.1 100 Continue\r\n",
        b"X-Interim: yes\r\n",
        b"\r\n",
        b"HTTP/1.1 200 OK: fine\r\n",
        b"X-Amz-Meta-A: \xc3\xa0\xa0 \r\n",
        b"X-Amz-Meta-B: 1\r\n",
        b"x-amz-meta-b: 2\r\n",
        b"\r\n",
    ]
    assert parse_headers(lines) == {"x-amz-meta-a": "\u00c3\u00a0\u00a0", "x-amz-meta-b": "1,2"}


def test_an_answer_without_a_length_is_refused() -> None:
    reply = answer(200, b"data", ETag='"e"').replace(
        b"Content-Length: 4\r\n", b"Connection: close\r\n"
    )

    async def main() -> None:
        async with scripted([reply]) as server, store_at(server.endpoint) as store:
            await store.bucket("bucket").get("k", if_match=None)

    with pytest.raises(EndpointError):
        asyncio.run(main())
