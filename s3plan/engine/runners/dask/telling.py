"""What workers are told of items besides the plan: as much of journal and evidence as is theirs.

Read once for a step, into tables of its own, and told a partition at a time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from s3plan.engine.context import Context
from s3plan.engine.evidence import EvidenceLine
from s3plan.engine.handlers.delete import Deleter
from s3plan.engine.handlers.delete_source import load_sources
from s3plan.engine.handlers.putting import jobs_between, load_copies_of
from s3plan.engine.handlers.remove_copy import load_made_copies
from s3plan.engine.handlers.swap_back import load_forms
from s3plan.engine.layout.facts import Found
from s3plan.engine.records import Records, lines_between, made_between
from s3plan.model.journal import Approved, CopyFacts, GateRecord
from s3plan.model.steps import (
    Delete,
    DeleteSource,
    Item,
    RemoveCopy,
    Step,
    Swap,
    SwapBack,
    Upload,
)
from s3plan.tables import Database


class Gated(Struct, frozen=True):
    """The gate that a step stands behind, and what was approved at it."""

    gate: GateRecord
    approvals: tuple[Approved, ...]


class Teller(Protocol):
    """Of one step."""

    async def tell(self, items: Sequence[Item]) -> Records:
        """What is known of the items, whose numbers are those of the worklist.

        What may not be done any more is said so to the context, and is settled from then on.
        """


def gated(context: Context, step: Step) -> Gated | None:
    """The open gate before a step, None where there is none."""
    if step.gate is None:
        return None
    gate = context.state.gates[step.gate.evidence]
    approvals = context.state.approvals.values()
    return Gated(gate, tuple(one for one in approvals if one.subject == gate.subject))


@asynccontextmanager
async def telling(context: Context, step: Step) -> AsyncIterator[Teller]:
    """What is known of the items of a step. Raises JournalError where it cannot be read."""
    with ExitStack() as stack:
        action = step.action

        async def loaded(load: Callable[[Database], None]) -> Database:
            database = stack.enter_context(context.tables())
            await context.in_thread(load, database)
            return database

        match action:
            case Delete():
                destination = context.destination(action.destination)
                gate = _gate(context, step)
                deleter = Deleter(context, step, action, gate, destination)
                yield _Deletions(context, deleter, await loaded(deleter.load))
            case DeleteSource():
                load = partial(load_sources, context, step, action, _gate(context, step))
                yield _Copies(context, {step.id: "copies"}, await loaded(load), verified=True)
            case RemoveCopy():
                load = partial(load_made_copies, context, step, action)
                yield _Copies(context, {step.id: "copies"}, await loaded(load))
            case SwapBack():
                load = partial(load_forms, context, step, action)
                tables = {action.staged: "kept", action.swapped: "copies"}
                yield _Copies(context, tables, await loaded(load))
            case Upload():
                load = partial(load_copies_of, context, step)
                yield _Files(context, await loaded(load))
            case Swap():
                names = [action.verified, *([action.staged] if action.keeps_old else [])]
                tables_ = [stack.enter_context(context.tables()) for _ in names]
                yield _Forms(context, dict(zip(names, tables_, strict=True)))
            case _:
                yield Nothing()


def _gate(context: Context, step: Step) -> GateRecord:
    found = gated(context, step)
    assert found is not None, f"a {step.verb} step without a gate is never run"
    return found.gate


class Nothing:
    """Of verbs that go by the plan alone."""

    async def tell(self, items: Sequence[Item]) -> Records:
        return Records()


class _Copies:
    """How copies are recognised, from tables by the step that is told of."""

    def __init__(
        self,
        context: Context,
        tables: dict[str, str],
        database: Database,
        *,
        verified: bool = False,
    ) -> None:
        self._context = context
        self._tables = tables
        self._database = database
        self._verified = verified

    async def tell(self, items: Sequence[Item]) -> Records:
        return await self._context.in_thread(self._tell, items)

    def _tell(self, items: Sequence[Item]) -> Records:
        made = {
            step: made_between(self._database, table, *_range(items))
            for step, table in self._tables.items()
        }
        lines = lines_between(self._database, *_range(items)) if self._verified else []
        return _of(items, made, lines)


class _Files:
    """Files to put back, and what the catalogue says that they must be."""

    def __init__(self, context: Context, database: Database) -> None:
        self._context = context
        self._database = database

    async def tell(self, items: Sequence[Item]) -> Records:
        found = await self._context.in_thread(jobs_between, self._database, *_range(items))
        places = {item.n: place for place, item in enumerate(items)}
        return Records(
            jobs=tuple(replace(job, n=places[job.n]) for job in found if job.n in places)
        )


class _Forms:
    """What a verification of the same session, or of an earlier one, found of staged forms."""

    def __init__(self, context: Context, databases: dict[str, Database]) -> None:
        self._found = {
            step: (Found(context, step), database) for step, database in databases.items()
        }

    async def tell(self, items: Sequence[Item]) -> Records:
        made: dict[str, list[CopyFacts]] = {}
        for step, (found, database) in self._found.items():
            known = [await found.take(item.n, database) for item in items]
            made[step] = [one for one in known if one is not None]
        return _of(items, made, [])


class _Deletions:
    """Evidence of what may go; its files are looked at right before it is told."""

    def __init__(self, context: Context, deleter: Deleter, database: Database) -> None:
        self._context = context
        self._deleter = deleter
        self._database = database

    async def tell(self, items: Sequence[Item]) -> Records:
        return _of(items, {}, await self._sound(items))

    async def _sound(self, items: Sequence[Item]) -> list[EvidenceLine]:
        range_ = _range(items)
        found = await self._context.in_thread(self._deleter.judge, self._database, *range_)
        lines = await self._context.in_thread(lines_between, self._database, *range_)
        sound = {item.n for item, is_sound in found if is_sound}
        for item, is_sound in found:
            if not is_sound:
                self._deleter.copy_changed(item)
        return [line for line in lines if line.n in sound]


def _range(items: Sequence[Item]) -> tuple[int, int]:
    return items[0].n, items[-1].n


def _of(
    items: Sequence[Item], made: Mapping[str, Sequence[CopyFacts]], lines: Sequence[EvidenceLine]
) -> Records:
    """Records by the numbers that the items have in their partition."""
    places = {item.n: place for place, item in enumerate(items)}
    return Records(
        {
            step: tuple(replace(one, n=places[one.n]) for one in copies if one.n in places)
            for step, copies in made.items()
        },
        tuple(replace(line, n=places[line.n]) for line in lines if line.n in places),
    )
