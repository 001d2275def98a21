"""The marker of a destination: which one it is, so that no other place is taken for it.

A small file in the destination, ``.s3plan/destination.json``, bears an id that is made once. This
user's state folder remembers the paths that had one: where such a path is empty later, its disk is
not mounted, and files would land below the mount point.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from s3plan.errors import DestinationError
from s3plan.localfs.refusals import refusal
from s3plan.localfs.tree import Missing, Occupied, Tree
from s3plan.rules.naming import RESERVED

FORMAT = "s3plan.destination/1"
PLACE = f"{RESERVED}/destination.json"

_LONGEST = 1 << 16
"""Bytes that are read of a marker; it has about a hundred."""


class Marker(msgspec.Struct, frozen=True):
    """``id`` is random hex; ``created`` is RFC 3339."""

    format: str
    id: str
    created: str


class KnownDestination(msgspec.Struct, frozen=True):
    """A path that was a destination, and the id of its marker."""

    path: str
    id: str


class KnownDestinations:
    """The destinations that this user's runs have written to, one small file each."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is in the user's state folder; it is made when something is remembered."""
        self._folder = folder

    def check(self, path: Path) -> None:
        """Raise DestinationError where a destination was and nothing of it is left.

        A directory ``.s3plan``, whatever it holds, says that the place is meant.
        """
        known = self._read(self._file(path))
        if known is None or (path / RESERVED).is_dir() or not path.parent.is_dir():
            return  # a missing parent is told by whoever opens the tree
        raise DestinationError(
            "the destination is not there: s3plan wrote to it before, and its marker is gone",
            address=str(path),
            expected=f"the disk with {PLACE} (id {known.id})",
            found=_found_at(path),
            next_step=f"mount its disk; or, to begin anew there: mkdir -p {path / RESERVED}",
        )

    def remember(self, path: Path, marker: Marker) -> None:
        """Note that ``path`` is the destination of that marker. Raises DestinationError."""
        file = self._file(path)
        known = KnownDestination(_absolute(path), marker.id)
        if self._read(file) == known:
            return
        temporary = file.with_suffix(f".{os.getpid()}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(msgspec.json.encode(known) + b"\n")
            temporary.replace(file)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            raise refusal(error, str(file), "note the destination in the state folder") from error

    def __iter__(self) -> Iterator[KnownDestination]:
        """All of them, by path."""
        found = [self._read(file) for file in self._folder.glob("*.json")]
        return iter(sorted((k for k in found if k is not None), key=lambda known: known.path))

    def _file(self, path: Path) -> Path:
        name = hashlib.sha256(os.fsencode(_absolute(path))).hexdigest()[:24]
        return self._folder / f"{name}.json"

    def _read(self, file: Path) -> KnownDestination | None:
        try:
            return msgspec.json.decode(file.read_bytes(), type=KnownDestination)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None  # it only adds a check; the locks do not rest on it


def read_marker(tree: Tree) -> Marker | None:
    """The marker of a destination; None where there is none yet. Raises DestinationError."""
    try:
        with tree.open_read(PLACE, drop_cache=False) as file:
            data = b"".join(bytes(chunk) for chunk in file.chunks())[:_LONGEST]
        marker = msgspec.json.decode(data, type=Marker)
    except Missing:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _unreadable(tree, str(error)) from error
    if marker.format != FORMAT:
        raise _unreadable(tree, f"format {marker.format}")
    return marker


def make_marker(tree: Tree, marker: Marker, mtime_ns: int) -> Marker:
    """Give a destination its marker; the one that is there, if there is one by now.

    Call it with the destination's lock held. Raises DestinationError.
    """
    try:
        tree.write_new(PLACE, msgspec.json.encode(marker) + b"\n", mtime_ns)
    except Occupied:
        found = read_marker(tree)
        if found is None:
            raise
        return found
    return marker


def _found_at(path: Path) -> str:
    if not path.is_dir():
        return "nothing"
    with os.scandir(path) as entries:
        is_empty = next(entries, None) is None
    return "an empty directory, as a mount point is" if is_empty else f"files, and no {RESERVED}"


def _absolute(path: Path) -> str:
    return os.path.abspath(path)


def _unreadable(tree: Tree, found: str) -> DestinationError:
    return DestinationError(
        "the destination's marker cannot be read",
        address=str(tree.root / PLACE),
        expected=f"a file of format {FORMAT}",
        found=found,
        next_step="use the version of s3plan that wrote it, or restore the file from a copy",
    )
