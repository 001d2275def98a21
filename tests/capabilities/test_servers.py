"""What the probe says of three servers, held against what they are known to do.

The table is the truth of each server as seen by hand; where a server changes, the test says so.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable
from typing import Any

import pytest

from s3plan.errors import NoSuchBucketError
from s3plan.model.capabilities import Capability, CapabilityName, Standing
from s3plan.model.connection import Connection
from s3plan.store import Store
from s3plan.store.bucketprobe import PREFIX, probe_bucket
from s3plan.store.capabilities import probe
from tests.servers import Server

_NUMBERS = itertools.count()

KNOWN: dict[str, dict[CapabilityName, Standing]] = {
    "rgw": {
        "get-if-match": "honoured",
        "put-if-none-match": "honoured",
        # It compares the header with the bare ETag: in quotes (RFC 9110) it never matches.
        "put-if-match": "refused",
        "copy-source-if-match": "ignored",
        "copy-if-none-match": "ignored",
        "copy-if-match": "ignored",
        "complete-if-none-match": "ignored",
        "complete-if-match": "ignored",
        "delete-if-match": "ignored",
        "delete-many-etag": "ignored",
        "content-md5": "honoured",
        "checksum-checked": "ignored",
        "checksum-kept": "ignored",
    },
    "moto_server": {
        "get-if-match": "honoured",
        "put-if-none-match": "honoured",
        "put-if-match": "honoured",
        "copy-source-if-match": "ignored",
        "copy-if-none-match": "ignored",
        "copy-if-match": "ignored",
        "complete-if-none-match": "honoured",
        "complete-if-match": "ignored",
        "delete-if-match": "honoured",
        "delete-many-etag": "ignored",
        "content-md5": "ignored",
        "checksum-checked": "ignored",
        "checksum-kept": "honoured",
    },
    "seaweed": {
        "get-if-match": "honoured",
        "put-if-none-match": "honoured",
        "put-if-match": "honoured",
        "copy-source-if-match": "honoured",
        "copy-if-none-match": "honoured",
        "copy-if-match": "honoured",
        "complete-if-none-match": "honoured",
        "complete-if-match": "honoured",
        "delete-if-match": "honoured",
        "delete-many-etag": "honoured",
        "content-md5": "honoured",
        "checksum-checked": "honoured",
        "checksum-kept": "honoured",
    },
}

WHOLE_BUCKET: dict[str, dict[CapabilityName, Standing]] = {
    "rgw": {"policy-deny": "honoured", "policy-condition": "ignored", "versioning": "honoured"},
    "moto_server": {
        "policy-deny": "honoured",
        "policy-condition": "ignored",
        "versioning": "honoured",
    },
    "seaweed": {"policy-deny": "refused", "policy-condition": "refused", "versioning": "honoured"},
}


def _probe(server: Server, names: Iterable[CapabilityName], races: int) -> dict[str, Capability]:
    """A probe in a bucket of its own, which must be as empty afterwards as it was before."""

    async def main() -> dict[str, Capability]:
        bucket = f"probed-{next(_NUMBERS)}"
        async with Store(Connection(endpoint=server.endpoint), environ=server.environ) as store:
            await asyncio.to_thread(store.control.create_bucket, bucket, "us-east-1")
            found = await probe(store.canaries(bucket, "some/place/"), tuple(names), races=races)
            left = [key async for page in store.bucket(bucket).pages() for key in page.keys]
            assert left == [], "no canary stays"
            await asyncio.to_thread(store.control.delete_bucket, bucket)
        return {capability.name: capability for capability in found}

    return asyncio.run(main())


@pytest.mark.parametrize("server", KNOWN)
def test_the_probe_finds_what_a_server_is_known_to_do(
    request: pytest.FixtureRequest, server: str
) -> None:
    known = KNOWN[server]
    found = _probe(request.getfixturevalue(server), known, races=2)
    assert {name: found[name].standing for name in known} == known
    assert not [name for name in known if known[name] != "honoured" and found[name].holds]


@pytest.mark.parametrize("server", WHOLE_BUCKET)
def test_a_bucket_of_its_own_shows_versions_and_policies_and_is_gone(
    request: pytest.FixtureRequest, server: str
) -> None:
    running: Server = request.getfixturevalue(server)

    async def main() -> tuple[tuple[Capability, ...], list[str]]:
        async with Store(Connection(endpoint=running.endpoint), environ=running.environ) as store:
            found = await probe_bucket(store)
            return found, [n for n in await store.list_buckets() if n.startswith(PREFIX)]

    found, left = asyncio.run(main())
    assert {one.name: one.standing for one in found} == WHOLE_BUCKET[server]
    assert left == []


def test_a_condition_that_two_writers_can_win_is_not_relied_upon(seaweed: Server) -> None:
    """SeaweedFS honours all of these in turn; at once, CompleteMultipartUpload lets both win."""
    names: tuple[CapabilityName, ...] = ("put-if-match", "complete-if-match")
    found = _probe(seaweed, names, races=60)
    assert found["put-if-match"].holds
    assert [race.broken for race in found["put-if-match"].races] == [0]
    complete = found["complete-if-match"]
    assert complete.standing == "honoured"
    assert sum(race.broken for race in complete.races) > 0
    assert not complete.holds


def test_a_write_that_a_conditional_delete_loses_breaks_the_batch_at_seaweedfs(
    seaweed: Server,
) -> None:
    """DeleteObjects with ETag against PUT loses writes there; DeleteObject with If-Match none."""
    found = _probe(seaweed, ("delete-many-etag", "delete-if-match"), races=100)
    assert not found["delete-many-etag"].holds
    assert found["delete-if-match"].holds


def test_what_was_not_raced_for_is_not_relied_upon(moto_server: Server) -> None:
    found = _probe(moto_server, ("put-if-match", "get-if-match"), races=0)
    assert found["put-if-match"].standing == "honoured"
    assert not found["put-if-match"].holds
    assert found["get-if-match"].holds, "a read needs no race"


def test_a_scratch_place_that_is_not_there_teaches_nothing(moto_server: Server) -> None:
    async def main() -> Any:
        async with Store(
            Connection(endpoint=moto_server.endpoint), environ=moto_server.environ
        ) as store:
            names: tuple[CapabilityName, ...] = ("get-if-match",)
            return await probe(store.canaries("no-such-bucket", ""), names, races=1)

    with pytest.raises(NoSuchBucketError):
        asyncio.run(main())
