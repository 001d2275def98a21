"""Finding the plan that was approved among the files nearby, to say how another one differs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from s3plan.errors import PlanFileError
from s3plan.model.plan import PlanEnd
from s3plan.plan.reading import PlanFile

_END = 4096
"""Bytes that a plan's last line takes at most."""

_MOST_FILES = 200


def plan_at_hand(digest: str, *places: Path) -> PlanFile | None:
    """A plan whose digest starts with ``digest``, from the JSON files in ``places``; else None.

    Files are known by their last line; only the one that is found is read.
    """
    for path in _files(places):
        with suppress(OSError, msgspec.MsgspecError, PlanFileError):
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - _END))
                last = file.read().rstrip(b"\n").rpartition(b"\n")[2]
            if msgspec.json.decode(last, type=PlanEnd).digest.startswith(digest):
                return PlanFile.open(path)
    return None


def _files(places: tuple[Path, ...]) -> Iterator[Path]:
    for place in places:
        with suppress(OSError):
            yield from sorted(place.glob("*.json"))[:_MOST_FILES]
