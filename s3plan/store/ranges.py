"""One range of an object: asked for, and nothing else taken for it.

S3 checks no checksum of a range, and a server or a proxy may answer with another range, another
object, or the whole (RFC 9110, 14.2: a server may ignore Range). So the answer must be a 206 whose
Content-Range, length and ETag are exactly those that were asked for.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import structs

from s3plan.errors import EndpointError, NotSupportedError, PreconditionFailedError
from s3plan.model.objects import ObjectHead
from s3plan.store.sender import Request, Sender, Streaming
from s3plan.store.transfer import WholeObjectSent


class RangeSink(Protocol):
    """Takes a range's bytes in the transfer's thread; may raise to abort the transfer."""

    def start(self) -> None:
        """An attempt begins; a second call means that the bytes so far are void."""

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""


async def fetch(
    sender: Sender, get: Request, sink: RangeSink, first: int, end: int, of: ObjectHead
) -> None:
    """GetObject of bytes ``first`` up to ``end``, into ``sink``.

    ``get`` is the request for the whole object, with If-Match.
    """
    request = structs.replace(
        get,
        headers=(*get.headers, ("range", f"bytes={first}-{end - 1}")),
        partial=True,
    )
    receiver = _Exactly(get.subject.address, sink, first, end, of)
    try:
        await sender.send(request, Streaming(receiver=receiver))
    except WholeObjectSent:
        raise NotSupportedError(
            "the endpoint sends the whole object where a range of it is asked for",
            address=get.subject.address,
            expected="206 Partial Content",
            found="200 OK",
            next_step="set limits.parts to 1 in the Connection",
        ) from None


class _Exactly:
    """A wire receiver that lets only this range of this object through."""

    def __init__(self, address: str, sink: RangeSink, first: int, end: int, of: ObjectHead) -> None:
        self.feed = sink.feed
        self._address = address
        self._sink = sink
        self._size = end - first
        self._range = f"bytes {first}-{end - 1}/{of.size}"
        self._etag = of.etag

    def accept(self, headers: dict[str, str]) -> None:
        etag = headers.get("etag", "").strip('"')
        if etag != self._etag:
            raise PreconditionFailedError(
                "the object is another one than was asked for",
                address=self._address,
                expected=f"ETag {self._etag}",
                found=f"ETag {etag}",
                next_step="s3plan plan again, and review what changed",
            )
        found = headers.get("content-range"), headers.get("content-length")
        if found != (self._range, str(self._size)):
            raise EndpointError(
                "the endpoint sent another range than was asked for",
                address=self._address,
                expected=f"{self._range}, {self._size} bytes",
                found=f"{found[0] or 'no range'}, {found[1] or 'no'} bytes",
                next_step="set limits.parts to 1 in the Connection",
            )
        self._sink.start()
