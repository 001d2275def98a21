"""The Dask runner: which steps it carries, and how their worklists go out in partitions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeGuard

from msgspec import Struct
from msgspec.structs import replace

from s3plan import errors
from s3plan.engine.context import Context
from s3plan.engine.handlers import prepare
from s3plan.engine.records import Records
from s3plan.engine.runners.dask.asking import Asking
from s3plan.engine.runners.dask.carriage import Carriage, carriage_of
from s3plan.engine.runners.dask.chunks import Chunks, InOrder, chunks_of
from s3plan.engine.runners.dask.cluster import AHEAD, Cluster, connected
from s3plan.engine.runners.dask.parcels import Failure, Outcome, Partition, pack, share
from s3plan.engine.runners.dask.shared import tokens
from s3plan.engine.runners.dask.takeover import Handout
from s3plan.engine.runners.dask.telling import Nothing, Teller, gated, telling
from s3plan.engine.state import SETTLED, ItemState
from s3plan.errors import RunnerError, S3PlanError
from s3plan.model.events import Warned
from s3plan.model.journal import Intent
from s3plan.model.runners import DaskSettings
from s3plan.model.steps import Download, Extract, Item, Restore, Step, Totals, Upload

ATTEMPTS = 3
"""Workers that may be lost over one partition before the step gives up."""

SMALLEST = 100
"""Items that a partition has at least, however many workers wait for some."""

ROUNDS = 4
"""Partitions that each worker gets of a step at least, so that none waits long for the others."""


class _Work(Struct, frozen=True):
    """A step, how it goes out, and what workers are told of its items."""

    context: Context
    step: Step
    carriage: Carriage
    teller: Teller


class DaskRunner:
    """A runner (``runners.port``) for the steps whose items workers can do by themselves."""

    name = "dask"

    def __init__(self, cluster: Cluster, settings: DaskSettings, shared: Mapping[str, str]) -> None:
        """``shared`` are the destinations that every worker sees, with their tokens."""
        self._cluster = cluster
        self._settings = settings
        self._shared = shared
        self._warned: set[str] = set()

    @property
    def address(self) -> str:
        """Where the cluster can be watched."""
        return self._cluster.dashboard

    def declines(self, context: Context, step: Step) -> str | None:
        """Why it leaves a step to the process itself."""
        carriage = self._carriage(context, step)
        return carriage if isinstance(carriage, str) else None

    def _carriage(self, context: Context, step: Step) -> Carriage | str:
        carriage = carriage_of(step, self._shared)
        if isinstance(carriage, str) or carriage.flows:
            return carriage
        needs = [n for s in context.plan.steps for n in s.needs if step.id in (s.id, n.step)]
        if any(need.mode == "each" for need in needs):
            return "its items flow one by one from one step into the other"
        return carriage

    async def run(self, context: Context, step: Step) -> None:
        """Run what is not settled, in partitions; see the port."""
        carriage = self._carriage(context, step)
        assert not isinstance(carriage, str), "it was declined"
        if isinstance(step.action, Restore):

            async def ask(items: Iterator[Item]) -> bool:
                return await self._ask(context, step, carriage, items)

            await Asking(context, step, step.action, ask).run()
            context.check_stop()
            return
        await prepare(context, step)
        if carriage.tree is not None:
            # Before anybody writes there: what killed sessions left goes when it is opened.
            context.destination(carriage.tree)
        chunks = chunks_of(context, step, self._size(step, carriage))
        async with telling(context, step) as teller:
            await self._hand_out_all(_Work(context, step, carriage, teller), chunks)
        context.check_stop()

    async def _ask(
        self, context: Context, step: Step, carriage: Carriage, items: Iterator[Item]
    ) -> bool:
        """Have workers ask for items; whether there were any."""
        chunks = InOrder(context, items, self._size(step, carriage))
        await self._hand_out_all(_Work(context, step, carriage, Nothing()), chunks)
        return chunks.any

    async def _hand_out_all(self, work: _Work, chunks: Chunks) -> None:
        reading = asyncio.Lock()
        failed = False

        async def hand() -> None:
            nonlocal failed
            while not work.context.stopping and not failed:
                async with reading:
                    items = await chunks.next()
                if not items:
                    return
                try:
                    await self._settle(work, items)
                except BaseException:
                    failed = True
                    raise

        # Nobody is cut off where one fails: what workers do is taken over until they have ended.
        hands = [hand() for _ in range(AHEAD * self._cluster.shares)]
        ended = await asyncio.gather(*hands, return_exceptions=True)
        for error in ended:
            if error is not None:
                raise error

    def _size(self, step: Step, carriage: Carriage) -> int:
        fair = -(-step.totals.items // (ROUNDS * self._cluster.shares))
        most = min(self._settings.partition, carriage.most or self._settings.partition)
        return min(most, max(SMALLEST, fair))

    async def _settle(self, work: _Work, items: Sequence[Item]) -> None:
        """Hand a partition out until a worker has come to its end."""
        context, step = work.context, work.step
        state = context.step_state(step)
        for _ in range(ATTEMPTS):
            fresh = [item for item in items if state.of(item.n) not in SETTLED]
            if not fresh or context.stopping:
                return
            taken: tuple[int, ...] = ()
            if work.carriage.looks and any(state.of(item.n) is ItemState.PENDING for item in fresh):
                looked = await self._hand_out(work, items, look=True)
                if looked is None:
                    continue
                taken = tuple(items[n].n for n in looked.taken)
            if work.carriage.writes:
                await context.intend(step, items[0].n, items[-1].n, taken)
                intent = Intent(step=step.id, first=items[0].n, last=items[-1].n, taken=taken)
                context.state.apply(context.journal.seq, intent)
            if await self._hand_out(work, items, look=False) is not None:
                return
        raise RunnerError(
            f"{ATTEMPTS} workers were lost over the same items",
            address=step.id,
            found=f"items {items[0].n} to {items[-1].n}",
            next_step="see why workers die (memory?); smaller partitions may help "
            "(dask.partition in s3plan.yaml); then run the same command again",
        )

    async def _hand_out(self, work: _Work, items: Sequence[Item], *, look: bool) -> Outcome | None:
        """One worker's outcome; None where it was lost, or its leave to write ended before it."""
        context, cluster = work.context, self._cluster
        name = cluster.name()
        handout = Handout(context, work.step, items, work.carriage.tells)

        async def parcel(until: float) -> bytes:
            records = Records() if look else await work.teller.tell(items)
            part = self._partition(work, items, name, records, look=look)
            return pack(replace(part, until=until if work.carriage.young else None))

        outcome = await cluster.hand_out(name, parcel, handout)
        if outcome is None or outcome.lapsed:
            self._warn(context, "a worker was lost; what it had under way is looked at again")
            return None
        for sentence in outcome.warnings:
            self._warn(context, sentence)
        if outcome.failure is not None:
            raise _error(outcome.failure)
        context.check_stop()
        return outcome

    def _partition(
        self, work: _Work, items: Sequence[Item], name: str, records: Records, *, look: bool
    ) -> Partition:
        context, step, tree = work.context, work.step, work.carriage.tree
        state, header = context.step_state(step), context.plan.header
        gate = gated(context, step)
        uploads = context.state.uploads
        return Partition(
            session=self._cluster.session,
            name=name,
            look=look,
            header=replace(header, connection=share(header.connection, self._cluster.shares)),
            digest=context.plan.digest,
            step=replace(
                step, totals=Totals(len(items), sum(item.size for item in items)), worklist=step.id
            ),
            items=tuple(replace(item, n=place) for place, item in enumerate(items)),
            states=bytes(state.of(item.n) for item in items),
            taken=bytes(state.was_taken(item.n) for item in items),
            uploads={
                place: uploads[step.id, item.n]
                for place, item in enumerate(items)
                if (step.id, item.n) in uploads
            },
            started=context.state.started,
            capabilities=context.capabilities,
            token=self._shared[tree] if tree is not None else "",
            files=work.carriage.files,
            records=records,
            gate=gate.gate if gate is not None else None,
            approvals=gate.approvals if gate is not None else (),
            asks=work.carriage.asks,
            retry=context.retry_command(),
        )

    def _warn(self, context: Context, sentence: str) -> None:
        if sentence not in self._warned:
            self._warned.add(sentence)
            context.observer(Warned(sentence))


def _error(failure: Failure) -> S3PlanError:
    """The error that a worker met, as if it had been met here."""
    known = {one.code: one for one in vars(errors).values() if _is_one_sentence(one)}
    error: type[S3PlanError] = known.get(failure.code, RunnerError)
    return error(
        failure.what,
        address=failure.address,
        expected=failure.expected,
        found=failure.found,
        next_step=failure.next_step,
    )


def _is_one_sentence(value: object) -> TypeGuard[type[S3PlanError]]:
    """Whether an error is made from its parts alone, as all are but that of several problems."""
    return (
        isinstance(value, type)
        and issubclass(value, S3PlanError)
        and not issubclass(value, errors.ProblemsError)
    )


@asynccontextmanager
async def dask_runner(context: Context, settings: DaskSettings) -> AsyncIterator[DaskRunner]:
    """The runner of one session. Raises RunnerError before anything is sent to S3."""
    wanted = sorted(
        {
            step.action.destination
            for step in context.plan.steps
            if isinstance(step.action, Download | Extract | Upload)
            and step.action.destination in context.plan.header.shared_destinations
        }
    )
    async with connected(settings, context) as cluster:
        with tokens(wanted, cluster.session) as left:
            shared = {
                path: token for path, token in left.items() if await _all_see(cluster, path, token)
            }
            for path in left.keys() - shared.keys():
                context.observer(
                    Warned(f"not every worker sees {path}: what is written to it is written here")
                )
            yield DaskRunner(cluster, settings, shared)


async def _all_see(cluster: Cluster, path: str, token: str) -> bool:
    from s3plan.engine.runners.dask.worker import sees  # noqa: PLC0415

    found = await cluster.on_all(sees, path, cluster.session, token)
    return all(answer is True for answer in found.values())
