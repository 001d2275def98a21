"""The object of a lease: read with its age, written only over what was read.

Its age is counted by the clock of S3 alone (``Date`` less ``Last-Modified`` of one answer), so
machines whose clocks differ agree on it.
"""

from __future__ import annotations

import base64
import hashlib

from msgspec import Struct

from s3plan.errors import NoSuchKeyError, PreconditionFailedError
from s3plan.store.retry import http_date
from s3plan.store.sender import Request, Sender


class SeenLease(Struct, frozen=True):
    """What was read; ``age`` is seconds since it was written, None where S3 does not tell."""

    body: bytes
    etag: str
    age: float | None


class LeaseObject:
    """One small object. Every method may raise any `StoreError`."""

    def __init__(self, sender: Sender, bucket: str, key: str) -> None:
        """Made by ``Store.lease_object``; sends nothing."""
        self.address = f"s3://{bucket}/{key}"
        self._sender = sender
        self._bucket = bucket
        self._key = key

    async def read(self) -> SeenLease | None:
        """What is there now; None where nothing is."""
        try:
            answer = await self._sender.send(
                Request("GET", self._bucket, self._key, "s3:GetObject")
            )
        except NoSuchKeyError:
            return None
        now = http_date(answer.headers.get("date", ""))
        written = http_date(answer.headers.get("last-modified", ""))
        age = None if now is None or written is None else max(0.0, now - written)
        return SeenLease(answer.body, answer.headers.get("etag", "").strip('"'), age)

    async def write(self, body: bytes, *, over: str | None) -> None:
        """Replace what has the ETag ``over``; None: write only where nothing is.

        `PreconditionFailedError` where it is another by now, `OutcomeUnknownError` where the answer
        was lost. Where the endpoint ignores conditions this is an ordinary write: read afterwards.
        """
        if over is None:
            await self._put(body, ("if-none-match", "*"))
            return
        try:
            await self._put(body, ("if-match", f'"{over}"'))
        except PreconditionFailedError:
            # Ceph RGW 16 compares the header with the bare ETag, so that in quotes (RFC 9110) it
            # never matches. Still a condition: where the object is another by now it is refused.
            seen = await self.read()
            if seen is None or seen.etag != over:
                raise
            await self._put(body, ("if-match", over))

    async def _put(self, body: bytes, condition: tuple[str, str]) -> None:
        md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        await self._sender.send(
            Request(
                "PUT",
                self._bucket,
                self._key,
                "s3:PutObject",
                (condition, ("content-md5", md5), ("content-type", "application/json")),
                body=body,
                repeatable=False,
                has_md5=True,
            )
        )
