"""Reading recorded files again on several threads: is each what its row says?"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple, Self

from s3plan.errors import DestinationError
from s3plan.localfs.digests import digests_of_file
from s3plan.localfs.tree import Missing, Tree
from s3plan.model.objects import Checksum, Verdict
from s3plan.model.verification import TreeFault

THREADS = max(2, min(8, os.cpu_count() or 2))
"""Files read at once: hashing lets go of the interpreter's lock, and disks answer in any order."""

CHUNK_FILES = 128
CHUNK_BYTES = 32 << 20
"""A thread is handed files until one of the two is reached, and at least one."""


class Recorded(NamedTuple):
    """A file as its catalogue row says it is: every digest in ``expected`` is of the content."""

    key: str
    path: str
    size: int
    expected: tuple[Checksum, ...]
    verdict: Verdict


class Looked(NamedTuple):
    """What a file turned out to be; without a ``fault`` it is as recorded."""

    row: Recorded
    fault: TreeFault | None = None
    same_size: bool = True
    expected: str = ""
    found: str = ""


class _Left(Exception):
    """Nobody waits for this file any more."""


class Reader:
    """Threads that read the files of one tree; a context manager, which ends them."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="read")
        self._leaving = threading.Event()

    def read(self, rows: Iterable[Recorded]) -> Iterator[list[Looked]]:
        """What each file is, in the order of the rows, in lists of some."""
        waiting: deque[Future[list[Looked]]] = deque()
        for chunk in _chunks(rows):
            waiting.append(self._pool.submit(self._look_at_all, chunk))
            if len(waiting) > 2 * THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # After Ctrl-C a thread leaves in the middle of a file, which may take hours to its end.
        self._leaving.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _look_at_all(self, chunk: list[Recorded]) -> list[Looked]:
        return [look_at(self._tree, row, self._check) for row in chunk]

    def _check(self) -> None:
        if self._leaving.is_set():
            raise _Left


def look_at(tree: Tree, row: Recorded, between: Callable[[], None] = lambda: None) -> Looked:
    """Read one file, or look for one folder marker, and compare.

    ``between`` is called between pieces of the file and may raise to leave off.
    """
    if row.path.endswith("/"):
        return Looked(row) if tree.is_marker(row.path) else _missing(row, "no such directory")
    if row.verdict == "mismatched":
        # No run leaves such a row behind; who meets one must not call the file verified.
        return Looked(row, "mismatched", expected="what S3 stored", found="a row that says not")
    kinds = list(dict.fromkeys(checksum.kind for checksum in row.expected))
    try:
        found, stat = digests_of_file(tree, row.path, kinds, between)
    except Missing as error:
        return _missing(row, error.found or "nothing")
    except DestinationError as error:
        return Looked(row, "unreadable", False, "a file that can be read", error.what)
    if stat.size != row.size:
        return Looked(row, "mismatched", False, _bytes(row.size), _bytes(stat.size))
    actual = {checksum.kind: checksum for checksum in found}
    for expected in row.expected:
        got = actual[expected.kind]
        if got != expected:
            return Looked(row, "mismatched", True, _spelled(expected), _spelled(got))
    return Looked(row)


def _missing(row: Recorded, found: str) -> Looked:
    return Looked(row, "missing", False, _bytes(row.size), found)


def _bytes(count: int) -> str:
    return f"{count:,} bytes"


def _spelled(checksum: Checksum) -> str:
    return f"{checksum.algorithm} {checksum.value}"


def _chunks(rows: Iterable[Recorded]) -> Iterator[list[Recorded]]:
    chunk: list[Recorded] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += row.size
        if len(chunk) >= CHUNK_FILES or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
