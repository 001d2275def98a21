"""What the demo's bucket holds: a few hundred objects, some with awkward keys, and digests."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from s3plan.model.objects import ObjectAttributes

AWKWARD = (
    "notes/with space and + plus.txt",
    "notes/percent %41 is not A.txt",
    "notes/question?mark & ampersand=1.txt",
    "notes/hash#tag;semi,comma.txt",
    "notes/quotes \"double\" and 'single'.txt",
    "notes/[brackets] {braces} (parens).txt",
    "notes/ümläut ñ 日本語 🌌.txt",
    "notes/e\u0301 as two characters.txt",
    "notes/é as one character.txt",
    "notes/-leading-dash.txt",
    "notes/CON.txt",
    "notes/Case.txt",
    "notes/case.txt",
    "notes/trailing space .txt",
    "notes/ends in a dot.",
    "notes/" + "long" * 50 + ".txt",
    "notes/.hidden",
    "notes/.DS_Store",
    ".s3plan/not-ours.txt",
)
"""Keys that tools have lost; every server of the demo takes them."""


THREADS = 8

_PARAMETERS = {"content-type": "ContentType", "cache-control": "CacheControl"}
"""boto3's names of the headers that the demo sets."""


@dataclass(frozen=True, slots=True)
class DemoObject:
    """One object to make."""

    key: str
    body: bytes
    attributes: ObjectAttributes


def objects() -> Iterator[DemoObject]:
    """The same objects every time."""
    chance = random.Random(3)
    for year in (2019, 2020, 2021):
        for n in range(90):
            yield DemoObject(
                f"{year}/IMG_{n:04d}.jpg",
                chance.randbytes(chance.randrange(2_000, 60_000)),
                ObjectAttributes(
                    headers={"content-type": "image/jpeg", "cache-control": "max-age=3600"},
                    metadata={"camera": "K-1", "sequence": str(n)},
                    tags={"album": f"summer {year}"} if n % 10 == 0 else {},
                ),
            )
    for key in AWKWARD:
        yield DemoObject(
            key,
            f"the content of {key}\n".encode(),
            ObjectAttributes(headers={"content-type": "text/plain; charset=utf-8"}),
        )
    yield DemoObject("empty.txt", b"", ObjectAttributes(headers={"content-type": "text/plain"}))
    yield DemoObject(
        "video/night sky.mp4",
        chance.randbytes(9_000_000),
        ObjectAttributes(headers={"content-type": "video/mp4"}, tags={"keep": "yes"}),
    )


def fill(client: Any, bucket: str) -> int:
    """Put every object with boto3; how many there are.

    A witness must not share code with the accused: neither what is put in nor what is found
    afterwards goes through s3plan's own wire.
    """

    def put(one: DemoObject) -> None:
        headers = {_PARAMETERS[name]: value for name, value in one.attributes.headers.items()}
        client.put_object(
            Bucket=bucket,
            Key=one.key,
            Body=one.body,
            Metadata=one.attributes.metadata,
            Tagging=urlencode(one.attributes.tags, quote_via=quote),
            **headers,
        )

    with ThreadPoolExecutor(THREADS) as threads:
        return len(list(threads.map(put, objects())))


def digests_of(client: Any, bucket: str) -> dict[str, str]:
    """SHA-256 of every object's bytes, headers, metadata and tags, by key."""

    def digest(key: str) -> str:
        answer = client.get_object(Bucket=bucket, Key=key)
        tags = client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
        said = {
            "metadata": answer["Metadata"],
            "tags": sorted((tag["Key"], tag["Value"]) for tag in tags),
            "class": answer.get("StorageClass", "STANDARD"),
            **{name: answer.get(name) for name in _PARAMETERS.values()},
        }
        text = json.dumps(said, sort_keys=True).encode()
        return hashlib.sha256(answer["Body"].read() + text).hexdigest()

    keys = [
        entry["Key"]
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        for entry in page.get("Contents", [])
    ]
    with ThreadPoolExecutor(THREADS) as threads:
        return dict(zip(keys, threads.map(digest, keys), strict=True))


def remove(client: Any, bucket: str) -> None:
    """Leave nothing behind, whatever happened before; a bucket that is gone already is fine."""
    if bucket not in {entry["Name"] for entry in client.list_buckets()["Buckets"]}:
        return
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            client.delete_object(Bucket=bucket, Key=entry["Key"])
    client.delete_bucket(Bucket=bucket)
