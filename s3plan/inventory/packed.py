"""What an archive that is packed as one piece holds: nothing but all of it tells, so it is read."""

from __future__ import annotations

from s3plan.model.objects import ObjectHead
from s3plan.rules.tarstream import ReadTar, TarStream
from s3plan.store import Bucket

SUFFIXES = (".tar.gz", ".tgz", ".tar.zst", ".tzst")
"""How keys of packed archives end."""


class _Sink:
    def __init__(self, most: int) -> None:
        self._most = most

    def start(self, head: object) -> None:
        self.stream = TarStream(self._most)

    def feed(self, chunk: bytes) -> None:
        self.stream.feed(chunk)


async def read_packed(bucket: Bucket, head: ObjectHead, most: int) -> ReadTar:
    """Read exactly that object, from its first byte to its last.

    Raises BadTar, also where it unpacks to more bytes than ``most``; ArchivedObjectError where it
    is asleep, PreconditionFailedError where it is another one by now, and other StoreErrors.
    """
    sink = _Sink(most)
    await bucket.get_to(head.key, sink, if_match=head.etag, version=head.version_id)
    return sink.stream.end()
