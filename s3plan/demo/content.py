"""What the demo's bucket holds: a few hundred objects, some with awkward keys, and digests."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass

from s3plan.model.objects import ObjectAttributes
from s3plan.store import Bucket

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


async def fill(bucket: Bucket) -> int:
    """Put every object; how many there are."""
    gate = asyncio.Semaphore(16)

    async def put(one: DemoObject) -> None:
        async with gate:
            await bucket.put(
                one.key,
                one.body,
                size=len(one.body),
                attributes=one.attributes,
                content_md5=hashlib.md5(one.body, usedforsecurity=False).digest(),
                checksum=None,
                if_none_match=False,
            )

    return len(await asyncio.gather(*[put(one) for one in objects()]))


async def manifest_of(bucket: Bucket) -> dict[str, str]:
    """SHA-256 of every object's bytes and attributes, by key."""
    gate = asyncio.Semaphore(16)
    keys = [key async for page in bucket.pages() for key in page.keys]

    async def digest(key: str) -> str:
        async with gate:
            head, body = await bucket.get(key, if_match=None)
            tags = await bucket.tags(key)
        attributes = head.attributes
        said = json.dumps(
            [attributes.headers, attributes.metadata, tags, attributes.storage_class],
            sort_keys=True,
        )
        return hashlib.sha256(body + said.encode()).hexdigest()

    return dict(zip(keys, await asyncio.gather(*[digest(key) for key in keys]), strict=True))
