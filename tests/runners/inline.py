"""Workers of the runner dask as threads of this process: all of it but Dask and its processes.

What comes back can be lost, as it is where a worker is killed: before it began, in the middle of
what it told, or all of it at its end.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from s3plan.engine.context import Context
from s3plan.engine.runners.dask import worker as remote
from s3plan.engine.runners.dask.parcels import (
    Outcome,
    Partition,
    unpack_outcome,
    unpack_partition,
    unpack_told,
)
from s3plan.engine.runners.dask.takeover import Handout
from s3plan.model.runners import DaskSettings

_SESSIONS = itertools.count()

Lose = Callable[[Partition, int], str]
"""What becomes of a partition, by how many were handed out before it: ``""`` (nothing), ``before``
(nobody runs it), ``half`` (half of what it told arrives) or ``after`` (nothing of it does).
"""


class Inline:
    """As much of a ``cluster.Cluster`` as the runner uses."""

    dashboard = "here"
    shares = 2
    young = 60.0
    """Seconds for which a look may be used."""

    def __init__(self, lose: Lose) -> None:
        self.session = f"inline-{next(_SESSIONS)}"
        self.parts: list[Partition] = []
        self._lose = lose
        self._names = itertools.count()

    def name(self) -> str:
        """A name for the next partition."""
        return f"{self.session}-{next(self._names)}"

    async def on_all(self, function: Callable[..., object], *args: object) -> dict[str, object]:
        """What a function says on every worker."""
        return {"here": await asyncio.to_thread(function, *args)}

    async def hand_out(
        self, name: str, parcel: Callable[[float], Awaitable[bytes]], handout: Handout
    ) -> Outcome | None:
        """Run a partition in a thread, asked regularly how it is."""
        packed = await parcel(time.monotonic() + self.young)
        part = unpack_partition(packed)
        lost = self._lose(part, len(self.parts))
        self.parts.append(part)
        if lost == "before":
            return None
        asking = asyncio.create_task(self._ask(name, handout, takes=not lost))
        try:
            outcome = unpack_outcome(await asyncio.to_thread(remote.run_partition, packed))
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        told = outcome.told[: len(outcome.told) // 2] if lost == "half" else outcome.told
        if lost != "after":
            await handout.take(outcome.first, told)
        if handout.error is not None:
            raise handout.error
        return None if lost else outcome

    async def _ask(self, name: str, handout: Handout, *, takes: bool) -> None:
        mark = None
        while True:
            taken = {name: handout.taken_over}
            answer = remote.answer(remote.Ask(self.session, 60, mark, taken))
            mark = answer.mark
            if takes and name in answer.told:
                await handout.take(taken[name], unpack_told(answer.told[name]))
            await asyncio.sleep(0.01)


@contextmanager
def inline_workers(lose: Lose = lambda part, before: "") -> Iterator[list[Inline]]:
    """Let every session of the runner dask have such workers; those that were made."""
    # Half a second to import, which only who asks for workers shall wait.
    from s3plan.engine.runners.dask import runner

    made: list[Inline] = []

    @asynccontextmanager
    async def connected(settings: DaskSettings, context: Context) -> AsyncIterator[Inline]:
        made.append(Inline(lose))
        yield made[-1]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runner, "connected", connected)
        patched.setattr(runner, "SMALLEST", 3)
        yield made
