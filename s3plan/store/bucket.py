"""The typed operations on one bucket and its objects, over the wire."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from msgspec import Struct

from s3plan.errors import EndpointError, NoSuchBucketError, StoreError, ThrottledError
from s3plan.model.objects import Checksum, ObjectAttributes, ObjectHead
from s3plan.store import documents, failures, heads, listing
from s3plan.store.listing import ListPage
from s3plan.store.sender import Request, Sender, Streaming
from s3plan.store.transfer import Source
from s3plan.store.wire import Wire

_STREAMED_FROM = 8 * 1024 * 1024
_CHUNK = 1024 * 1024
_MOST_DELETED = 1000
_CHECKSUM_MODE = ("x-amz-checksum-mode", "ENABLED")


class Sink(Protocol):
    """Takes an object's bytes in the transfer's thread; may raise to abort the transfer."""

    def start(self, head: ObjectHead) -> None:
        """An attempt begins; a second call means that the bytes so far are void."""

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""


class PutResult(Struct, frozen=True):
    """What S3 says it stored; ``etag`` is without quotes."""

    etag: str
    version_id: str | None
    checksums: tuple[Checksum, ...]


class DeleteTarget(Struct, frozen=True):
    """One key to delete, only if its ETag (without quotes) is still this; None is any."""

    key: str
    etag: str | None


class DeleteResult(Struct, frozen=True):
    """``error`` None is deleted. An `OutcomeUnknownError` is a key S3 did not mention."""

    key: str
    error: StoreError | None


class Bucket:
    """One bucket. Every method may raise any `StoreError`; the docstrings name what matters."""

    def __init__(self, name: str, sender: Sender, wire: Wire) -> None:
        """Made by ``Store.bucket``; sends nothing."""
        self.name = name
        self._sender = sender
        self._wire = wire

    def pages(
        self, prefix: str = "", start_after: str = "", max_keys: int = 1000
    ) -> AsyncIterator[ListPage]:
        """The listing, checked page by page; `ListingError` means that none of it counts."""
        return listing.pages(
            self._sender, self.name, prefix=prefix, start_after=start_after, max_keys=max_keys
        )

    async def exists(self) -> bool:
        """HeadBucket: False only on 404. A 403 is an `AccessDeniedError`, never an absence."""
        try:
            await self._sender.send(Request("HEAD", self.name, None, "s3:ListBucket"))
        except NoSuchBucketError:
            return False
        return True

    async def head(self, key: str, *, if_match: str | None = None) -> ObjectHead:
        """HeadObject. `NoSuchKeyError`; `PreconditionFailedError` when the ETag is another."""
        answer = await self._sender.send(
            Request("HEAD", self.name, key, "s3:GetObject", _read_headers(if_match))
        )
        return heads.object_head(key, answer.headers)

    async def get(self, key: str, *, if_match: str | None) -> tuple[ObjectHead, bytes]:
        """GetObject into memory, on the loop: for small objects."""
        answer = await self._sender.send(
            Request("GET", self.name, key, "s3:GetObject", _read_headers(if_match), timed=True)
        )
        head = heads.object_head(key, answer.headers)
        if head.size != len(answer.body):
            raise EndpointError(
                "the endpoint sent another number of bytes than it announced",
                address=f"s3://{self.name}/{key}",
                expected=f"{head.size} bytes",
                found=f"{len(answer.body)} bytes",
                next_step="run the same command again",
            )
        return head, answer.body

    async def get_to(self, key: str, sink: Sink, *, if_match: str | None) -> ObjectHead:
        """GetObject streamed in a thread; what ``sink`` raises comes out of here."""
        receiver = _IntoSink(key, sink)
        await self._sender.send(
            Request("GET", self.name, key, "s3:GetObject", _read_headers(if_match), timed=True),
            Streaming(receiver=receiver),
        )
        assert receiver.head is not None
        return receiver.head

    async def tags(self, key: str) -> dict[str, str]:
        """GetObjectTagging."""
        answer = await self._sender.send(
            Request("GET", self.name, key, "s3:GetObjectTagging", query=(("tagging", ""),))
        )
        try:
            root = documents.parse(answer.body)
            pairs = [documents.fields(e) for e in root.iter() if _is(e.tag, "Tag")]
            return {pair["Key"]: pair["Value"] for pair in pairs}
        except (documents.DocumentError, KeyError) as error:
            raise _unreadable(f"s3://{self.name}/{key}", "tags") from error

    async def put(
        self,
        key: str,
        body: bytes | Source,
        *,
        size: int,
        attributes: ObjectAttributes,
        content_md5: bytes,
        checksum: Checksum | None,
        if_none_match: bool,
        if_match: str | None = None,
    ) -> PutResult:
        """PutObject with everything that makes the object as it was, tags included.

        ``content_md5`` is the 16-byte digest. With ``if_none_match`` nothing is overwritten, with
        ``if_match`` only the object of that ETag (without quotes). A lost answer is then sent
        again; a `PreconditionFailedError` may be our own first attempt, so look. Without either a
        lost answer is an `OutcomeUnknownError`.
        """
        address = f"s3://{self.name}/{key}"
        headers = heads.put_headers(attributes, address)
        headers.append(("content-md5", base64.b64encode(content_md5).decode()))
        if checksum is not None and checksum.algorithm != "MD5":
            headers.append((f"x-amz-checksum-{checksum.algorithm.lower()}", checksum.value))
            headers.append(("x-amz-sdk-checksum-algorithm", checksum.algorithm))
        if if_none_match:
            headers.append(("if-none-match", "*"))
        if if_match is not None:
            headers.append(("if-match", f'"{if_match}"'))
        in_memory = isinstance(body, bytes) and size <= _STREAMED_FROM
        source = _BytesSource(body) if isinstance(body, bytes) else body
        sha256 = None
        if not in_memory and not self._sender.address(self.name).https:
            # Without TLS S3 wants the body's hash in the signature; botocore reads twice as well.
            sha256 = await self._wire.run(lambda: _sha256(source))
        request = Request(
            "PUT",
            self.name,
            key,
            "s3:PutObject",
            tuple(headers),
            body=body if in_memory and isinstance(body, bytes) else None,
            repeatable=if_none_match or if_match is not None,
            timed=True,
            sha256=sha256,
            has_md5=True,
        )
        answer = await self._sender.send(
            request, None if in_memory else Streaming(source=source, size=size)
        )
        return PutResult(
            etag=answer.headers.get("etag", "").strip('"'),
            version_id=answer.headers.get("x-amz-version-id"),
            checksums=heads.checksums(answer.headers),
        )

    async def delete_many(self, targets: Sequence[DeleteTarget]) -> tuple[DeleteResult, ...]:
        """DeleteObjects for at most 1,000 keys; one result per target, in their order.

        Keys that S3 asks to wait for are sent again, all others once: when an answer is lost as a
        whole this raises `OutcomeUnknownError`, and any of the keys may be gone. Keys that
        XML may garble (control characters) go one by one as DeleteObject.
        """
        if len(targets) > _MOST_DELETED:
            raise ValueError(f"at most {_MOST_DELETED} keys, not {len(targets)}")
        batch = [target for target in targets if documents.is_writable(target.key)]
        single = [target for target in targets if not documents.is_writable(target.key)]
        errors: dict[str, StoreError | None] = {}
        if batch:
            errors.update(await self._delete_patiently(batch))
        errors.update((one.key, one.error) for one in await self.delete_singly(single))
        return tuple(DeleteResult(target.key, errors[target.key]) for target in targets)

    async def delete_singly(self, targets: Sequence[DeleteTarget]) -> tuple[DeleteResult, ...]:
        """A DeleteObject for each, sent once: some endpoints honour an ETag there only."""
        errors = await asyncio.gather(*[self._delete_one(target) for target in targets])
        return tuple(
            DeleteResult(target.key, error) for target, error in zip(targets, errors, strict=True)
        )

    async def _delete_patiently(
        self, targets: Sequence[DeleteTarget]
    ) -> dict[str, StoreError | None]:
        """DeleteObjects, sent again for the keys with which S3 says it did nothing yet."""
        errors = await self._delete_batch(targets)
        for times in itertools.count(1):
            slowed = [one for one in targets if isinstance(errors[one.key], ThrottledError)]
            if not slowed or not await self._sender.slowed_down(self.name, times):
                break
            errors.update(await self._delete_batch(slowed))
        return errors

    async def _delete_batch(self, targets: Sequence[DeleteTarget]) -> dict[str, StoreError | None]:
        body = delete_document(targets)
        md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        answer = await self._sender.send(
            Request(
                "POST",
                self.name,
                None,
                "s3:DeleteObject",
                (("content-md5", md5), ("content-type", "application/xml")),
                query=(("delete", ""),),
                body=body,
                repeatable=False,
                has_md5=True,
            )
        )
        return self._delete_results(targets, answer.body, answer.headers)

    def _delete_results(
        self, targets: Sequence[DeleteTarget], body: bytes, headers: dict[str, str]
    ) -> dict[str, StoreError | None]:
        endpoint = self._sender.address(self.name).origin
        results: dict[str, StoreError | None] = {
            target.key: failures.unknown(
                "S3 answered, but did not mention this key",
                failures.Subject(self.name, target.key, "s3:DeleteObject"),
            )
            for target in targets
        }
        try:
            root = documents.parse(body)
        except documents.DocumentError as error:
            raise failures.unknown(
                f"the answer cannot be read: {error}",
                failures.Subject(self.name, None, "s3:DeleteObject"),
            ) from error
        for element in root:
            told = documents.fields(element)
            key = told.get("Key", "")
            if key not in results:
                continue
            if _is(element.tag, "Deleted"):
                results[key] = None
            elif _is(element.tag, "Error"):
                code = told.get("Code")
                refusal = failures.Refusal(
                    status=failures.STATUS_OF.get(code or "", 400),
                    code=code,
                    message=told.get("Message", ""),
                    region=None,
                    endpoint=None,
                    request_id=headers.get("x-amz-request-id"),
                )
                subject = failures.Subject(self.name, key, "s3:DeleteObject")
                results[key] = failures.refused(refusal, subject, endpoint)
        return results

    async def _delete_one(self, target: DeleteTarget) -> StoreError | None:
        headers = (("if-match", f'"{target.etag}"'),) if target.etag is not None else ()
        try:
            await self._sender.send(
                Request(
                    "DELETE", self.name, target.key, "s3:DeleteObject", headers, repeatable=False
                )
            )
        except StoreError as error:
            return error
        return None


def delete_document(targets: Sequence[DeleteTarget]) -> bytes:
    """The body of DeleteObjects; ETags stand in quotes, as listings give them."""
    objects = "".join(
        f"<Object><Key>{documents.escape(target.key)}</Key>"
        + (
            f"<ETag>{documents.escape(chr(34) + target.etag + chr(34))}</ETag>"
            if target.etag is not None
            else ""
        )
        + "</Object>"
        for target in targets
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"{objects}<Quiet>false</Quiet></Delete>"
    ).encode()


class _IntoSink:
    """A wire receiver that parses the head for a sink."""

    def __init__(self, key: str, sink: Sink) -> None:
        self.head: ObjectHead | None = None
        self.feed = sink.feed
        self._key = key
        self._sink = sink

    def accept(self, headers: dict[str, str]) -> None:
        self.head = heads.object_head(self._key, headers)
        self._sink.start(self.head)


class _BytesSource:
    """A body in memory that is too large for the loop."""

    def __init__(self, body: bytes) -> None:
        self._body = memoryview(body)
        self._at = 0

    def start(self) -> None:
        self._at = 0

    def read(self, size: int) -> bytes:
        chunk = bytes(self._body[self._at : self._at + size])
        self._at += len(chunk)
        return chunk


def _sha256(source: Source) -> str:
    digest = hashlib.sha256()
    source.start()
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _read_headers(if_match: str | None) -> tuple[tuple[str, str], ...]:
    if if_match is None:
        return (_CHECKSUM_MODE,)
    return (_CHECKSUM_MODE, ("if-match", f'"{if_match}"'))


def _is(tag: str, name: str) -> bool:
    return documents.local_name(tag) == name


def _unreadable(address: str, what: str) -> EndpointError:
    return EndpointError(
        f"the endpoint's answer about {what} cannot be read",
        address=address,
        next_step="run the same command again",
    )
