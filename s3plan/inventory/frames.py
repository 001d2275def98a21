"""FITS files of a library into the ``frames`` table: their headers, and whether they are whole.

A few thousand bytes of each file are read; all of it only where it carries sums of its own content
(DATASUM, CHECKSUM), or is packed with gzip.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import islice
from typing import Protocol

import msgspec

from s3plan.localfs.reading import ReadFile
from s3plan.localfs.tree import Missing
from s3plan.rules.fits import FitsError, Source, checksum_faults, read_structure
from s3plan.rules.fits.packed import MAGIC, Unpacked
from s3plan.rules.sessions import Frame, Zone, frame_of
from s3plan.tables import FRAMES, Database

SUFFIXES = (".fits", ".fit", ".fts", ".fz", ".fits.gz", ".fit.gz", ".fts.gz")
"""Endings, in any case, of files that are taken for FITS files."""

_BATCH = 1_000
_THREADS = 8
"""Files that are opened at once: a disk far away answers several in the time of one."""


class Library(Protocol):
    """As much of a tree as reading files needs."""

    def open_read(self, path: str, *, drop_cache: bool) -> ReadFile: ...


def is_fits(path: str) -> bool:
    """Whether the name says that it is a FITS file."""
    return path.lower().endswith(SUFFIXES)


def observe_frames(
    tree: Library,
    destination: str,
    paths: Iterable[str],
    zone: Zone,
    keys: Sequence[str],
    now: datetime,
    database: Database,
) -> None:
    """Add a row per file. One that cannot be read as FITS has ``broken`` say why.

    Raises DestinationError where the disk cannot be read.
    """

    def row(path: str) -> tuple[Frame, str | None]:
        try:
            return read_frame(tree, path, zone, keys, now)
        except FitsError as error:
            return Frame({}, unknown="it cannot be read as FITS"), str(error)
        except Missing:
            return Frame({}, unknown="it is gone"), "it is gone since the directory was read"

    rest = iter(paths)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="frames") as pool:
        while batch := list(islice(rest, _BATCH)):
            found = list(pool.map(row, batch))
            frames = [frame for frame, _ in found]
            database.append(
                FRAMES,
                {
                    "path": batch,
                    "session": [frame.session for frame in frames],
                    "night": [frame.night for frame in frames],
                    "unknown": [frame.unknown for frame in frames],
                    "keywords": [msgspec.json.encode(frame.keywords).decode() for frame in frames],
                    "broken": [broken for _, broken in found],
                },
                {"destination": destination},
            )


def read_frame(
    tree: Library, path: str, zone: Zone, keys: Sequence[str], now: datetime
) -> tuple[Frame, str | None]:
    """The frame in a file, and what is wrong with its content by its own sums.

    Raises FitsError, Missing, and DestinationError where the disk cannot be read.
    """
    with tree.open_read(path, drop_cache=False) as file:
        source: Source = Unpacked(file.chunks) if file.read_at(0, 2) == MAGIC else _Plain(file)
        found = read_structure(source)
        _, faults = checksum_faults(source, found)
        return frame_of(found, zone, keys, now), "; ".join(faults) or None


class _Plain:
    """A file as it is."""

    def __init__(self, file: ReadFile) -> None:
        self._file = file
        self.read = file.read_at

    def reaches(self, size: int) -> bool:
        return self._file.stat.size >= size
