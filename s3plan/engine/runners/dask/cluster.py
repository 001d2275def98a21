"""The workers of one session: who is there, what each has, and leave for each to write.

Every worker is asked once a second how it is. The permission that comes with it (``permits``) ends
``trust`` seconds after an answer at the latest: from then on a worker that is gone, or silent,
cannot write any more, and what it had may be given to another.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from distributed import Client, LocalCluster
from distributed.client import ClosedClientError

from s3plan import __version__
from s3plan.engine.context import Context
from s3plan.engine.runners.dask import worker as remote
from s3plan.engine.runners.dask.parcels import Outcome, unpack_outcome, unpack_told
from s3plan.engine.runners.dask.takeover import Handout
from s3plan.engine.runners.dask.worker import Answer, Ask
from s3plan.errors import HeldError, RunnerError
from s3plan.model.runners import DaskSettings

BEAT = 1.0
"""Seconds between two questions."""

PATIENCE = 20.0
"""Seconds without a scheduler, or without any worker, after which everything waits for people."""

SLOW = 90.0
"""The same for a scheduler that is there and does not answer: it may have much to do."""

AHEAD = 2
"""Partitions that a worker has: the one it runs, and the next."""

START = 600.0
"""Seconds that workers may take to come: a cluster may have to start machines for them."""

_LOCAL = "local:"

_GONE = (OSError, RuntimeError, AttributeError)
"""What a client says without a scheduler; the last where it has given up by itself, and has None in
its place."""


@dataclass(slots=True)
class Worker:
    """A worker, as its last answer left it. ``answered`` is by the loop's clock, 0 for never."""

    address: str
    answered: float = 0.0
    mark: float | None = None
    permitted: bool = False
    running: tuple[str, ...] = ()
    handouts: dict[str, Handout] = field(default_factory=dict)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    asking: asyncio.Task[None] | None = None


class Cluster:
    """Made by :func:`connected`."""

    def __init__(self, client: Client, settings: DaskSettings, context: Context) -> None:
        self.session = secrets.token_hex(8)
        self.dashboard: str = client.dashboard_link
        self.shares = 1
        """Among how many workers the connection's ceilings are split."""
        self._client = client
        self._settings = settings
        self._context = context
        self._dismissed = False
        self._failure: Exception | None = None
        self._workers: dict[str, Worker] = {}
        self._departed: list[Worker] = []
        self._names = 0
        self._heard = time.monotonic()
        self._changed = asyncio.Condition()
        self._lost = asyncio.Event()

    # -- handing out ---------------------------------------------------------------------------

    def name(self) -> str:
        """A name for the next partition that is handed out."""
        self._names += 1
        return f"s3plan-{self.session}-{self._names}"

    async def hand_out(
        self, name: str, parcel: Callable[[float], Awaitable[bytes]], handout: Handout
    ) -> Outcome | None:
        """Have a worker run a partition, and put into the journal what it tells.

        ``parcel`` is called once there is a worker for it, with the time on that one's clock until
        which a look that is made from then on is young enough.

        None where the worker was lost: what it did is not known, and it does nothing any more.
        Raises HeldError where there is no scheduler or no worker any more, RunnerError where what
        came is not about the partition.
        """
        worker = await self._free_worker()
        worker.handouts[name] = handout
        try:
            assert worker.mark is not None, "it may write, so it has answered"
            packed = await parcel(worker.mark + self._settings.trust)
            outcome = await self._run(worker, name, packed, handout)
            if outcome is not None:
                await handout.take(outcome.first, outcome.told)
        finally:
            del worker.handouts[name]
            async with self._changed:
                self._changed.notify_all()
        if handout.error is not None:
            raise handout.error
        return outcome

    async def _run(
        self, worker: Worker, name: str, parcel: bytes, handout: Handout
    ) -> Outcome | None:
        # On this worker and no other: a task that is moved could run twice at the same time.
        try:
            future = self._client.submit(
                remote.run_partition,
                parcel,
                key=name,
                workers=[worker.address],
                pure=False,
                retries=0,
            )
        except ClosedClientError:
            # It gives up by itself after as long as we would, and may be the first to.
            self._lost.set()
            raise self._held("the Dask scheduler cannot be reached any more") from None
        result = asyncio.ensure_future(_result(future))
        events = [worker.gone, self._lost, handout.failed]
        others = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait([result, *others], return_when=asyncio.FIRST_COMPLETED)
            if result.done() and (packed := result.result()) is not None:
                return unpack_outcome(packed)
        finally:
            for task in (result, *others):
                task.cancel()
            await asyncio.gather(result, *others, return_exceptions=True)
            future.release()  # type: ignore[no-untyped-call]
        await self._quiet(worker)
        if self._lost.is_set():
            raise self._held("the Dask scheduler cannot be reached any more")
        return None

    async def _free_worker(self) -> Worker:
        """A worker that has room; of those that have, the one with the least."""
        waiting = time.monotonic()
        while True:
            if self._lost.is_set():
                raise self._held("the Dask scheduler cannot be reached any more")
            in_use = list(self._workers.values())[: self.shares]
            ready = [one for one in in_use if one.permitted and len(one.handouts) < AHEAD]
            if ready:
                return min(ready, key=lambda one: len(one.handouts))
            if any(one.permitted for one in in_use):
                waiting = time.monotonic()
            elif time.monotonic() - waiting > PATIENCE + self._settings.trust:
                raise self._held("no Dask worker is left")
            async with self._changed:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), BEAT)

    async def _quiet(self, worker: Worker) -> None:
        """Return once the worker cannot write any more."""
        await asyncio.sleep(max(0.0, worker.answered + self._settings.trust - time.monotonic()))

    def _held(self, what: str) -> Exception:
        return self._failure or HeldError(
            what,
            address=self._settings.scheduler,
            found="nothing was lost: what was under way is looked at again",
            next_step="start the cluster, then run the same command again",
        )

    # -- asking --------------------------------------------------------------------------------

    async def ask_regularly(self) -> None:
        """Ask every worker once a second, until cancelled."""
        try:
            while not self._lost.is_set():
                await self._round()
                await asyncio.sleep(BEAT)
        except Exception as error:
            # Nobody may write for long without it, so nobody shall wait for more.
            self._failure = error
            self._lost.set()
            raise

    async def ready(self, count: int) -> None:
        """Return once so many workers may write. Raises RunnerError."""
        began = time.monotonic()
        while sum(one.permitted for one in self._workers.values()) < count:
            if self._lost.is_set() or time.monotonic() - began > START:
                raise RunnerError(
                    "the Dask workers did not come",
                    address=self._settings.scheduler,
                    expected=f"{count} within {START:.0f} seconds",
                    found=f"{len(self._workers)}",
                    next_step="start them, or ask for fewer (dask.workers in s3plan.yaml)",
                )
            await asyncio.sleep(BEAT / 10)
            await self._round()
        # One request in flight is the least that a worker can have of them.
        most = self._context.plan.header.connection.limits.connections
        self.shares = min(max(count, len(self._workers)), most)

    async def on_all(self, function: Callable[..., Any], *args: object) -> dict[str, Any]:
        """What a function says on every worker that is there now, by address."""
        found: dict[str, Any] = await self._client.run(
            function, *args, workers=list(self._workers), on_error="return"
        )
        return found

    async def dismiss(self) -> None:
        """Tell every worker to stop, and return once none can write any more."""
        self._dismissed = True
        while True:
            now = time.monotonic()
            left = [
                one
                for one in (*self._workers.values(), *self._departed)
                if now < one.answered + self._settings.trust
                and (one.running or one.handouts or one.gone.is_set())
            ]
            if not left:
                return
            if not self._lost.is_set():
                await self._round()
            await asyncio.sleep(BEAT / 10)

    async def _round(self) -> None:
        try:
            there = await asyncio.wait_for(self._client.nthreads(), PATIENCE)  # type: ignore[no-untyped-call]
        except TimeoutError:
            self._miss(SLOW)
            return
        except _GONE:
            self._miss(PATIENCE)
            return
        now = time.monotonic()
        self._heard = now
        for address in there:
            one = self._workers.setdefault(address, Worker(address))
            if one.asking is None or one.asking.done():
                one.asking = asyncio.create_task(self._ask(one))
        for one in list(self._workers.values()):
            silent = one.answered and now > one.answered + self._settings.trust
            if one.address not in there or silent:
                del self._workers[one.address]
                self._departed.append(one)
                one.permitted = False
                one.gone.set()

    def _miss(self, patience: float) -> None:
        """There was no answer: the scheduler is gone once that lasts too long."""
        if time.monotonic() - self._heard > patience:
            self._lost.set()

    async def _ask(self, worker: Worker) -> None:
        known = {name: handout.taken_over for name, handout in worker.handouts.items()}
        # Never longer than this process itself may.
        seconds = min(self._settings.trust, self._context.guard.seconds_left())
        stopping = self._dismissed or self._context.stopping
        ask = Ask(self.session, seconds, worker.mark, known, stopping)
        try:
            got = await self._client.run(
                remote.answer, ask, workers=[worker.address], on_error="return"
            )
        except (*_GONE, TimeoutError, ValueError):
            return  # it, or the scheduler, is gone: the next round tells
        answer = got.get(worker.address)
        if not isinstance(answer, Answer):
            return
        worker.answered = time.monotonic()
        was = worker.permitted
        worker.mark, worker.running = answer.mark, answer.running
        worker.permitted = answer.permitted and not worker.gone.is_set()
        for name, told in answer.told.items():
            handout = worker.handouts.get(name)
            if handout is not None:
                await handout.take(known.get(name, 0), unpack_told(told))
        if worker.permitted and not was:
            async with self._changed:
                self._changed.notify_all()


async def _result(future: Any) -> bytes | None:
    """What a task returned; None where it was lost with its worker or its scheduler."""
    from distributed.client import FutureCancelledError  # noqa: PLC0415
    from distributed.scheduler import KilledWorker  # noqa: PLC0415

    try:
        packed: bytes = await future
    except (FutureCancelledError, KilledWorker, OSError):
        return None
    return packed


@asynccontextmanager
async def connected(settings: DaskSettings, context: Context) -> AsyncIterator[Cluster]:
    """The workers of a scheduler, or of a cluster of this session's own; quiet at the end.

    Raises RunnerError where they cannot be reached, or have another version of s3plan.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    async with AsyncExitStack() as stack:
        client, count = await _client(settings, stack)
        cluster = Cluster(client, settings, context)
        asking = asyncio.create_task(cluster.ask_regularly())
        try:
            await cluster.ready(settings.workers or count)
            await _check_versions(cluster, settings)
            yield cluster
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await cluster.dismiss()


async def _client(settings: DaskSettings, stack: AsyncExitStack) -> tuple[Client, int]:
    """A client, and how many workers to wait for."""
    address, count = settings.scheduler, 1
    try:
        if address.startswith(_LOCAL):
            count = int(address.removeprefix(_LOCAL))
            local = LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=count,
                threads_per_worker=AHEAD,
                processes=True,
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
                asynchronous=True,
                preload=[remote.__name__],
            )
            address = (await stack.enter_async_context(local)).scheduler_address
        client = Client(  # type: ignore[no-untyped-call]
            address, asynchronous=True, set_as_default=False, timeout=PATIENCE
        )
        return await stack.enter_async_context(client), count
    except (OSError, TimeoutError, ValueError) as error:
        raise RunnerError(
            "the Dask scheduler cannot be reached",
            address=settings.scheduler,
            expected="tcp://HOST:PORT of a scheduler, or local:N",
            found=str(error),
            next_step="start it (`dask scheduler`), or name another with --scheduler",
        ) from error


async def _check_versions(cluster: Cluster, settings: DaskSettings) -> None:
    found = await cluster.on_all(remote.version)
    other = {at: said for at, said in found.items() if said != __version__}
    if other:
        at, said = next(iter(other.items()))
        raise RunnerError(
            "a worker does not have this version of s3plan",
            address=str(at),
            expected=f"s3plan {__version__}",
            found=str(said),
            next_step="install the same s3plan on every worker",
        )
