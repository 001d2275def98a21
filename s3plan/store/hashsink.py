"""Where a body goes that is only to be hashed."""

from __future__ import annotations

from s3plan.model.objects import Checksum, Kind
from s3plan.rules.hashing import hasher


class HashSink:
    """A body that is only hashed."""

    def __init__(self, kind: Kind) -> None:
        """``kind`` is the algorithm, and the sizes of parts of a composite digest."""
        self._kind = kind

    def start(self, head: object) -> None:
        """An attempt begins; what came before is void."""
        self._hasher = hasher(*self._kind)

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""
        self._hasher.update(chunk)

    def checksum(self) -> Checksum:
        """The digest of all of it."""
        return self._hasher.checksum()
