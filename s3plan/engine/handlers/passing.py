"""A member of an archive that goes by in the archive's only reading, on its way to its file."""

from __future__ import annotations

from collections.abc import Callable

from s3plan.engine.archiving.fetching import MemberSink
from s3plan.engine.handlers.placing import mtime_of
from s3plan.localfs.tree import Occupied, Tree
from s3plan.model.archives import TarMember
from s3plan.model.steps import Item


class Placing:
    """Its file is written in the thread of the transfer, and named once it is what it must be."""

    def __init__(
        self,
        tree: Tree,
        item: Item,
        member: TarMember,
        settled: Callable[[Item, Occupied | None], object],
    ) -> None:
        """``settled`` is told once it has its name, or something else has."""
        self._item = item
        self._expected = member.sha256
        self._settled = settled
        self._file = tree.partial(item.path, item.size)
        self._sink = MemberSink(self._file.restart, self._file.write)

    def feed(self, chunk: memoryview) -> None:
        """The next bytes."""
        self._sink.feed(chunk)

    def end(self) -> None:
        """Give the file its name, if it is what it must be."""
        if self._sink.sha256 != self._expected:
            self.abort()
            return
        try:
            self._file.commit(mtime_of(self._item))
        except Occupied as error:
            self.abort()
            self._settled(self._item, error)
        else:
            self._settled(self._item, None)

    def abort(self) -> None:
        """It gets no name, now."""
        self._file.abort()
