"""Our signatures are botocore's, for every key and every way to address it."""

from __future__ import annotations

import datetime
from typing import Any
from unittest import mock
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.utils import percent_encode

from s3plan.store.endpoint import Address
from s3plan.store.signing import (
    EMPTY_SHA256,
    UNSIGNED_PAYLOAD,
    Credentials,
    Signer,
    canonical_request,
    encode_query,
    payload_hash,
)
from tests.store.keys import HOSTILE_KEYS

MOMENT = datetime.datetime(2026, 11, 20, 4, 23, 11, tzinfo=datetime.UTC)
STAMP = "20261120T042311Z"
PATH_STYLE = Address("http://127.0.0.1:8333", "127.0.0.1:8333", "/bucket", "us-east-1")
VIRTUAL = Address(
    "https://bucket.s3.eu-west-1.amazonaws.com",
    "bucket.s3.eu-west-1.amazonaws.com",
    "",
    "eu-west-1",
)


def botocore_signs(
    method: str,
    url: str,
    headers: dict[str, str],
    *,
    region: str,
    token: str | None,
    body: bytes = b"",
    context: dict[str, Any] | None = None,
) -> tuple[str, str, str]:
    """URL as sent, canonical request and Authorization, by botocore."""
    auth = S3SigV4Auth(BotocoreCredentials("AK", "SK", token), "s3", region)
    request = AWSRequest(method=method, url=url, headers=headers, data=body)
    request.context.update(context or {})
    with mock.patch("botocore.auth.get_current_datetime", return_value=MOMENT):
        auth.add_auth(request)
    authorization = request.headers["Authorization"]
    del request.headers["Authorization"]
    return request.prepare().url, auth.canonical_request(request), authorization


def we_sign(
    method: str,
    address: Address,
    key: str | None,
    query: tuple[tuple[str, str], ...],
    headers: dict[str, str],
    *,
    token: str | None,
    payload: str = EMPTY_SHA256,
) -> tuple[str, str, str]:
    path = address.path(key)
    encoded = encode_query(query)
    sent = Signer().sign(
        method=method,
        authority=address.authority,
        path=path,
        query=encoded,
        headers=[(name.lower(), value) for name, value in headers.items()],
        payload=payload,
        credentials=Credentials("AK", "SK", token),
        region=address.region,
        timestamp=STAMP,
    )
    lines = dict(sent)
    authorization = lines.pop("authorization")
    signed = sorted([("host", address.authority), *lines.items()])
    canonical, _ = canonical_request(method, path, encoded, signed, payload)
    url = f"{address.origin}{path}" + (f"?{encoded}" if encoded else "")
    return url, canonical, authorization


@pytest.mark.parametrize("token", [None, "TOKEN/with+signs=="])
@pytest.mark.parametrize("address", [PATH_STYLE, VIRTUAL], ids=["path", "virtual"])
def test_hostile_keys_are_signed_as_botocore_signs_them(
    address: Address, token: str | None
) -> None:
    assert len(HOSTILE_KEYS) >= 60
    headers = {"x-amz-checksum-mode": "ENABLED", "If-Match": '"abc"'}
    for key in HOSTILE_KEYS:
        # botocore's serializer encodes a key in a path with percent_encode(safe="/~").
        url = f"{address.origin}{address.base}/{percent_encode(key, safe='/~')}"
        ours = we_sign("GET", address, key, (), headers, token=token)
        theirs = botocore_signs("GET", url, headers, region=address.region, token=token)
        assert ours == theirs, repr(key)


@pytest.mark.parametrize("address", [PATH_STYLE, VIRTUAL], ids=["path", "virtual"])
def test_hostile_query_values_are_signed_as_botocore_signs_them(address: Address) -> None:
    for key in HOSTILE_KEYS:
        query = (
            ("list-type", "2"),
            ("prefix", key),
            ("continuation-token", "1/x+y=="),
            ("tagging", ""),
        )
        text = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in query)
        base = address.base or "/"
        theirs = botocore_signs(
            "GET", f"{address.origin}{base}?{text}", {}, region=address.region, token=None
        )
        ours = we_sign("GET", address, None, query, {}, token=None)
        # botocore leaves the order of the URL's parameters alone; the signature sorts them.
        assert ours[1:] == theirs[1:], repr(key)
        assert sorted(urlsplit(ours[0]).query.split("&")) == sorted(
            urlsplit(theirs[0]).query.split("&")
        )


@pytest.mark.parametrize(
    "value", ["plain", "two  blanks", " lead and trail ", "a\tb", "a \t b", "", '"quoted"', "a,b;c"]
)
def test_header_values_are_trimmed_as_botocore_trims_them(value: str) -> None:
    headers = {"x-amz-meta-note": value, "content-type": "text/plain"}
    url = f"{PATH_STYLE.origin}/bucket/k"
    theirs = botocore_signs("PUT", url, headers, region="us-east-1", token=None)
    assert we_sign("PUT", PATH_STYLE, "k", (), headers, token=None) == theirs


def test_halves_of_utf8_letters_are_not_blanks() -> None:
    # U+00A0 as Latin-1 is the second byte of "\u00e0" in UTF-8; str.split() would drop it.
    headers = [("host", "h"), ("x-amz-meta-a", "\u00c3\u00a0  x")]
    canonical, _ = canonical_request("GET", "/", "", headers, EMPTY_SHA256)
    assert "x-amz-meta-a:\u00c3\u00a0 x\n" in canonical


@pytest.mark.parametrize("https", [True, False])
@pytest.mark.parametrize("has_md5", [True, False])
@pytest.mark.parametrize("streaming", [True, False])
def test_payload_is_signed_where_botocore_signs_it(
    https: bool, has_md5: bool, streaming: bool
) -> None:
    body = b"content"
    url = f"{'https' if https else 'http'}://h.example/bucket/k"
    headers = {"Content-MD5": "x"} if has_md5 else {}
    _, canonical, _ = botocore_signs(
        "PUT",
        url,
        headers,
        region="us-east-1",
        token=None,
        body=body,
        context={"has_streaming_input": streaming},
    )
    ours = payload_hash(body, https=https, has_md5=has_md5, streaming=streaming)
    assert ours == canonical.rsplit("\n", 1)[1]
    assert (ours == UNSIGNED_PAYLOAD) == (https and has_md5 and streaming)


def test_keys_are_derived_again_for_another_day_and_region() -> None:
    signer = Signer()

    def authorization(day: str, region: str) -> str:
        return signer.sign(
            method="GET",
            authority="h",
            path="/",
            query="",
            headers=[],
            payload=EMPTY_SHA256,
            credentials=Credentials("AK", "SK"),
            region=region,
            timestamp=f"{day}T000000Z",
        )[-1][1]

    first = authorization("20261120", "us-east-1")
    assert (
        len({first, authorization("20261121", "us-east-1"), authorization("20261120", "eu-west-1")})
        == 3
    )
    assert authorization("20261120", "us-east-1") == first


def test_secrets_are_not_shown() -> None:
    shown = repr(Credentials("AK", "very-secret", "also-secret"))
    assert "AK" in shown
    assert "very" not in shown
    assert "also" not in shown
