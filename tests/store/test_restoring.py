"""RestoreObject and RestoreStatus over the wire: what is sent, and what each answer means."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.serialize import create_serializer
from botocore.session import get_session

from s3plan.errors import AccessDeniedError, NoSuchKeyError, StoreError
from s3plan.model.steps import Tier
from s3plan.rules.restores import ONGOING, SECONDS, restore_of
from s3plan.store import Bucket
from s3plan.store.listing import ListPage, parse_page
from s3plan.store.restoring import restore_document
from tests.store.scripted import Reply, answer, error, reset
from tests.store.test_retries import BUSY, play

STATUS = """\
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<IsTruncated>false</IsTruncated><KeyCount>3</KeyCount><Name>b</Name>
<Contents><Key>a</Key><LastModified>2026-11-20T04:23:11.000Z</LastModified><ETag>"e"</ETag>
<Size>1</Size><StorageClass>GLACIER</StorageClass>
<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus></Contents>
<Contents><Key>b</Key><LastModified>2026-11-20T04:23:11.000Z</LastModified><ETag>"e"</ETag>
<Size>1</Size><StorageClass>GLACIER</StorageClass>
<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>
<RestoreExpiryDate>2026-12-21T00:00:00Z</RestoreExpiryDate></RestoreStatus></Contents>
<Contents><Key>c</Key><LastModified>2026-11-20T04:23:11.000Z</LastModified><ETag>"e"</ETag>
<Size>1</Size><StorageClass>GLACIER</StorageClass></Contents>
</ListBucketResult>"""


def _ask(*replies: Reply, tier: Tier = "Standard", **options: Any) -> tuple[Any, Any]:
    async def act(bucket: Bucket) -> Any:
        return await bucket.restore("a b/c", days=3, tier=tier, **options)

    return play(replies, act)


def test_what_is_sent() -> None:
    said, server = _ask(answer(202), version="v1")
    assert said == "started"
    (asked,) = server.asked
    assert (asked.method, asked.target) == ("POST", "/bucket/a%20b/c?restore=&versionId=v1")
    assert asked.body == restore_document(3, "Standard")
    assert "content-md5" in asked.headers


def test_the_document_is_what_botocore_sends() -> None:
    """Element by element; INTELLIGENT_TIERING is told no days."""
    model = get_session().get_service_model("s3")
    serializer = create_serializer(model.metadata["protocol"])
    for days, tier in ((3, "Bulk"), (None, "Standard")):
        request: dict[str, Any] = {"GlacierJobParameters": {"Tier": tier}}
        if days is not None:
            request = {"Days": days} | request
        sent = serializer.serialize_to_request(
            {"Bucket": "b", "Key": "k", "RestoreRequest": request},
            model.operation_model("RestoreObject"),
        )
        document = restore_document(days, tier)  # type: ignore[arg-type]
        assert document.split(b"\n", 1)[1] == sent["body"]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (answer(202), "started"),
        (answer(200), "extended"),
        (error(409, "RestoreAlreadyInProgress"), "ongoing"),
        (error(403, "InvalidObjectState"), "readable"),
    ],
)
def test_what_the_answers_mean(reply: bytes, said: str) -> None:
    """A71."""
    assert _ask(reply)[0] == said


def test_no_capacity_is_told_at_once_and_only_of_expedited() -> None:
    """It is a 503, and yet waiting does not cure it."""
    full = error(503, "GlacierExpeditedRetrievalNotAvailable")
    said, server = _ask(full, tier="Expedited")
    assert (said, len(server.asked)) == ("no-capacity", 1)
    problem, _ = _ask(full, tier="Bulk")
    assert isinstance(problem, StoreError)


def test_a_restore_repeats_harmlessly() -> None:
    said, server = _ask(reset, BUSY, error(409, "RestoreAlreadyInProgress"))
    assert (said, len(server.asked)) == ("ongoing", 3)


def test_refusals_are_errors() -> None:
    assert isinstance(_ask(error(403, "AccessDenied"))[0], AccessDeniedError)
    assert isinstance(_ask(error(404, "NoSuchKey"))[0], NoSuchKeyError)


def test_a_listing_tells_how_far_restores_are() -> None:
    """A20."""

    async def act(bucket: Bucket) -> list[ListPage]:
        return [page async for page in bucket.pages(restores=True)]

    pages, server = play([answer(200, STATUS)], act)
    assert pages[0].restores == [ONGOING, "2026-12-21T00:00:00.000Z", None]
    assert server.asked[0].headers["x-amz-optional-object-attributes"] == "RestoreStatus"
    assert parse_page(STATUS.encode()).page.restores == []


def test_a_listing_asks_only_where_it_is_to() -> None:
    async def act(bucket: Bucket) -> list[ListPage]:
        return [page async for page in bucket.pages()]

    _, server = play([answer(200, STATUS)], act)
    assert "x-amz-optional-object-attributes" not in server.asked[0].headers


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (None, None),
        ('ongoing-request="true"', ONGOING),
        (
            'ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"',
            "2012-12-21T00:00:00.000Z",
        ),
        ('ongoing-request="false"', None),
        ('ongoing-request="false", expiry-date="soon"', None),
        ("garbage", None),
    ],
)
def test_what_the_header_says(header: str | None, said: str | None) -> None:
    assert restore_of(header) == said


def test_every_tier_is_one_of_the_service_model() -> None:
    shapes = Loader().load_service_model("s3", "service-2")["shapes"]
    assert {tier for _, tier in SECONDS} == set(shapes["Tier"]["enum"])
    archives = {*shapes["ArchiveStatus"]["enum"], "GLACIER", "DEEP_ARCHIVE"}
    assert {archive for archive, _ in SECONDS} == archives
