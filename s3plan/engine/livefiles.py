"""Files that tell of a run while it goes on: written anew as a whole, so that a reader never sees
half of one. What fails here stops no run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from s3plan.errors import S3PlanError
from s3plan.localfs.newfile import whole_file

SHARE = 10
"""A file is left alone for so many times as long as writing it took: a run must not wait for it."""

Write = Callable[[BinaryIO], None]


class Outlets(Struct, frozen=True):
    """Which files shall tell of a run; intervals are seconds, 0 is after each change."""

    snapshot: Path | None = None
    snapshot_interval: float = 2.0
    metrics: Path | None = None


class LiveFile:
    """One such file. ``write`` runs in a thread; ``warn`` is told where it cannot be written, and
    the file is then given up.
    """

    def __init__(
        self, path: Path, interval: float, write: Write, warn: Callable[[str], None]
    ) -> None:
        self._path = path
        self._interval = interval
        self._write = write
        self._warn = warn
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()
        self._given_up = False
        self._keeping = asyncio.create_task(self._keep())

    def changed(self) -> None:
        """Something is to be told."""
        self._changed.set()

    async def close(self) -> None:
        """Write it a last time."""
        self._closing.set()
        self._changed.set()
        await self._keeping
        await self._now()

    async def _keep(self) -> None:
        while not self._closing.is_set() and not self._given_up:
            began = time.monotonic()
            await self._now()
            rest = max(self._interval, SHARE * (time.monotonic() - began))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), rest)
            await self._changed.wait()
            self._changed.clear()

    async def _now(self) -> None:
        if self._given_up:
            return
        try:
            await asyncio.to_thread(self._replace)
        except S3PlanError as error:
            self._given_up = True
            self._warn(f"{self._path} is not kept up to date: {error}")

    def _replace(self) -> None:
        with whole_file(self._path) as file:
            self._write(file)
