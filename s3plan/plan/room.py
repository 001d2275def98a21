"""How much room files take where they go: the same sum when planning and before each bucket.

A file takes whole blocks, a name, and a row in the catalogue. A temporary file becomes the file, so
it takes that room earlier and not besides.
"""

from __future__ import annotations

from s3plan.model.local import Space
from s3plan.model.steps import Totals

ROW = 512
"""Bytes of a row in the catalogue, for a key of usual length."""

OWN_FILES = 16
"""Inodes of s3plan's own: marker, lock, catalogues, and the directories they are in."""


def room_for(totals: Totals, block: int, directories: int = 0) -> Space:
    """What files of these ``totals`` may take, on a filesystem that counts in ``block`` bytes."""
    if not totals.items:
        return Space(0, 0, block)
    return Space(
        bytes=totals.bytes + totals.items * (block + ROW),
        inodes=totals.items + directories + OWN_FILES,
        block=block,
    )


def lacking(wanted: Space, free: Space) -> tuple[tuple[str, int, int], ...]:
    """What is too little: its unit, how much is wanted and how much is free."""
    short = [("bytes", wanted.bytes, free.bytes)] if wanted.bytes > free.bytes else []
    if wanted.inodes is not None and free.inodes is not None and wanted.inodes > free.inodes:
        short.append(("inodes", wanted.inodes, free.inodes))
    return tuple(short)
