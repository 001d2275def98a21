"""Multipart uploads that nobody finished: found, looked at, and aborted for good."""

from __future__ import annotations

import asyncio

import pytest

from s3plan.errors import EndpointError, ListingError
from s3plan.store import Activity, Bucket, IncompleteUpload
from tests.engine.scene import client_of
from tests.servers import Server
from tests.store.scripted import answer, scripted, store_at
from tests.store.test_servers import on_bucket

KEYS = ("a b", "deep/er/key", "z")


@pytest.mark.parametrize("server", ["seaweed", "moto_server"])
def test_uploads_are_found_and_aborted(server: str, request: pytest.FixtureRequest) -> None:
    there: Server = request.getfixturevalue(server)
    s3 = client_of(there)

    async def act(bucket: Bucket) -> None:
        for key in KEYS:
            made = s3.create_multipart_upload(Bucket=bucket.name, Key=key)
            for number in (1, 2):
                s3.upload_part(
                    Bucket=bucket.name, Key=key, UploadId=made["UploadId"],
                    PartNumber=number, Body=b"12345",
                )  # fmt: skip
        found = [upload async for upload in bucket.uploads()]
        assert sorted(upload.key for upload in found) == sorted(KEYS)
        for upload in found:
            active = await bucket.activity(upload)
            assert active is not None
            assert (active.parts, active.bytes) == (2, 10)
            assert active.latest >= upload.initiated
        for upload in found:
            await bucket.abort(upload)
            await bucket.abort(upload)  # one that is gone is fine
            assert await bucket.activity(upload) is None
        assert [upload async for upload in bucket.uploads()] == []

    on_bucket(there, act)
    s3.close()


def uploads_page(*names: str, more: bool) -> bytes:
    return answer(
        200,
        f"<ListMultipartUploadsResult><IsTruncated>{str(more).lower()}</IsTruncated>"
        + "".join(
            f"<Upload><Key>k</Key><UploadId>{name}</UploadId>"
            "<Initiated>2026-11-20T04:23:11.000Z</Initiated></Upload>"
            for name in names
        )
        + "</ListMultipartUploadsResult>",
    )


def listed(*replies: bytes) -> list[str]:
    async def main() -> list[str]:
        async with scripted(replies) as server, store_at(server.endpoint) as store:
            return [upload.upload_id async for upload in store.bucket("bucket").uploads()]

    return asyncio.run(main())


def test_pages_of_uploads_follow_each_other_and_never_loop() -> None:
    assert listed(uploads_page("1", "2", more=True), uploads_page("3", more=False)) == [
        "1", "2", "3",
    ]  # fmt: skip
    with pytest.raises(ListingError, match="repeats"):
        listed(uploads_page("1", more=True))
    with pytest.raises(ListingError, match="truncated and empty"):
        listed(uploads_page(more=True))


def test_an_upload_grows_until_its_last_part() -> None:
    def parts(number: int, *, more: bool) -> bytes:
        return answer(
            200,
            f"<ListPartsResult><IsTruncated>{str(more).lower()}</IsTruncated><Part>"
            f"<PartNumber>{number}</PartNumber><Size>5</Size>"
            f"<LastModified>2026-11-2{number}T04:23:11.000Z</LastModified></Part>"
            "</ListPartsResult>",
        )

    async def main() -> Activity | None:
        replies = [parts(1, more=True), parts(2, more=False)]
        async with scripted(replies) as server, store_at(server.endpoint) as store:
            upload = IncompleteUpload("k", "u", "2026-11-20T04:23:11.000Z")
            return await store.bucket("bucket").activity(upload)

    assert asyncio.run(main()) == Activity(2, 10, "2026-11-22T04:23:11.000Z")


def test_an_upload_that_does_not_go_away_is_said() -> None:
    """AWS: parts that are on their way may stay, and the abort is to be sent again."""
    empty = answer(200, "<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>")

    async def main() -> int:
        async with scripted([empty]) as server, store_at(server.endpoint) as store:
            upload = IncompleteUpload("k", "u", "2026-11-20T04:23:11.000Z")
            with pytest.raises(EndpointError, match="still there after it was aborted"):
                await store.bucket("bucket").abort(upload)
            return sum(asked.method == "DELETE" for asked in server.asked)

    assert asyncio.run(main()) == 5
