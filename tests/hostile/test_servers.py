"""What each server does with hostile keys, so that a gap that closes is noticed."""

from __future__ import annotations

import itertools
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError

from tests.hostile.keys import GAPS, KEYS, body_of, kept_by
from tests.servers import Server

_NUMBERS = itertools.count()


def _gaps() -> list[object]:
    return [
        pytest.param(
            server,
            capability,
            id=f"{server}-{capability}",
            marks=pytest.mark.xfail(reason=capability, raises=AssertionError),
        )
        for server, gaps in GAPS.items()
        for capability in gaps
    ]


@pytest.mark.parametrize(("server", "capability"), _gaps())
def test_a_server_keeps_every_key_of_a_capability(
    request: pytest.FixtureRequest, server: str, capability: str
) -> None:
    """Strict: fails as soon as the server keeps them all, and then the gap is to be removed."""
    running: Server = request.getfixturevalue(server)
    keys = GAPS[server][capability]
    if capability == "file-and-directory":
        # The file first: the other way round SeaweedFS takes both.
        keys += tuple(key for key in kept_by(server) if key.split("/")[0] in keys)
    s3 = boto3.client(
        "s3",
        endpoint_url=running.endpoint,
        region_name=running.region,
        aws_access_key_id=running.access_key,
        aws_secret_access_key=running.secret_key,
        config=Config(
            s3={"addressing_style": "path"}, retries={"max_attempts": 0}, read_timeout=20
        ),
    )
    bucket = f"gap-{next(_NUMBERS)}"
    s3.create_bucket(Bucket=bucket)
    assert {key: _kept(s3, bucket, key) for key in keys} == dict.fromkeys(keys, "kept")


def _kept(s3: Any, bucket: str, key: str) -> str:
    """What becomes of one key, among those that came before it."""
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=body_of(key))
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        listed = {entry["Key"] for page in pages for entry in page.get("Contents", ())}
    except (ClientError, HTTPClientError) as error:
        # SeaweedFS now and then drops the connection of such a listing instead of refusing it.
        return str(error)
    if key not in listed:
        return "listed under another name"
    return "kept" if body == body_of(key) else "other bytes"


def test_the_list_is_long_enough() -> None:
    """At least 60 of them travel through every server."""
    assert len(KEYS) == len(set(KEYS))
    assert min(len(kept_by(server)) for server in GAPS) >= 60
