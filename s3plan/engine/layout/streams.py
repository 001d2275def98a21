"""Streams of an object's bytes: fetched range by range, and digested on their way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from s3plan.engine.context import Context
from s3plan.engine.layout.codecs import Reader
from s3plan.engine.layout.failing import Differs
from s3plan.engine.layout.forms import Form
from s3plan.model.objects import Checksum, Kind
from s3plan.rules.hashing import hasher
from s3plan.rules.integrity import evidence_of
from s3plan.store import Bucket

RANGE = 8 << 20
"""Bytes that are fetched at once."""


class Stored:
    """An object's bytes, read by a thread while the loop fetches them; every range pins it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, context: Context, bucket: Bucket, form: Form
    ) -> None:
        self._loop = loop
        self._context = context
        self._bucket = bucket
        self._form = form
        self._place = 0
        self._rest = b""
        self._error: Exception | None = None
        self._expected = evidence_of(form.head, form.parts)
        self._hasher = hasher(*self._expected.kind) if self._expected else None

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes. Raises Interrupted where the run is to stop, and StoreError."""
        if not self._rest and self._place < self._form.head.size:
            end = min(self._place + RANGE, self._form.head.size)
            try:
                fetching = self._fetch(self._place, end)
                self._rest = asyncio.run_coroutine_threadsafe(fetching, self._loop).result()
            except Exception as error:
                self._error = error
                raise
            self._place = end
            if self._hasher is not None:
                self._hasher.update(self._rest)
        end = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:end], self._rest[end:]
        return data

    def check(self) -> None:
        """Raise Differs unless all was read, and is what S3 keeps evidence of."""
        whole = self._place == self._form.head.size and not self._rest
        if not whole or (self._hasher and self._hasher.checksum() != self._expected):
            raise Differs("its bytes are not those that S3 keeps evidence of")

    @contextmanager
    def own_errors(self) -> Iterator[None]:
        """What fetching failed with, whatever a codec between made of it."""
        try:
            yield
        except Exception:
            if self._error is not None:
                raise self._error from None
            raise

    async def _fetch(self, first: int, end: int) -> bytes:
        self._context.check_stop()
        head = self._form.head
        sink = _Memory()
        version = head.version_id if head.version_id not in (None, "null") else None
        await self._bucket.get_range(head.key, sink, first, end, of=head, version=version)
        return bytes(sink.data)


class Digested:
    """A stream whose bytes are counted and digested as they are read."""

    def __init__(self, stream: Reader, kind: Kind) -> None:
        self._stream = stream
        self._hasher = hasher(*kind)
        self.size = 0

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        data = self._stream.read(size)
        self._hasher.update(data)
        self.size += len(data)
        return data

    def checksum(self) -> Checksum:
        """The digest of what was read."""
        return self._hasher.checksum()


class _Memory:
    """A range in memory."""

    def start(self) -> None:
        self.data = bytearray()

    def feed(self, chunk: bytes) -> None:
        self.data += chunk
