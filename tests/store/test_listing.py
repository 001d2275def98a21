"""Only pages that add up are listings."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from s3plan.errors import AccessDeniedError, ListingError
from s3plan.store import ListPage
from tests.store.keys import HOSTILE_KEYS
from tests.store.scripted import Reply, Scripted, answer, error, scripted, store_at

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def page(
    keys: list[str],
    *,
    token: str | None = None,
    truncated: bool | None = None,
    count: int | None = None,
    entry: str = "<ETag>&quot;e&quot;</ETag><Size>1</Size>"
    "<LastModified>2026-11-20T04:23:11.000Z</LastModified>",
    encoded: bool = True,
) -> bytes:
    entries = "".join(
        f"<Contents><Key>{quote(key, safe='/') if encoded else key}</Key>{entry}</Contents>"
        for key in keys
    )
    more = token is not None if truncated is None else truncated
    return answer(
        200,
        f"<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='{NAMESPACE}'>"
        f"<Name>b</Name><IsTruncated>{str(more).lower()}</IsTruncated>"
        + (f"<NextContinuationToken>{token}</NextContinuationToken>" if token else "")
        + f"<KeyCount>{len(keys) if count is None else count}</KeyCount>"
        + ("<EncodingType>url</EncodingType>" if encoded else "")
        + f"{entries}</ListBucketResult>",
    )


def listed(
    replies: list[Reply], *, prefix: str = "", start_after: str = ""
) -> tuple[list[ListPage], Scripted]:
    async def main() -> tuple[list[ListPage], Scripted]:
        async with scripted(replies) as server, store_at(server.endpoint) as store:
            pages = store.bucket("bucket").pages(prefix, start_after)
            return [one async for one in pages], server

    return asyncio.run(main())


def test_pages_follow_each_other() -> None:
    pages, server = listed([page(["a", "b"], token="1/x+y=="), page(["c"])], prefix="")
    assert [one.keys for one in pages] == [["a", "b"], ["c"]]
    queries = [parse_qs(urlsplit(asked.target).query) for asked in server.asked]
    assert queries[0] == {"list-type": ["2"], "encoding-type": ["url"], "max-keys": ["1000"]}
    assert queries[1]["continuation-token"] == ["1/x+y=="]


def test_prefix_and_start_are_sent() -> None:
    _, server = listed([page(["d/b"])], prefix="d/", start_after="d/a")
    query = parse_qs(urlsplit(server.asked[0].target).query)
    assert (query["prefix"], query["start-after"]) == (["d/"], ["d/a"])


def test_hostile_keys_come_out_as_they_are() -> None:
    keys = sorted(HOSTILE_KEYS, key=str.encode)
    pages, _ = listed([page(keys)])
    assert pages[0].keys == keys
    # A form-encoded blank, as S3 sends it.
    pages, _ = listed(
        [answer(200, page(["x"]).split(b"\r\n\r\n")[1].replace(b">x<", b">a+b%2Bc<"))]
    )
    assert pages[0].keys == ["a b+c"]


def test_without_encoding_type_keys_are_plain() -> None:
    pages, _ = listed([page(["100%", "a+b"], encoded=False)])
    assert pages[0].keys == ["100%", "a+b"]


def test_an_empty_bucket_has_no_pages() -> None:
    assert listed([page([])])[0] == []


def test_columns() -> None:
    entry = (
        "<ETag>&quot;abc-2&quot;</ETag><Size>5000000000000</Size>"
        "<LastModified>2026-11-20T04:23:11Z</LastModified><StorageClass>GLACIER</StorageClass>"
        "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
        "<Owner><ID>o</ID></Owner>"
    )
    (one,), _ = listed([page(["k"], entry=entry)])
    assert one == ListPage(
        keys=["k"],
        sizes=[5_000_000_000_000],
        etags=["abc-2"],
        modified=["2026-11-20T04:23:11.000Z"],
        storage_classes=["GLACIER"],
        checksums=["CRC64NVME/FULL_OBJECT"],
    )
    (one,), _ = listed([page(["k"])])
    assert (one.storage_classes, one.checksums) == (["STANDARD"], [None])


@pytest.mark.parametrize(
    ("told", "normal"),
    [
        ("2026-11-20T04:23:11Z", "2026-11-20T04:23:11.000Z"),
        ("2026-11-20T04:23:11.123Z", "2026-11-20T04:23:11.123Z"),
        ("2026-11-20T04:23:11.123456Z", "2026-11-20T04:23:11.123Z"),
        ("2026-11-20T05:23:11+01:00", "2026-11-20T04:23:11.000Z"),
    ],
)
def test_times_are_normalised(told: str, normal: str) -> None:
    entry = f"<Size>1</Size><LastModified>{told}</LastModified>"
    (one,), _ = listed([page(["k"], entry=entry)])
    assert one.modified == [normal]


@pytest.mark.parametrize(
    "replies",
    [
        [page(["b", "a"])],
        [page(["a", "a"])],
        [page(["a", "b"], token="1"), page(["b", "c"])],
        [page(["a", "b"], token="1"), page(["a"])],
        # U+FFFF before an astral character in UTF-8, after it in UTF-16.
        [page(["\U0001f600", "\uffff"])],
        # Byte order here, path order there: each alone would do, together they prove nothing.
        [page(["a b", "a/x", "b/x", "b b"])],
        [page(["a b", "a/x"], token="1"), page(["b/x"], token="2"), page(["b b"])],
        [page(["a"], count=2)],
        [page(["a"], truncated=True)],
        [page(["a"], token="1", truncated=False)],
        [page(["a"], token="1"), page(["b"], token="1"), page(["c"])],
        [page(["a"], entry="<Size>many</Size><LastModified>2026-11-20T04:23:11Z</LastModified>")],
        [page(["a"], entry="<Size>1</Size><LastModified>yesterday</LastModified>")],
        [page(["a"], entry="<Size>1</Size>")],
        [
            page(["%ff"], encoded=False).replace(
                b"<KeyCount>", b"<EncodingType>url</EncodingType><KeyCount>"
            )
        ],
        [answer(200, "<html>a captive portal</html>")],
        [answer(200, "<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>")],
        [answer(200, b"")],
        [answer(200, '<!DOCTYPE x [<!ENTITY a "b">]><ListBucketResult/>')],
    ],
)
def test_pages_that_do_not_add_up_are_refused(replies: list[Reply]) -> None:
    # The hand-made %ff page is longer than its Content-Length says; make it right.
    fixed: list[Reply] = [
        answer(200, reply.split(b"\r\n\r\n", 1)[1]) if isinstance(reply, bytes) else reply
        for reply in replies
    ]
    with pytest.raises(ListingError):
        listed(fixed)


def test_path_order_is_an_order_too() -> None:
    keys = ["a/x", "a/y", "a b", "a-b", "a.txt", "b"]
    pages, _ = listed([page(keys[:3], token="1"), page(keys[3:])])
    assert [one.keys for one in pages] == [keys[:3], keys[3:]]


def test_keys_outside_the_prefix_or_before_the_start_are_refused() -> None:
    with pytest.raises(ListingError):
        listed([page(["e/a"])], prefix="d/")
    with pytest.raises(ListingError):
        listed([page(["a"])], start_after="a")


def test_a_page_that_fails_fails_the_listing() -> None:
    with pytest.raises(AccessDeniedError):
        listed([page(["a"], token="1"), error(403, "AccessDenied")])


def test_a_page_that_fails_for_a_moment_does_not() -> None:
    pages, _ = listed([page(["a"], token="1"), error(503, "SlowDown"), page(["b"])])
    assert [one.keys for one in pages] == [["a"], ["b"]]
