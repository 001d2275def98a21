"""A stream of unknown length made an object: by one PUT if it fits into a part, else in parts."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeVar

from msgspec import Struct

from s3plan.engine.context import Context
from s3plan.engine.layout.codecs import CHUNK, Reader
from s3plan.engine.layout.failing import Refused
from s3plan.engine.partwise import begin_upload
from s3plan.errors import OutcomeUnknownError, StoreError
from s3plan.localfs.refusals import refusal
from s3plan.model.objects import Checksum, ChecksumAlgorithm, ObjectAttributes
from s3plan.model.steps import Step
from s3plan.rules.hashing import hasher
from s3plan.rules.integrity import FALLBACK
from s3plan.store import Bucket, ChunkedSource, CopyOptions, Part, Upload

IN_MEMORY = 16 << 20
"""Bytes of a part that stay in memory; a larger one is in a file meanwhile."""

Result = TypeVar("Result")


class _Piece(Struct, frozen=True):
    """Some of the stream, and what S3 is to compare it with."""

    file: IO[bytes]
    size: int
    md5: bytes
    checksum: Checksum
    sha256: str

    def source(self) -> ChunkedSource:
        return ChunkedSource(self._chunks)

    def _chunks(self) -> Iterator[bytes]:
        self.file.seek(0)
        while chunk := self.file.read(CHUNK):
            yield chunk


def check_room(folder: Path, held: int) -> None:
    """Raise Refused where so many bytes of parts, which are held while they are sent, find no room.

    Before anything is read of the object: it would be for nothing.
    """
    if held <= IN_MEMORY:
        return
    free = shutil.disk_usage(folder).free
    if held > free:
        raise Refused(
            "no-room",
            f"its parts are held in {folder} while they are sent, which takes up to {held:,}"
            f" bytes, and {free:,} are free there; make room, name another place with TMPDIR, or"
            " plan with a smaller partSize",
        )


class Writing:
    """One object to be made at a key where nothing is; everything runs in the stream's thread."""

    def __init__(
        self,
        context: Context,
        step: Step,
        place: tuple[Bucket, str],
        n: int,
        attributes: ObjectAttributes,
        checksum: ChecksumAlgorithm | None,
    ) -> None:
        """``n`` is the item's number; ``checksum`` is the one that S3 is to keep of the object."""
        self._context = context
        self._step = step
        self._place = place
        self._n = n
        self._attributes = attributes
        self._algorithm: ChecksumAlgorithm = checksum or FALLBACK[0]
        known = context.capabilities.get("complete-if-none-match")
        self._conditional = known.standing != "refused"

    def send(
        self,
        loop: asyncio.AbstractEventLoop,
        stream: Reader,
        part_size: int,
        check: Callable[[], None],
    ) -> None:
        """Send all of it; ``check`` raises where it must not become an object.

        Raises PreconditionFailedError where the key is in use, OutcomeUnknownError, StoreError.
        """

        def wait(request: Coroutine[Any, Any, Result]) -> Result:
            return asyncio.run_coroutine_threadsafe(request, loop).result()

        with ExitStack() as pieces:
            first = pieces.enter_context(self._piece(stream, part_size))
            second = pieces.enter_context(self._piece(stream, part_size))
            if not second.size:
                check()
                wait(self._put(first))
                return
            upload = wait(self._begin())
            try:
                parts = [wait(self._part(upload, 1, first)), wait(self._part(upload, 2, second))]
                pieces.close()
                while self._more(upload, parts, stream, part_size, wait):
                    pass
                check()
                wait(upload.complete(parts, if_none_match=self._conditional))
            except OutcomeUnknownError:
                raise  # it may be complete: looking tells
            except BaseException:
                with suppress(StoreError):  # the record of it stays: trying again aborts it first
                    wait(upload.abort())
                raise

    def _more(
        self, upload: Upload, parts: list[Part], stream: Reader, part_size: int, wait: Any
    ) -> bool:
        """Send the next part, if there is one."""
        with self._piece(stream, part_size) as piece:
            if piece.size:
                parts.append(wait(self._part(upload, len(parts) + 1, piece)))
            return bool(piece.size)

    @contextmanager
    def _piece(self, stream: Reader, size: int) -> Iterator[_Piece]:
        """At most ``size`` bytes of the stream; fewer only at its end."""
        digests = md5, checksum, sha256 = hasher("MD5"), hasher(self._algorithm), hasher("SHA256")
        folder = self._context.scratch
        with tempfile.SpooledTemporaryFile(IN_MEMORY, dir=str(folder)) as file:
            left = size
            while left and (chunk := stream.read(min(left, CHUNK))):
                try:
                    file.write(chunk)
                except OSError as error:
                    raise refusal(error, str(folder), "hold a part while it is sent") from error
                left -= len(chunk)
                for one in digests:
                    one.update(chunk)
            yield _Piece(
                file,
                size - left,
                md5.raws()[0],
                checksum.checksum(),
                sha256.raws()[0].hex(),
            )

    async def _put(self, piece: _Piece) -> None:
        bucket, key = self._place
        self._context.check_held()
        await bucket.put(
            key,
            piece.source(),
            size=piece.size,
            attributes=self._attributes,
            content_md5=piece.md5,
            checksum=piece.checksum,
            if_none_match=True,
        )

    async def _begin(self) -> Upload:
        options = CopyOptions(
            attributes=self._attributes,
            encryption=self._attributes.encryption,
            kms_key=self._attributes.kms_key,
        )
        return await begin_upload(
            self._context, self._step, self._n, self._place, options, self._algorithm
        )

    async def _part(self, upload: Upload, number: int, piece: _Piece) -> Part:
        self._context.check_stop()
        return await upload.send_part(
            number,
            piece.source(),
            piece.size,
            md5=piece.md5,
            checksum=piece.checksum,
            sha256=piece.sha256,
        )
