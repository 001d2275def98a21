"""Giving downloaded content its name on disk, and the row that the catalogue keeps of it.

Nothing is ever written over: a file that is in the way is adopted where its bytes are the object's,
set aside where an earlier session of this run left it broken, and otherwise somebody's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct, structs

from s3plan.engine.state import StepState
from s3plan.localfs.digests import digest_of_file
from s3plan.localfs.tree import Occupied, Tree
from s3plan.model.local import CatalogueMarker, CatalogueRow, CatalogueVersion, FileStat
from s3plan.model.objects import Checksum, Kind, ObjectHead, Rung, Verdict
from s3plan.model.steps import Item


class Content(Struct, frozen=True):
    """What is known of an object's bytes once they are here: headers, digest, verdict and rung.

    ``tags`` is None where only asking could tell that there are none.
    """

    head: ObjectHead
    actual: Checksum
    verdict: Verdict
    tags: dict[str, str] | None
    rung: Rung


class Placer:
    """Places the files of one download step of one run; runs on disk threads."""

    def __init__(self, tree: Tree, run: str, state: StepState) -> None:
        self._tree = tree
        self._run = run
        self._state = state

    def place(
        self, item: Item, content: Content, write: Callable[[], FileStat]
    ) -> CatalogueRow | CatalogueVersion:
        """Let ``write`` give the content its name, or settle with the file that has it.

        Raises Occupied where the file is somebody's.
        """
        try:
            return self.row(item, content, write(), adopted=False)
        except Occupied:
            marker = item.path.endswith("/")
            found = None if marker else self.local(item, content.actual.kind)
            if found is None:
                raise
        checksum, stat = found
        ours = self.ours(item, stat)
        if checksum == content.actual:
            return self.row(item, content, stat, adopted=not ours)
        if ours:
            # A power cut can leave a name without its bytes; what is there is kept all the same.
            self._tree.set_aside(item.path, self._run)
        return self.row(item, content, write(), adopted=False)

    def local(self, item: Item, kind: Kind) -> tuple[Checksum, FileStat] | None:
        """The digest and stat of the file at the item's path, None where there is none."""
        return digest_of_file(self._tree, item.path, kind)

    def ours(self, item: Item, stat: FileStat) -> bool:
        """Whether this run wrote the file: it began the item, and the file bears its time."""
        return self._state.mine(item.n) and stat.mtime_ns == mtime_of(item)

    def marker(self, item: Item) -> CatalogueMarker:
        """What the catalogue keeps of a delete marker: that it was there, and where it stood."""
        assert item.version_id is not None
        return CatalogueMarker(
            key=item.key,
            version_id=item.version_id,
            newer=item.newer,
            modified=item.modified,
            run=self._run,
        )

    def row(
        self, item: Item, content: Content, stat: FileStat, *, adopted: bool
    ) -> CatalogueRow | CatalogueVersion:
        """What the catalogue keeps: enough to verify the file offline and to put it back."""
        attributes = content.head.attributes
        if content.tags:
            attributes = structs.replace(attributes, tags=content.tags)
        row = CatalogueRow(
            key=item.key,
            path=item.path,
            size=item.size,
            etag=item.etag,
            modified=item.modified,
            evidence=content.actual,
            verdict=content.verdict,
            file=stat,
            run=self._run,
            adopted=adopted,
            attributes=attributes,
            tags_known=content.tags is not None,
            checksums=content.head.checksums,
            missing_metadata=content.head.missing_metadata,
            version_id=item.version_id or content.head.version_id,
            rung=content.rung,
        )
        return CatalogueVersion(row, item.newer) if item.history is not None else row


def mtime_of(item: Item) -> int:
    """The object's last-modified time in nanoseconds, for the file."""
    return round(datetime.fromisoformat(item.modified).timestamp() * 1000) * 1_000_000
