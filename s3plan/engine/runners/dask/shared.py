"""A destination that workers write to as well, and how they prove that it is the same directory.

Its marker would not do: a copy of the disk has it too. The process that has the run leaves a token
there, made anew by each session, and a worker writes only where it finds that.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from s3plan.engine.context import Destination
from s3plan.engine.runners.dask.recording import Recorder
from s3plan.errors import DestinationError
from s3plan.localfs.refusals import Missing
from s3plan.localfs.syncing import SyncPoint
from s3plan.localfs.tree import Tree
from s3plan.model.local import CatalogueRecord
from s3plan.rules.naming import RESERVED

_LONGEST = 100
"""Bytes that are read of a token."""


@contextmanager
def tokens(paths: Sequence[str], session: str) -> Iterator[dict[str, str]]:
    """A token at each destination, by path, gone at the end. Raises DestinationError."""
    left: dict[str, str] = {}
    with ExitStack() as stack:
        for path in paths:
            tree = stack.enter_context(Tree.open(Path(path), create=False))
            left[path] = secrets.token_hex(16)
            stat = tree.write_new(_place(session), left[path].encode(), 0)
            stack.callback(_remove, tree, session, stat)
        yield left


def read_token(path: Path, session: str) -> str | None:
    """The token of a session; None where there is none, or no such directory."""
    try:
        with Tree.open(path, create=False) as tree:
            return _read(tree, session)
    except DestinationError:
        return None


@dataclass(slots=True)
class SharedDestination(Destination):
    """A destination on a worker: files go to it, rows of its catalogues back to the run."""

    recorder: Recorder | None = None

    def record(self, bucket: str, records: Sequence[CatalogueRecord]) -> None:
        """Have the rows appended by the process that has the run."""
        if records and self.recorder is not None:
            self.recorder.keep_rows(records)


def open_shared(path: str, session: str, token: str, recorder: Recorder) -> SharedDestination:
    """The destination on a worker. Raises DestinationError where it is another one."""
    tree = Tree.open(Path(path), create=False)
    if _read(tree, session) != token:
        tree.close()
        raise DestinationError(
            "this worker finds another directory at the destination",
            address=path,
            expected="the directory that the run's own process has there",
            next_step="mount it on every worker, or leave destination.shared out",
        )
    return SharedDestination(tree, SyncPoint(tree), recorder=recorder)


def _read(tree: Tree, session: str) -> str | None:
    try:
        with tree.open_read(_place(session), drop_cache=False) as file:
            return file.read_at(0, _LONGEST).decode("ascii", "replace")
    except Missing:
        return None


def _remove(tree: Tree, session: str, stat: object) -> None:
    with suppress(DestinationError):
        found = tree.stat(_place(session))
        if found is not None and found == stat:
            tree.remove(_place(session), found)


def _place(session: str) -> str:
    return f"{RESERVED}/shared-{session}"
