"""A file that is too large for one PUT, sent in parts: each hashed, and gone on with after a kill.

The upload's id is in the journal before its first part is sent. A session that goes on asks which
parts are there, and sends those that are not, or whose ETag is not the MD5 of the file's bytes. An
upload that comes to nothing is aborted: its parts would be stored and billed, and no listing of
objects shows them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from msgspec import Struct

from s3plan.engine.context import Context
from s3plan.engine.together import together
from s3plan.errors import (
    EndpointError,
    NoSuchKeyError,
    OutcomeUnknownError,
    PreconditionFailedError,
    StoreError,
    ThrottledError,
)
from s3plan.localfs.tree import Tree
from s3plan.model.journal import UploadBegan
from s3plan.model.objects import Checksum, ObjectAttributes
from s3plan.model.steps import Step
from s3plan.rules.hashing import composed, hasher
from s3plan.rules.integrity import FALLBACK
from s3plan.rules.parts import LARGEST_PUT as ONE_REQUEST
from s3plan.rules.parts import write_parts
from s3plan.store import Bucket, ChunkedSource, CopyOptions
from s3plan.store.incomplete import StoredPart
from s3plan.store.multipart import Part, Upload, part_size

LARGEST_PUT = ONE_REQUEST
"""Bytes up to which a file goes up in one request."""

PART = 256 << 20
"""Bytes of a part, unless there would be more than 10,000 of them."""

AT_ONCE = 4
"""Parts of one file in flight."""


class LargeFile(Struct, frozen=True):
    """What becomes an object: item ``n`` of the step. ``whole`` is the file's FALLBACK digest."""

    n: int
    key: str
    path: str
    size: int
    attributes: ObjectAttributes
    whole: Checksum


class Sent(Struct, frozen=True):
    """``is_proven`` where the answer shows that S3 holds these bytes."""

    is_proven: bool


class PartSender:
    """Sends the large files of one upload step."""

    def __init__(self, context: Context, step: Step, bucket: Bucket, tree: Tree) -> None:
        self._context = context
        self._step = step
        self._bucket = bucket
        self._tree = tree

    async def send(
        self, file: LargeFile, *, if_none_match: bool, if_match: str | None = None
    ) -> Sent | None:
        """Put the object there, in the place of that with the ETag ``if_match``, if one is named;
        None where the run was stopped before it was.

        Raises PreconditionFailedError where something else has the key, OutcomeUnknownError where
        only looking tells, and StoreError. What was sent stays for the next try where trying again
        may help, and is aborted where S3 refuses it.
        """
        try:
            return await self._send(file, if_none_match=if_none_match, if_match=if_match)
        except (EndpointError, ThrottledError, OutcomeUnknownError, PreconditionFailedError):
            raise
        except StoreError:
            await self.abandon(file)
            raise

    async def _send(
        self, file: LargeFile, *, if_none_match: bool, if_match: str | None
    ) -> Sent | None:
        upload, stored = await self._begun(file)
        size = part_size(file.size, PART)
        spans = [(at, min(at + size, file.size)) for at in range(0, file.size, size)]
        numbers = iter(range(len(spans)))
        sent: dict[int, tuple[Part, bytes]] = {}

        async def work() -> None:
            for index in numbers:
                if self._context.stopping:
                    return
                there = stored.get(index + 1)
                async with self._context.streams:
                    sent[index] = await self._part(file, upload, index, spans[index], there)

        # Before the upload is completed or abandoned no part of it may still be under way.
        await together(work() for _ in range(AT_ONCE))
        if len(sent) < len(spans):
            return None
        known = self._context.capabilities
        if not known.holds("complete-if-match" if if_match else "complete-if-none-match"):
            # Hours may have passed since the key was looked at.
            await self._check_key(file.key, if_match)
        parts = [sent[index][0] for index in range(len(spans))]
        result = await upload.complete(
            parts, if_none_match=if_none_match, if_match=if_match, checksum=file.whole
        )
        layout = write_parts(end - first for first, end in spans)
        etag = composed("MD5", layout, [sent[index][1] for index in range(len(spans))]).value
        return Sent(result.etag == etag or file.whole in result.checksums)

    async def abandon(self, file: LargeFile) -> None:
        """Abort what was begun for an object that will not be made."""
        begun = self._context.state.uploads.pop((self._step.id, file.n), None)
        if begun is not None:
            # What cannot be aborted now is named by the next plan for the bucket.
            with suppress(StoreError):
                await self._bucket.upload(file.key, begun).abort()

    async def _begun(self, file: LargeFile) -> tuple[Upload, dict[int, StoredPart]]:
        """The upload that an earlier try began, with its parts; or a new one."""
        known = self._context.state.uploads.get((self._step.id, file.n))
        if known is not None:
            upload = self._bucket.upload(file.key, known)
            stored = await upload.stored()
            if stored is not None:
                return upload, stored
        options = CopyOptions(
            attributes=file.attributes,
            storage_class=file.attributes.storage_class,
            encryption=file.attributes.encryption,
            kms_key=file.attributes.kms_key,
        )
        upload = await self._bucket.begin_upload(file.key, options, FALLBACK[0])
        record = UploadBegan(step=self._step.id, n=file.n, upload=upload.id)
        await self._context.journal.commit(record)
        self._context.state.apply(self._context.journal.seq, record)
        return upload, {}

    async def _part(
        self,
        file: LargeFile,
        upload: Upload,
        index: int,
        span: tuple[int, int],
        there: StoredPart | None,
    ) -> tuple[Part, bytes]:
        """One part that S3 has, with the MD5 of its bytes."""
        first, end = span
        chunks = partial(_span, self._tree, file.path, first, end)
        md5, checksum, sha256 = await asyncio.to_thread(_digests, chunks())
        if there is not None and (there.size, there.etag) == (end - first, md5.hex()):
            return Part(index + 1, there.etag), md5
        part = await upload.send_part(
            index + 1, ChunkedSource(chunks), end - first, md5=md5, checksum=checksum, sha256=sha256
        )
        return part, md5

    async def _check_key(self, key: str, expected: str | None) -> None:
        try:
            etag: str | None = (await self._bucket.head(key)).etag
        except NoSuchKeyError:
            etag = None
        if etag == expected:
            return
        raise PreconditionFailedError(
            "the key was written by somebody while its object was uploaded",
            address=f"s3://{self._bucket.name}/{key}",
        )


def _span(tree: Tree, path: str, first: int, end: int) -> Iterator[memoryview]:
    """Some bytes of a file."""
    left = end - first
    with tree.open_read(path, drop_cache=False) as file:
        for chunk in file.chunks(first):
            yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                return


def _digests(chunks: Iterator[memoryview]) -> tuple[bytes, Checksum, str]:
    """The MD5, a checksum for S3 to compare, and the SHA-256 that a signature may need."""
    md5, checksum, sha256 = hasher("MD5"), hasher(*FALLBACK), hasher("SHA256")
    for chunk in chunks:
        for one in (md5, checksum, sha256):
            one.update(chunk)
    return md5.raws()[0], checksum.checksum(), sha256.raws()[0].hex()
