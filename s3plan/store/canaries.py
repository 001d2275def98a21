"""Small objects in a scratch place, written and read with every condition S3 has, each once.

What the requests are is here; what follows from their answers is :mod:`s3plan.store.capabilities`.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Awaitable, Callable

from s3plan.errors import OutcomeUnknownError, StoreError
from s3plan.store import documents
from s3plan.store.bucket import Bucket
from s3plan.store.deletion import DeleteTarget
from s3plan.store.sender import Request, Sender
from s3plan.store.signing import encode_key
from s3plan.store.transfer import Answer

Headers = tuple[tuple[str, str], ...]
Commit = Callable[[], Awaitable[None]]
"""The one request of a write that carries its condition; everything before it is done."""

FOLDER = "s3plan-probe"
"""Below the scratch prefix; each probe has a folder of its own in it."""

_BATCH = 500


class Canaries:
    """The objects of one probe. Every method may raise any `StoreError`; nothing is sent twice."""

    def __init__(self, bucket: Bucket, sender: Sender, prefix: str) -> None:
        """``prefix`` is that of the scratch place with its final slash; empty is the bucket."""
        self.bucket = bucket
        self._prefix = f"{prefix}{FOLDER}/{secrets.token_hex(6)}/"
        self._sender = sender
        self._keys: set[str] = set()
        self._uploads: dict[str, str] = {}
        self._versions: list[tuple[str, str]] = []

    def key(self, name: str) -> str:
        """The key of a canary; whatever becomes of it, :meth:`clean` removes it."""
        key = self._prefix + name
        self._keys.add(key)
        return key

    async def put(self, key: str, body: bytes, headers: Headers = (), *, md5: bool = True) -> str:
        """PutObject; the ETag without quotes."""
        answer = await self._send("PUT", key, headers, body=body, md5=md5)
        return answer.headers.get("etag", "").strip('"')

    async def put_version(self, key: str, body: bytes) -> str:
        """PutObject; the version's id, empty where none is told."""
        answer = await self._send("PUT", key, (), body=body)
        version = answer.headers.get("x-amz-version-id", "")
        self._versions.append((key, version))
        return version

    async def copy(self, source: str, key: str, headers: Headers = ()) -> str:
        """CopyObject within the bucket; the copy's ETag without quotes, where it is told."""
        place = f"/{self.bucket.name}/{encode_key(source)}"
        answer = await self._send("PUT", key, (("x-amz-copy-source", place), *headers))
        return _field(answer.body, "ETag").strip('"')

    async def upload(self, key: str, body: bytes, headers: Headers) -> Commit:
        """A multipart upload of one part, up to its completion, which carries ``headers``."""
        started = await self._send("POST", key, (), query=(("uploads", ""),))
        upload = _field(started.body, "UploadId")
        self._uploads[upload] = key
        part = await self._send(
            "PUT", key, (), query=(("partNumber", "1"), ("uploadId", upload)), body=body
        )
        etag = documents.escape(part.headers.get("etag", ""))
        document = (
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
            f"<ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
        ).encode()

        async def complete() -> None:
            await self._send("POST", key, headers, query=(("uploadId", upload),), body=document)
            self._uploads.pop(upload, None)

        return complete

    async def delete(self, key: str, etag: str | None, *, batch: bool) -> None:
        """DeleteObject, or DeleteObjects with one key, if the ETag is still this."""
        delete = self.bucket.delete_many if batch else self.bucket.delete_singly
        (result,) = await delete([DeleteTarget(key, etag)])
        if result.error is not None:
            raise result.error

    async def read(self, key: str, headers: Headers = (), *, version: str = "") -> Answer:
        """GetObject, of one version where it is named."""
        query = (("versionId", version),) if version else ()
        return await self._send("GET", key, headers, query=query)

    async def clean(self) -> None:
        """Remove every canary and abandon every upload; what cannot be removed is left behind.

        Where the scratch bucket has versions, they stay: a lifecycle rule is to remove them.
        """
        for upload, key in self._uploads.items():
            try:
                await self._send("DELETE", key, (), query=(("uploadId", upload),))
            except StoreError:
                continue  # completed after all, or gone
        for key, version in self._versions:
            if version:
                await self._send("DELETE", key, (), query=(("versionId", version),))
        keys = sorted(self._keys.difference(key for key, version in self._versions if version))
        for start in range(0, len(keys), _BATCH):
            targets = [DeleteTarget(key, None) for key in keys[start : start + _BATCH]]
            await self.bucket.delete_many(targets)

    async def _send(
        self,
        method: str,
        key: str,
        headers: Headers,
        *,
        query: Headers = (),
        body: bytes | None = None,
        md5: bool = True,
    ) -> Answer:
        has_md5 = any(name == "content-md5" for name, _ in headers)
        if body is not None and md5 and not has_md5:
            value = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
            headers = (*headers, ("content-md5", value))
            has_md5 = True
        action = {"GET": "s3:GetObject", "DELETE": "s3:DeleteObject"}.get(method, "s3:PutObject")
        # A body, if only an empty one: a server may wait for what a PUT or POST does not announce.
        if body is None and method in ("PUT", "POST"):
            body = b""
        return await self._sender.send(
            Request(
                method,
                self.bucket.name,
                key,
                action,
                headers,
                query=query,
                body=body,
                repeatable=method == "GET",
                has_md5=has_md5,
            )
        )


def _field(body: bytes, name: str) -> str:
    try:
        found = documents.fields(documents.parse(body)).get(name, "")
    except documents.DocumentError as error:
        raise OutcomeUnknownError("the answer cannot be read", found=str(error)) from error
    return found
