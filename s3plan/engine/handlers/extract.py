"""``extract``: members of an archive to local files, each compared with the index before it counts.

Ranges of the archive are read, or, where it is packed as one piece, all of it up to the last
member that is missing. Nothing is written over. A file that is there already counts where its
content is the member's, and is left alone where it is not. What does not match the index never
gets its name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice

from s3plan.engine.archiving.fetching import Members, MemberSink
from s3plan.engine.archiving.opening import ArchiveChanged, Opened, open_archive
from s3plan.engine.archiving.unrolling import unroll
from s3plan.engine.context import Context, Destination
from s3plan.engine.handlers.passing import Placing
from s3plan.engine.handlers.placing import mtime_of
from s3plan.engine.state import SETTLED, ItemState, StepState
from s3plan.errors import (
    ArchivedObjectError,
    ArchiveIndexError,
    DestinationError,
    PreconditionFailedError,
    S3PlanError,
    StoreError,
)
from s3plan.localfs.digests import digest_of_file
from s3plan.localfs.tree import Occupied, Tree
from s3plan.model.archives import TarMember
from s3plan.model.journal import Outcome
from s3plan.model.steps import Extract, Item, Step
from s3plan.rules.hashing import spell
from s3plan.rules.unpacking import BadPacking

RANGE = 500
"""Members that one intent covers."""

AT_ONCE = 16
"""Members on their way."""

ATTEMPTS = 2
"""Reads of a member that did not match, before it is called mismatched."""

_EXPIRED = "the archive cannot be read any more: its temporary copy has expired"


class _Extractor:
    """One extract step."""

    def __init__(
        self, context: Context, step: Step, opened: Opened, destination: Destination
    ) -> None:
        self.context = context
        self.step = step
        self.destination = destination
        self.tree = destination.tree
        self.state = context.step_state(step)
        self.opened = opened
        self.members = opened.members
        assert isinstance(step.action, Extract)
        self.indexed = bool(step.action.index)
        self.archive = Members(context.bucket(step), opened)
        self.broken: S3PlanError | None = None

    async def run(self) -> None:
        items = (
            item
            for item in self.context.plan.items(self.step.id)
            if self.state.of(item.n) not in SETTLED
        )
        if self.opened.is_one_piece:
            await self._run_through(list(items))
            return
        connections = self.context.plan.header.connection.limits.connections
        while batch := await self.context.in_thread(_take, items):
            await self._intend(batch)
            waiting = iter(batch)
            await asyncio.gather(*[self._work(waiting) for _ in range(min(AT_ONCE, connections))])
            if self.broken is not None:
                raise self.broken

    async def _run_through(self, items: list[Item]) -> None:
        """All of them in one reading, as the archive is packed as one piece."""
        wanted: dict[str, Item] = {}
        for at in range(0, len(items), RANGE):
            batch = items[at : at + RANGE]
            await self._intend(batch)
            for item in batch:
                self.context.began(self.step, item.n, item.key)
                expected = self.members[item.key].sha256
                assert expected is not None, "whoever read it whole knows every digest"
                try:
                    if await self._is_here(item, expected):
                        self._done(item)
                    else:
                        wanted[item.key] = item
                except Occupied as error:
                    self._problem(item, "failed", "occupied", str(error))
        for _ in range(ATTEMPTS):
            if not wanted:
                return
            if (failure := await self._unrolled(wanted)) is not None:
                for item in wanted.values():
                    self._problem(item, *failure)
                return
        for item in wanted.values():
            self._mismatched(item)

    async def _unrolled(self, wanted: dict[str, Item]) -> tuple[Outcome, str, str] | None:
        """Read the archive once; what was placed, or cannot be, is ``wanted`` no more. Why the
        reading ended early, if it did.
        """
        loop = asyncio.get_running_loop()
        members = [self.members[name] for name in wanted]
        placing = dict(wanted)  # for the transfer's thread: ``wanted`` shrinks meanwhile

        def settled(item: Item, occupied: Occupied | None) -> None:
            del wanted[item.key]
            if occupied is None:
                self._done(item)
            else:
                self._problem(item, "failed", "occupied", str(occupied))

        def take(member: TarMember) -> Placing:
            self.context.check_stop()
            return Placing(
                self.tree,
                placing[member.name],
                member,
                lambda item, occupied: loop.call_soon_threadsafe(settled, item, occupied),
            )

        try:
            async with self.context.streams:
                await unroll(self.context.bucket(self.step), self.opened, members, take)
        except ArchivedObjectError:
            return "drifted", "not-restored", _EXPIRED
        except PreconditionFailedError:
            return "drifted", "source-changed", "the archive was changed"
        except BadPacking as error:
            return "mismatched", "damaged", f"{self.opened.head.key}: {error}"
        except StoreError as error:
            return "failed", error.code, str(error)
        finally:
            await asyncio.sleep(0)  # what was ended has been told by then
        return None

    async def _intend(self, batch: list[Item]) -> None:
        self.context.check_stop()
        taken = await self.context.in_thread(_taken, batch, self.state, self.tree)
        await self.context.intend(self.step, batch[0].n, batch[-1].n, taken)
        self.state.take(taken)

    async def _work(self, items: Iterator[Item]) -> None:
        for item in items:
            if self.context.stopping or self.broken is not None:
                return
            self.context.began(self.step, item.n, item.key)
            try:
                await self._one(item, self.members[item.key])
            except Occupied as error:
                self._problem(item, "failed", "occupied", str(error))
            except ArchivedObjectError:
                self._problem(item, "drifted", "not-restored", _EXPIRED)
            except PreconditionFailedError:
                self._problem(item, "drifted", "source-changed", "the archive was changed")
            except DestinationError as error:
                self.broken = error  # every other file would fail alike
            except (StoreError, ArchiveIndexError) as error:
                self._problem(item, "failed", error.code, str(error))

    async def _one(self, item: Item, member: TarMember) -> None:
        async with self.context.streams:
            expected = await self.archive.digest(member)
        if await self._is_here(item, expected):
            self._done(item)
            return
        for _ in range(ATTEMPTS):
            if await self._written(item, member, expected):
                self._done(item)
                return
        self._mismatched(item)

    async def _is_here(self, item: Item, expected: str) -> bool:
        """Whether the file is there with its content. Raises Occupied where another one is."""
        there = await self.context.in_thread(self.tree.stat, item.path)
        if there is None:
            return False
        if await self.context.in_thread(self._is_it, item, expected):
            return True
        if not self._is_ours(item, there.mtime_ns):
            raise Occupied(item.path)
        # A power cut can leave a name without its bytes; what is there is kept all the same.
        await self.context.in_thread(self.tree.set_aside, item.path, self.context.run.id)
        return False

    async def _written(self, item: Item, member: TarMember, expected: str) -> bool:
        """Whether the member was what it must be, and has its name."""
        file = await self.context.in_thread(self.tree.partial, item.path, item.size)
        try:
            sink = MemberSink(file.restart, file.write)
            async with self.context.streams:
                await self.archive.fetch(member, sink)
            if sink.sha256 != expected:
                return False
            await self.context.in_thread(file.commit, mtime_of(item))
            return True
        finally:
            await self.context.in_thread(file.abort)

    def _is_it(self, item: Item, expected: str) -> bool:
        """Whether the file at the item's path has the member's content; on a disk thread."""
        found = digest_of_file(self.tree, item.path, ("SHA256", ""))
        return found is not None and found[0].value == spell("SHA256", bytes.fromhex(expected))

    def _is_ours(self, item: Item, mtime_ns: int) -> bool:
        """Whether this run wrote the file: it began the item, and the file bears its time."""
        return self.state.mine(item.n) and mtime_ns == mtime_of(item)

    def _done(self, item: Item) -> None:
        self.context.receive(self.step, "verified", [item.n], item.size, [item.key])

    def _mismatched(self, item: Item) -> None:
        said = "what the index says" if self.indexed else "the same each time it is read"
        self._problem(
            item, "mismatched", "content-differs",
            f"{item.key} is not {said}, {ATTEMPTS} times; nothing was written",
        )  # fmt: skip

    def _problem(self, item: Item, outcome: Outcome, reason: str, message: str) -> None:
        next_step = None
        if outcome == "drifted":
            next_step = "s3plan plan again"
        elif reason == "occupied":
            next_step = (
                f"move {item.path} out of the destination, then {self.context.retry_command()}"
            )
        self.context.problem(
            self.step, item.n, item.key, item.path, outcome, reason, message, next_step
        )


async def members_in_use(context: Context, step: Step, action: Extract) -> tuple[int, ...]:
    """Items that nobody began whose path is in use: what is there is not this run's."""
    tree, state = context.destination(action.destination).tree, context.step_state(step)
    return await context.in_thread(_taken, list(context.plan.items(step.id)), state, tree)


def _taken(items: list[Item], state: StepState, tree: Tree) -> tuple[int, ...]:
    """Items that nobody began, and whose path is in use; runs on a disk thread."""
    return tuple(
        item.n
        for item in items
        if state.of(item.n) is ItemState.PENDING and tree.stat(item.path) is not None
    )


async def extract(context: Context, step: Step, action: Extract) -> None:
    """Run an extract step. Raises DestinationError when the disk stops it."""
    destination = context.destination(action.destination)
    try:
        opened = await open_archive(context.bucket(step), action)
    except ArchiveChanged as changed:
        state = context.step_state(step)
        for item in context.plan.items(step.id):
            if state.of(item.n) not in SETTLED:
                context.problem(
                    step, item.n, item.key, item.path, "drifted", "source-changed",
                    str(changed), "s3plan plan again",
                )  # fmt: skip
        return
    await _Extractor(context, step, opened, destination).run()
    context.check_stop()


def _take(items: Iterator[Item]) -> list[Item]:
    return list(islice(items, RANGE))
