"""The typed operations on one bucket and its objects, over the wire."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from msgspec import Struct

from s3plan.errors import AccessDeniedError, EndpointError, NoSuchBucketError, StoreError
from s3plan.model.objects import Checksum, ChecksumAlgorithm, ObjectAttributes, ObjectHead
from s3plan.model.steps import Tier
from s3plan.store import (
    copying,
    deletion,
    dividing,
    documents,
    extras,
    heads,
    incomplete,
    listing,
    multipart,
    parts,
    ranges,
    reencrypting,
    restoring,
    versions,
)
from s3plan.store.copying import CopyOptions, CopyResult, CopySource
from s3plan.store.deletion import DeleteResult, DeleteTarget
from s3plan.store.incomplete import Activity, IncompleteUpload
from s3plan.store.listing import ListPage
from s3plan.store.restoring import RestoreAnswer
from s3plan.store.sender import Request, Sender, Streaming
from s3plan.store.transfer import ChunkedSource, Source
from s3plan.store.versions import VersionPage
from s3plan.store.wire import Wire

_STREAMED_FROM = 8 * 1024 * 1024
_CHUNK = 1024 * 1024
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


class Bucket:
    """One bucket. Every method may raise any `StoreError`; the docstrings name what matters."""

    def __init__(self, name: str, sender: Sender, wire: Wire, *, anonymous: bool = False) -> None:
        """Made by ``Store.bucket``; sends nothing. ``anonymous``: objects are read unsigned."""
        self.name = name
        self._anonymous = anonymous
        self._sender = sender
        self._wire = wire

    def pages(
        self,
        prefix: str = "",
        start_after: str = "",
        max_keys: int = 1000,
        *,
        restores: bool = False,
        repeats: bool = False,
    ) -> AsyncIterator[ListPage]:
        """The listing, checked page by page; `ListingError` means that none of it counts.

        With ``restores`` S3 is asked how far restores are, which not every endpoint tells. With
        ``repeats`` single keys that come twice are told, see :mod:`s3plan.store.listing`.
        """
        return listing.pages(
            self._sender,
            self.name,
            prefix=prefix,
            start_after=start_after,
            max_keys=max_keys,
            restores=restores,
            repeats=repeats,
        )

    def divided_pages(
        self, prefix: str = "", *, repeats: bool = False, places: Sequence[str] = ()
    ) -> AsyncIterator[ListPage]:
        """The listing in no order, several pages asked for at once; otherwise as :meth:`pages`.

        ``places``, rising, are keys at which to divide it from the start. Raises `SeamError` at
        its end where it does not hold together: then none of it counts.
        """
        return dividing.pages(
            lambda start: self.pages(prefix=prefix, start_after=start, repeats=repeats),
            lambda after: listing.folders(self._sender, self.name, prefix=prefix, after=after),
            prefix,
            places=places,
        )

    def version_pages(
        self, prefix: str = "", start_after: str = "", max_keys: int = 1000
    ) -> AsyncIterator[VersionPage]:
        """Every version and delete marker, checked page by page; otherwise as :meth:`pages`."""
        return versions.pages(
            self._sender, self.name, prefix=prefix, start_after=start_after, max_keys=max_keys
        )

    def divided_version_pages(self, prefix: str = "") -> AsyncIterator[VersionPage]:
        """The same, several pages asked for at once; otherwise as :meth:`divided_pages`."""
        return dividing.pages(
            lambda start: self.version_pages(prefix=prefix, start_after=start),
            dividing.nowhere,
            prefix,
        )

    async def mark_deleted(self, key: str) -> str | None:
        """DeleteObject without a version, which in a bucket that keeps versions makes a marker.

        The marker's version id; None where none is told. Sent once: `OutcomeUnknownError`.
        """
        answer = await self._sender.send(
            Request("DELETE", self.name, key, "s3:DeleteObject", repeatable=False)
        )
        return answer.headers.get("x-amz-version-id")

    def uploads(self) -> AsyncIterator[IncompleteUpload]:
        """Multipart uploads that were begun and neither completed nor aborted."""
        return incomplete.uploads(self._sender, self.name)

    async def activity(self, upload: IncompleteUpload) -> Activity | None:
        """What an incomplete upload holds, and when it last grew; None where it is gone."""
        return await incomplete.activity(self._sender, self.name, upload)

    async def abort(self, upload: IncompleteUpload) -> None:
        """AbortMultipartUpload, until no part of it is left. One that is gone is fine."""
        await incomplete.abort(self._sender, self.name, upload)

    async def exists(self) -> bool:
        """HeadBucket: False only on 404. A 403 is an `AccessDeniedError`, never an absence."""
        try:
            await self._sender.send(Request("HEAD", self.name, None, "s3:ListBucket"))
        except NoSuchBucketError:
            return False
        return True

    async def head(
        self, key: str, *, if_match: str | None = None, version: str | None = None
    ) -> ObjectHead:
        """HeadObject. `NoSuchKeyError`; `PreconditionFailedError` when the ETag is another."""
        answer = await self._sender.send(self._read("HEAD", key, if_match, version))
        return heads.object_head(key, answer.headers)

    async def get(
        self, key: str, *, if_match: str | None, version: str | None = None
    ) -> tuple[ObjectHead, bytes]:
        """GetObject into memory, on the loop: for small objects."""
        answer = await self._sender.send(self._read("GET", key, if_match, version))
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

    async def get_to(
        self, key: str, sink: Sink, *, if_match: str | None, version: str | None = None
    ) -> ObjectHead:
        """GetObject streamed in a thread; what ``sink`` raises comes out of here."""
        receiver = _IntoSink(key, sink)
        await self._sender.send(
            self._read("GET", key, if_match, version), Streaming(receiver=receiver)
        )
        assert receiver.head is not None
        return receiver.head

    async def get_range(
        self,
        key: str,
        sink: ranges.RangeSink,
        first: int,
        end: int,
        *,
        of: ObjectHead,
        version: str | None = None,
    ) -> None:
        """GetObject of bytes ``first`` up to ``end`` (not among them) of exactly the object ``of``.

        What ``sink`` raises comes out of here. `PreconditionFailedError` when the object is another
        by now; `NotSupportedError` where the endpoint sends the whole instead.
        """
        await ranges.fetch(
            self._sender, self._read("GET", key, of.etag, version), sink, first, end, of
        )

    async def part_sizes(
        self, key: str, count: int, *, if_match: str, version: str | None = None
    ) -> tuple[int, ...] | None:
        """The size of each of an object's ``count`` parts; None where the endpoint does not tell.

        `PreconditionFailedError` when the ETag is another.
        """
        return await parts.sizes(self._sender, self._read("HEAD", key, if_match, version), count)

    async def first_part(self, key: str, count: int, *, if_match: str) -> int | None:
        """The size of the first of an object's ``count`` parts; otherwise as :meth:`part_sizes`."""
        return await parts.first(self._sender, self._read("HEAD", key, if_match, None), count)

    def _read(self, method: str, key: str, if_match: str | None, version: str | None) -> Request:
        """HEAD or GET of an object, or of one version of it. Only a GET counts as timed."""
        return Request(
            method,
            self.name,
            key,
            "s3:GetObject" if version is None else "s3:GetObjectVersion",
            _read_headers(if_match),
            query=_version(version),
            timed=method == "GET",
            anonymous=self._anonymous,
        )

    async def restore(
        self, key: str, *, days: int | None, tier: Tier, version: str | None = None
    ) -> RestoreAnswer:
        """RestoreObject; ``days`` is None for INTELLIGENT_TIERING. `NoSuchKeyError`."""
        return await restoring.restore(self._sender, self.name, key, version, days=days, tier=tier)

    async def update_encryption(
        self, key: str, *, kms_key: str, version: str | None = None
    ) -> None:
        """Another KMS key in place; see :func:`s3plan.store.reencrypting.update_encryption`."""
        await reencrypting.update_encryption(self._sender, self.name, key, version, kms_key=kms_key)

    async def prove_locks_readable(self, key: str, version: str) -> None:
        """Raise `AccessDeniedError` unless the caller may read retention and legal hold.

        HeadObject leaves their headers out without saying so. What else these two answer (there is
        no lock, the endpoint fails) proves nothing, and does no harm.
        """
        for action, query in (
            ("s3:GetObjectRetention", "retention"),
            ("s3:GetObjectLegalHold", "legal-hold"),
        ):
            try:
                await self._sender.send(
                    Request("GET", self.name, key, action, query=((query, ""), *_version(version)))
                )
            except AccessDeniedError:
                raise
            except StoreError:
                continue

    async def tags(self, key: str, *, version: str | None = None) -> dict[str, str]:
        """GetObjectTagging, of one version where it is named."""
        action = "s3:GetObjectTagging" if version is None else "s3:GetObjectVersionTagging"
        answer = await self._sender.send(
            Request("GET", self.name, key, action, query=(("tagging", ""), *_version(version)))
        )
        try:
            root = documents.parse(answer.body)
            pairs = [documents.fields(e) for e in root.iter() if _is(e.tag, "Tag")]
            return {pair["Key"]: pair["Value"] for pair in pairs}
        except (documents.DocumentError, KeyError) as error:
            raise _unreadable(f"s3://{self.name}/{key}", "tags") from error

    async def put_tags(self, key: str, tags: Mapping[str, str]) -> None:
        """PutObjectTagging; see :func:`s3plan.store.extras.put_tags`."""
        await extras.put_tags(self._sender, self.name, key, tags)

    async def grants(self, key: str, *, version: str | None = None) -> dict[str, str]:
        """GetObjectAcl as headers of a PUT; see :func:`s3plan.store.extras.acl_grants`."""
        return await extras.acl_grants(self._sender, self.name, key, version)

    async def annotations(self, key: str, *, version: str | None = None) -> tuple[str, ...]:
        """ListObjectAnnotations, of S3 itself; see :func:`s3plan.store.extras.annotation_names`."""
        return await extras.annotation_names(self._sender, self.name, key, version)

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
        headers = heads.put_headers(attributes, address, now=datetime.now(UTC))
        headers.append(("content-md5", base64.b64encode(content_md5).decode()))
        if checksum is not None and checksum.algorithm != "MD5":
            headers.append((f"x-amz-checksum-{checksum.algorithm.lower()}", checksum.value))
            headers.append(("x-amz-sdk-checksum-algorithm", checksum.algorithm))
        if if_none_match:
            headers.append(("if-none-match", "*"))
        if if_match is not None:
            headers.append(("if-match", f'"{if_match}"'))
        in_memory = isinstance(body, bytes) and size <= _STREAMED_FROM
        source = ChunkedSource(lambda: iter((body,))) if isinstance(body, bytes) else body
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

    async def copy(
        self,
        key: str,
        source: CopySource,
        options: CopyOptions,
        *,
        if_none_match: bool,
        repeatable: bool,
        if_match: str | None = None,
    ) -> CopyResult:
        """CopyObject into this bucket; see :func:`s3plan.store.copying.copy_object`."""
        return await copying.copy_object(
            self._sender,
            self.name,
            key,
            source,
            options,
            if_none_match=if_none_match,
            repeatable=repeatable,
            if_match=if_match,
        )

    async def begin_upload(
        self, key: str, options: CopyOptions, checksum: ChecksumAlgorithm | None = None
    ) -> multipart.Upload:
        """CreateMultipartUpload; see :func:`s3plan.store.multipart.begin_upload`."""
        return await multipart.begin_upload(self._sender, self.name, key, options, checksum)

    def upload(self, key: str, identity: str) -> multipart.Upload:
        """An upload that was begun earlier; sends nothing."""
        return multipart.Upload(self._sender, self.name, key, identity)

    async def delete_many(self, targets: Sequence[DeleteTarget]) -> tuple[DeleteResult, ...]:
        """DeleteObjects for at most 1,000; see :func:`s3plan.store.deletion.delete_many`."""
        return await deletion.delete_many(self._sender, self.name, targets)

    async def delete_singly(self, targets: Sequence[DeleteTarget]) -> tuple[DeleteResult, ...]:
        """A DeleteObject for each, sent once: some endpoints honour an ETag there only."""
        return await deletion.delete_singly(self._sender, self.name, targets)


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


def _version(version: str | None) -> tuple[tuple[str, str], ...]:
    return () if version is None else (("versionId", version),)


def _is(tag: str, name: str) -> bool:
    return documents.local_name(tag) == name


def _unreadable(address: str, what: str) -> EndpointError:
    return EndpointError(
        f"the endpoint's answer about {what} cannot be read",
        address=address,
        next_step="run the same command again",
    )
