"""A server and room to work in for the length of a benchmark."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import server
from benchmarks.case import Place

MEMORY_DISK = Path("/dev/shm")
SCRATCH = "s3plan-bench-"


@contextmanager
def serving(disk: str | None) -> Iterator[tuple[Place, str]]:
    """An empty place and what it is on: ``disk``, or a memory disk where there is one."""
    on_memory = MEMORY_DISK.is_dir() and not disk
    room = MEMORY_DISK if on_memory else Path(disk or tempfile.gettempdir())
    _sweep(room)
    with tempfile.TemporaryDirectory(prefix=f"{SCRATCH}{os.getpid()}-", dir=room) as directory:
        say("starting SeaweedFS")
        with server.running(Path(directory)) as running:
            yield Place(running, Path(directory)), "a memory disk" if on_memory else "disk"


def _sweep(place: Path) -> None:
    """Remove what killed benchmarks left there: gigabytes, of memory where it is a memory disk."""
    for left in place.glob(f"{SCRATCH}*"):
        if not Path("/proc", left.name.removeprefix(SCRATCH).partition("-")[0]).exists():
            shutil.rmtree(left)


def say(text: str) -> None:
    """To whoever waits for the figures."""
    print(text, file=sys.stderr, flush=True)
