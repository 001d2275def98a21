"""The typed operations against servers that other people wrote."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from s3plan.errors import (
    AccessDeniedError,
    CredentialsError,
    NoSuchBucketError,
    NoSuchKeyError,
    PreconditionFailedError,
    StaleError,
    StoreError,
)
from s3plan.model.buckets import BucketFacts
from s3plan.model.connection import Connection, Limits
from s3plan.model.objects import Checksum, ObjectAttributes, ObjectHead
from s3plan.rules.bucketdocuments import is_default
from s3plan.store import Bucket, DeleteTarget, SeamError, Store
from tests.servers import Server
from tests.store.keys import HOSTILE_KEYS

_NUMBERS = itertools.count()


def store_of(server: Server, **connection: Any) -> Store:
    settings: dict[str, Any] = {"endpoint": server.endpoint, "limits": Limits(connections=8)}
    settings |= connection
    return Store(Connection(**settings), environ=server.environ)


def on_bucket(server: Server, act: Callable[[Bucket], Awaitable[Any]]) -> Any:
    """What ``act`` returns for a new bucket of its own."""

    async def main() -> Any:
        async with store_of(server) as store:
            name = f"bucket-{next(_NUMBERS)}"
            await asyncio.to_thread(store.control.create_bucket, name, "us-east-1")
            return await act(store.bucket(name))

    return asyncio.run(main())


async def put(
    bucket: Bucket,
    key: str,
    body: bytes = b"data",
    *,
    attributes: ObjectAttributes | None = None,
    checksum: Checksum | None = None,
    if_none_match: bool = True,
) -> str:
    result = await bucket.put(
        key,
        body,
        size=len(body),
        attributes=attributes or ObjectAttributes(),
        content_md5=hashlib.md5(body).digest(),
        checksum=checksum,
        if_none_match=if_none_match,
    )
    return result.etag


async def all_keys(bucket: Bucket, **options: Any) -> list[str]:
    return [key async for page in bucket.pages(**options) for key in page.keys]


async def divided(bucket: Bucket, most: int, prefix: str = "") -> list[str] | None:
    """All keys by several hands, sorted; None where the server cannot be listed so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bucket.pages, "__defaults__", ("", "", most))
        try:
            pages = bucket.divided_pages(prefix)
            return sorted([key async for page in pages for key in page.keys], key=str.encode)
        except SeamError:
            return None


class Keep:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.body = bytearray()

    def start(self, head: ObjectHead) -> None:
        self.body.clear()

    def feed(self, chunk: bytes) -> None:
        self.body += chunk


# moto routes by a pattern in which a dot does not match a line feed: 404 on every request.
MOTO_KEYS = tuple(key for key in HOSTILE_KEYS if "\n" not in key)


def test_every_hostile_key_goes_and_comes_back(moto_server: Server) -> None:
    async def act(bucket: Bucket) -> None:
        etags = {}
        for key in MOTO_KEYS:
            etags[key] = await put(bucket, key, key.encode())
        keys = sorted(MOTO_KEYS, key=str.encode)
        assert await all_keys(bucket) == keys
        assert await all_keys(bucket, max_keys=7) == keys
        assert await all_keys(bucket, start_after=keys[40]) == keys[41:]
        assert await divided(bucket, 2) == keys
        assert await divided(bucket, 1, "a") == [key for key in keys if key.startswith("a")]
        for key in keys:
            head, body = await bucket.get(key, if_match=etags[key])
            assert (head.key, body) == (key, key.encode())
        results = await bucket.delete_many([DeleteTarget(key, etags[key]) for key in keys])
        assert [result.key for result in results] == keys
        assert [result for result in results if result.error] == []
        assert await all_keys(bucket) == []

    on_bucket(moto_server, act)


SAFE_KEYS = (
    "dir/file.txt",
    "dir b",
    "dir.txt",
    "a b",
    "plus+plus",
    "%41",
    "caf\u00e9",
    "cafe\u0301",
    "\U0001f600",
    "~",
    "*",
    "'q'",
    '"q"',
    "<tag>&amp;",
    "a=b&c",
    "[x]",
    "#h",
    "tab\there",
)


@pytest.mark.long
def test_keys_at_seaweedfs(seaweed: Server) -> None:
    async def act(bucket: Bucket) -> None:
        etags = {key: await put(bucket, key, key.encode()) for key in SAFE_KEYS}
        listed = await all_keys(bucket)
        assert sorted(listed) == sorted(SAFE_KEYS)
        assert await all_keys(bucket, max_keys=3) == listed
        # It lists in another order than that of bytes: all of it, or nothing.
        assert await divided(bucket, 2) in (None, sorted(SAFE_KEYS, key=str.encode))
        assert await divided(bucket, 1, "dir") in (None, ["dir b", "dir.txt", "dir/file.txt"])
        for key in SAFE_KEYS:
            _, body = await bucket.get(key, if_match=etags[key])
            assert body == key.encode()
        wrong = await bucket.delete_many([DeleteTarget(key, "0" * 32) for key in SAFE_KEYS])
        assert {type(result.error) for result in wrong} == {PreconditionFailedError}
        right = await bucket.delete_many([DeleteTarget(key, etags[key]) for key in SAFE_KEYS])
        assert [result for result in right if result.error] == []
        assert await all_keys(bucket) == []

    on_bucket(seaweed, act)


FULL = ObjectAttributes(
    headers={
        "content-type": "text/x-test; charset=utf-8",
        "cache-control": "max-age=60",
        "content-disposition": 'attachment; filename="a b.txt"',
        "content-encoding": "x-test",
        "content-language": "de-CH",
        "expires": "Fri, 20 Nov 2037 04:23:11 GMT",
    },
    metadata={
        "plain": "value",
        "blanks": "two  inside",
        "rfc2047": "=?UTF-8?B?Y2Fmw6k=?=",
        **{f"n{number}": str(number) for number in range(30)},
    },
    tags={"k": "v", "a b": "c+d=e/f", "empty": ""},
)


@pytest.mark.parametrize("name", ["moto_server", "seaweed"])
def test_attributes_round_trip(name: str, request: pytest.FixtureRequest) -> None:
    async def act(bucket: Bucket) -> None:
        await put(bucket, "k", attributes=FULL)
        head = await bucket.head("k")
        tags = await bucket.tags("k")
        assert head.attributes.metadata == FULL.metadata
        assert head.attributes.headers["content-type"] == FULL.headers["content-type"]
        assert head.attributes.headers == FULL.headers
        assert tags == FULL.tags
        # What came back goes out again and gives the same object.
        again = ObjectAttributes(head.attributes.headers, head.attributes.metadata, tags)
        await put(bucket, "k2", attributes=again)
        assert (await bucket.head("k2")).attributes == head.attributes

    on_bucket(request.getfixturevalue(name), act)


def test_metadata_bytes_survive(seaweed: Server) -> None:
    values = {"utf8": "caf\u00e9".encode().decode("latin-1"), "latin1": "caf\u00e9", "empty": ""}

    async def act(bucket: Bucket) -> dict[str, str]:
        await put(bucket, "k", attributes=ObjectAttributes(metadata=values))
        return (await bucket.head("k")).attributes.metadata

    found = on_bucket(seaweed, act)
    assert found["utf8"] == values["utf8"]
    assert found["latin1"] == values["latin1"]


@pytest.mark.parametrize(
    "bad",
    [
        ObjectAttributes(metadata={"a": "x\r\nx-amz-acl: public-read"}),
        ObjectAttributes(metadata={"a\r\nb": "x"}),
        ObjectAttributes(metadata={"a": "\u4e2d"}),
        ObjectAttributes(website_redirect="/x\n"),
        ObjectAttributes(headers={"content-type": "a\x00b"}),
    ],
)
def test_attributes_cannot_smuggle_headers(moto_server: Server, bad: ObjectAttributes) -> None:
    with pytest.raises(StoreError, match="attribute"):
        on_bucket(moto_server, lambda bucket: put(bucket, "k", attributes=bad))


@pytest.mark.parametrize("name", ["moto_server", "seaweed"])
@pytest.mark.parametrize("size", [0, 1, 70_000, 9 << 20])
def test_bodies_round_trip(name: str, size: int, request: pytest.FixtureRequest) -> None:
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]

    async def act(bucket: Bucket) -> None:
        etag = await put(bucket, "k", body)
        assert etag == hashlib.md5(body).hexdigest()
        head, got = await bucket.get("k", if_match=etag)
        assert (head.size, got) == (size, body)
        sink = Keep()
        assert await bucket.get_to("k", sink, if_match=etag) == head
        assert bytes(sink.body) == body

    on_bucket(request.getfixturevalue(name), act)


def test_a_streamed_source_is_rewound(seaweed: Server) -> None:
    body = bytes(range(256)) * (10 << 12)

    class Source:
        starts = 0

        def start(self) -> None:
            self.starts += 1
            self.at = 0

        def read(self, size: int) -> bytes:
            chunk = body[self.at : self.at + size]
            self.at += len(chunk)
            return chunk

    source = Source()

    async def act(bucket: Bucket) -> bytes:
        await bucket.put(
            "k",
            source,
            size=len(body),
            attributes=ObjectAttributes(),
            content_md5=hashlib.md5(body).digest(),
            checksum=None,
            if_none_match=True,
        )
        return (await bucket.get("k", if_match=None))[1]

    assert on_bucket(seaweed, act) == body
    assert source.starts == 2  # once for the signature's hash, once for the wire


@pytest.mark.parametrize("name", ["moto_server", "seaweed"])
def test_checksums_are_stored_and_come_back(name: str, request: pytest.FixtureRequest) -> None:
    value = base64.b64encode(zlib.crc32(b"data").to_bytes(4, "big")).decode()
    sent = Checksum("CRC32", value)

    async def act(bucket: Bucket) -> ObjectHead:
        await put(bucket, "k", checksum=sent)
        return await bucket.head("k")

    assert sent in on_bucket(request.getfixturevalue(name), act).checksums


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("moto_server", marks=pytest.mark.xfail(reason="moto ignores Content-MD5")),
        "seaweed",
    ],
)
def test_a_wrong_md5_is_not_stored(name: str, request: pytest.FixtureRequest) -> None:
    async def act(bucket: Bucket) -> None:
        with pytest.raises(StoreError):
            await bucket.put(
                "k",
                b"data",
                size=4,
                attributes=ObjectAttributes(),
                content_md5=bytes(16),
                checksum=None,
                if_none_match=True,
            )
        assert await all_keys(bucket) == []

    on_bucket(request.getfixturevalue(name), act)


@pytest.mark.parametrize("name", ["moto_server", "seaweed"])
def test_conditions(name: str, request: pytest.FixtureRequest) -> None:
    async def act(bucket: Bucket) -> None:
        etag = await put(bucket, "k")
        with pytest.raises(PreconditionFailedError):
            await put(bucket, "k", b"other")
        with pytest.raises(PreconditionFailedError):
            await bucket.get("k", if_match="0" * 32)
        with pytest.raises(PreconditionFailedError):
            await bucket.get_to("k", Keep(), if_match="0" * 32)
        with pytest.raises(PreconditionFailedError):
            await bucket.head("k", if_match="0" * 32)
        assert (await bucket.get("k", if_match=etag))[1] == b"data"

    on_bucket(request.getfixturevalue(name), act)


@pytest.mark.parametrize("name", ["moto_server", "seaweed"])
def test_what_is_missing(name: str, request: pytest.FixtureRequest) -> None:
    async def act(bucket: Bucket) -> None:
        assert await bucket.exists()
        with pytest.raises(NoSuchKeyError):
            await bucket.get("k", if_match=None)
        with pytest.raises(NoSuchKeyError):
            await bucket.get_to("k", Keep(), if_match=None)
        with pytest.raises(NoSuchKeyError):
            await bucket.head("k")
        nowhere = Bucket("no-such-bucket-here", bucket._sender, bucket._wire)
        assert not await nowhere.exists()
        with pytest.raises(NoSuchBucketError):
            await all_keys(nowhere)

    on_bucket(request.getfixturevalue(name), act)


def test_wrong_keys_are_a_credentials_error(seaweed: Server) -> None:
    environ = seaweed.environ | {"AWS_SECRET_ACCESS_KEY": "wrong"}

    async def main() -> None:
        async with Store(Connection(endpoint=seaweed.endpoint), environ=environ) as store:
            with pytest.raises((CredentialsError, AccessDeniedError)):
                await store.bucket("bucket").exists()
            with pytest.raises(CredentialsError):
                await all_keys(store.bucket("bucket"))

    asyncio.run(main())


def test_ten_thousand_keys_are_listed_in_pages(seaweed: Server) -> None:
    async def act(bucket: Bucket) -> None:
        names = [f"d{number % 7}/k{number:05}" for number in range(2500)]
        await asyncio.gather(*[put(bucket, name, b"") for name in names])
        assert await all_keys(bucket) == sorted(names)
        assert await all_keys(bucket, prefix="d3/") == sorted(n for n in names if n[1] == "3")

    on_bucket(seaweed, act)


@pytest.mark.parametrize("name", ["moto_server", "seaweed"])
def test_buckets_come_and_go(name: str, request: pytest.FixtureRequest) -> None:
    async def main() -> None:
        async with store_of(request.getfixturevalue(name)) as store:
            bucket = f"come-and-go-{next(_NUMBERS)}"
            control = store.control
            await asyncio.to_thread(control.create_bucket, bucket, "us-east-1")
            assert bucket in await store.list_buckets()
            facts = await asyncio.to_thread(control.facts, bucket)
            assert (facts.name, facts.region, facts.versioning) == (bucket, "us-east-1", "never")
            assert (facts.requester_pays, facts.object_lock) == (False, False)
            assert _said(facts) == set()
            await asyncio.to_thread(control.delete_bucket, bucket)
            assert not await store.bucket(bucket).exists()
            with pytest.raises(NoSuchBucketError):
                await asyncio.to_thread(control.facts, bucket)
            with pytest.raises(NoSuchBucketError):
                await asyncio.to_thread(control.delete_bucket, bucket)

    asyncio.run(main())


def _said(facts: BucketFacts) -> set[str]:
    """Documents that say something which is not true of a new bucket anyway."""
    return {name for name, found in facts.configuration.items() if not is_default(name, found)}


def test_facts_tell_what_a_bucket_has(moto_server: Server) -> None:
    async def main() -> None:
        async with store_of(moto_server) as store:
            control = store.control
            control.create_bucket("facts", "eu-west-1")
            client = control.witness()
            client.put_bucket_versioning(
                Bucket="facts", VersioningConfiguration={"Status": "Suspended"}
            )
            client.put_bucket_tagging(
                Bucket="facts", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]}
            )
            policy = '{"Version":"2012-10-17","Statement":[]}'
            client.put_bucket_policy(Bucket="facts", Policy=policy)
            client.put_bucket_lifecycle_configuration(
                Bucket="facts",
                LifecycleConfiguration={
                    "Rules": [
                        {
                            "ID": "x",
                            "Status": "Enabled",
                            "Filter": {"Prefix": "a"},
                            "Expiration": {"Days": 1},
                        }
                    ]
                },
            )
            facts = control.facts("facts")
            assert facts.region == "eu-west-1"
            assert facts.versioning == "suspended"
            assert facts.configuration["tagging"] == [{"Key": "k", "Value": "v"}]
            assert facts.configuration["policy"] == {"Version": "2012-10-17", "Statement": []}
            assert _said(facts) == {"tagging", "policy", "lifecycle", "versioning"}

    asyncio.run(main())


def test_the_account_is_proven_and_sent(moto_server: Server) -> None:
    async def main() -> None:
        async with store_of(moto_server, expect_account="123456789012") as store:
            assert (await store.identify()).account == "123456789012"
            assert ("x-amz-expected-bucket-owner", "123456789012") in store._sender.common_headers
            store.control.create_bucket("owned", "us-east-1")
            await put(store.bucket("owned"), "k")
            assert _said(store.control.facts("owned")) == set()
            assert await all_keys(store.bucket("owned")) == ["k"]
        async with store_of(moto_server, expect_account="999999999999") as store:
            with pytest.raises(StaleError, match="another account"):
                await store.identify()
        async with store_of(moto_server) as store:
            assert (await store.identify()).account is None

    asyncio.run(main())


def test_an_account_that_cannot_be_proven_is_refused(seaweed: Server) -> None:
    async def main() -> None:
        async with store_of(seaweed, expect_account="999999999999") as store:
            await store.identify()

    with pytest.raises(StaleError):
        asyncio.run(main())
