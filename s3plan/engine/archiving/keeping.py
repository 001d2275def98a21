"""The copy of an archive that stays on disk: written as it is sent, named once S3 has it."""

from __future__ import annotations

from datetime import datetime

from s3plan.engine.archiving.sending import Write
from s3plan.errors import HeldError
from s3plan.localfs.digests import digest_of_file
from s3plan.localfs.partial import Partial
from s3plan.localfs.tree import Changed, Occupied, Tree
from s3plan.model.objects import Checksum
from s3plan.rules.naming import encode_key

ROOM = 1.1
"""Free bytes that are wanted, for each byte of the tar."""


class LocalCopy:
    """One archive's copy in ``tree``; nothing where that is None. Its methods are for disk threads.

    As a context manager it removes what was not finished. The copy's time is when the run began:
    by it a rollback knows it.
    """

    def __init__(self, tree: Tree | None, key: str, began: str, run: str) -> None:
        """``key`` is the archive's, ``began`` (RFC 3339) when the run ``run`` did."""
        self._tree = tree
        self._path = encode_key(key, marker=False)
        self._mtime_ns = round(datetime.fromisoformat(began).timestamp() * 1000) * 1_000_000
        self._run = run
        self._file: Partial | None = None

    def begin(self, size: int) -> Write | None:
        """What takes the bytes; None where no copy is wanted.

        Raises HeldError where ``size`` bytes of tar have no room.
        """
        if self._tree is None:
            return None
        free = self._tree.space().bytes
        if free < ROOM * size:
            raise HeldError(
                "there is no room for the copy of the archive that is to be kept",
                address=str(self._tree.root),
                expected=f"{int(ROOM * size):,} bytes free",
                found=f"{free:,} bytes free",
                next_step="make room there, or leave archive.keepLocal out and plan again",
            )
        self._abort()
        self._file = self._tree.partial(self._path, None)
        return self._file.write

    def finish(self, checksum: Checksum, replaces: bool) -> None:
        """Give the copy its name; ``checksum`` is of its bytes.

        A file of that name is left alone where it has these bytes, is set aside where the archive
        ``replaces`` another, and is Occupied otherwise.
        """
        if self._file is None or self._tree is None:
            return
        file, self._file = self._file, None
        with file:
            try:
                file.commit(self._mtime_ns)
            except Occupied:
                found = digest_of_file(self._tree, self._path, checksum.kind)
                if found is not None and found[0] == checksum:
                    return
                if not replaces:
                    raise
                self._tree.set_aside(self._path, self._run)
                file.commit(self._mtime_ns)

    def remove(self) -> bool:
        """Remove the copy, if it is the run's; False where it was changed since."""
        stat = self._tree.stat(self._path) if self._tree is not None else None
        if self._tree is None or stat is None or stat.mtime_ns != self._mtime_ns:
            return stat is None or self._tree is None
        try:
            self._tree.remove(self._path, stat)
        except Changed:
            return False
        self._tree.prune_empty(self._path)
        return True

    def __enter__(self) -> LocalCopy:
        return self

    def __exit__(self, *_: object) -> None:
        self._abort()

    def _abort(self) -> None:
        if self._file is not None:
            self._file.abort()
            self._file = None
