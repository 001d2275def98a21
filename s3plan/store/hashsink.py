"""Where a body goes that is only to be hashed."""

from __future__ import annotations

from s3plan.model.objects import Checksum, Kind
from s3plan.rules.hashing import hasher


class HashSink:
    """A body that is only hashed, in one way or several."""

    def __init__(self, *kinds: Kind) -> None:
        """Each of ``kinds`` is an algorithm, and the sizes of parts of a composite digest."""
        self._kinds = kinds

    def start(self, head: object) -> None:
        """An attempt begins; what came before is void."""
        self._hashers = [hasher(*kind) for kind in self._kinds]

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""
        for each in self._hashers:
            each.update(chunk)

    def checksum(self) -> Checksum:
        """The digest of all of it, of the first kind."""
        return self._hashers[0].checksum()

    def checksums(self) -> dict[Kind, Checksum]:
        """The digests of all kinds."""
        made = (each.checksum() for each in self._hashers)
        return dict(zip(self._kinds, made, strict=True))
