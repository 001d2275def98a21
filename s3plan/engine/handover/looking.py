"""The items of a step looked at, as a resumed run looks at what it does not know; nothing is sent.

What another program made was there before this run came to it, so it is never the run's own: it
counts where it is exactly what the step would have made, and no rollback removes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice

from s3plan.engine.comparing import Compared
from s3plan.engine.context import Context
from s3plan.engine.handlers.copy import Begun, Copier
from s3plan.engine.handlers.download import INTENT_RANGE, Downloader
from s3plan.engine.handlers.large import Drifted
from s3plan.engine.handlers.restore import Restorer
from s3plan.errors import NoSuchKeyError, PreconditionFailedError, StoreError
from s3plan.model.journal import Intent
from s3plan.model.objects import ObjectHead
from s3plan.model.steps import Copy, Download, Item, Restore, Step
from s3plan.rules.handover.told import Failure

Told = Callable[[Item], Failure | None]
"""Why another program failed with an item, as far as it told."""

FILES = 8
"""Files that are compared at once."""


async def look(context: Context, step: Step, told: Told) -> None:
    """Write down how every item of the step stands that is not settled.

    Raises Interrupted when asked to stop, StoreError where S3 cannot be looked at.
    """
    match step.action:
        case Copy() as action:
            await _Copies(context, step, action, told).run()
        case Download() as action:
            await _Files(context, step, action, told).run()
        case Restore() as action:
            await Restorer(context, step, action).look_once()
        case _:
            raise AssertionError(step.verb)
    context.check_stop()


class _Copies(Copier):
    """Copies that another program made, or did not make."""

    def __init__(self, context: Context, step: Step, action: Copy, told: Told) -> None:
        super().__init__(context, step, action)
        self._told_of = told

    async def _begin(self, queue: asyncio.Queue[Begun | None], workers: int) -> None:
        """Only what is there is begun: what is not stays as it was."""
        items = self.context.plan.items(self.step.id)
        while not self.context.stopping and (ready := await self._next(items)) is not None:
            todo, sources, targets = ready
            there = [item.n for item in todo if item.path in targets]
            for first, last in _runs(there):
                fresh = tuple(n for n in range(first, last + 1) if not self.state.begun(n))
                note(self.context, self.step, first, last, fresh)
            for item in todo:
                stranger = self.state.was_taken(item.n)
                source, target = sources.get(item.key), targets.get(item.path)
                await queue.put(Begun(item, source, target, stranger))
        for _ in range(workers):
            await queue.put(None)

    async def _copy(self, item: Item) -> None:
        """It is not there, and nothing is sent."""
        failure = self._told_of(item)
        if failure is not None:
            self._failed(item, failure.code, f"{item.key}: {failure.message}")

    async def _accept(self, item: Item, compared: Compared) -> None:
        unlike = await self._unlike(item, compared.original, compared.copy)
        if unlike is None:
            await super()._accept(item, compared)
            return
        self.context.problem(
            self.step, item.n, item.key, item.path, "drifted", "attributes-differ",
            f"{item.path} has the content of {item.key}, but {unlike}; it was left alone",
            "remove the copy if it is yours, then s3plan plan again",
        )  # fmt: skip

    async def _unlike(self, item: Item, original: ObjectHead, copy: ObjectHead) -> str | None:
        """What of the copy is not as this step makes copies; None where all is."""
        action, theirs, ours = self.action, original.attributes, copy.attributes
        if ours.headers != theirs.headers | action.headers:
            return "another content type or other headers"
        if ours.metadata != theirs.metadata or copy.missing_metadata != original.missing_metadata:
            return "other metadata"
        if ours.storage_class != (action.storage_class or item.storage_class):
            return f"the class {ours.storage_class}"
        if action.encryption not in (None, "keep") and ours.encryption != action.encryption:
            return f"the encryption {ours.encryption or 'of the bucket'}"
        if action.kms_key is not None and ours.kms_key != action.kms_key:
            return "another KMS key"
        if copy.tag_count == 0 and original.tag_count == 0 and not self.tags:
            return None
        found, wanted = await asyncio.gather(
            self.target.tags(item.path), self.source.tags(item.key)
        )
        return None if found == self._tagged(item, wanted) else "other tags"


class _Files(Downloader):
    """Files that another program downloaded, or did not."""

    def __init__(self, context: Context, step: Step, action: Download, told: Told) -> None:
        super().__init__(context, step, context.destination(action.destination))
        self._told_of = told

    async def run(self) -> None:
        await self.context.catalogue(self.destination, self.step.subject)
        items = self._items()
        gate = asyncio.Semaphore(FILES)
        while chunk := await self.context.in_thread(_take, items):
            self.context.check_stop()
            there = {item.n for item in await self.context.in_thread(self._of_their_size, chunk)}
            for first, last in _runs(sorted(there)):
                fresh = tuple(n for n in range(first, last + 1) if not self.state.begun(n))
                note(self.context, self.step, first, last, fresh)
            await asyncio.gather(*[self._look(item, item.n in there, gate) for item in chunk])

    async def _look(self, item: Item, there: bool, gate: asyncio.Semaphore) -> None:
        async with gate:
            try:
                if there and await self._adopted(item):
                    return
            except (Drifted, NoSuchKeyError, PreconditionFailedError):
                self._problem(
                    item, "drifted", "source-changed", f"{item.key} changed since the plan was made"
                )
                return
            except StoreError as error:
                self._problem(item, "failed", error.code, str(error))
                return
        failure = self._told_of(item)
        if failure is not None:
            self._problem(item, "failed", failure.code, f"{item.key}: {failure.message}")
        elif there and item.size and not item.marker:
            self._problem(
                item, "failed", "file-differs",
                f"{item.path} has the size of {item.key}, but is not proved to have its content",
            )  # fmt: skip


def note(context: Context, step: Step, first: int, last: int, taken: tuple[int, ...]) -> None:
    """Write down that items were come to, and found in use: by requests of somebody else's."""
    record = Intent(step=step.id, first=first, last=last, taken=taken, time=context.now())
    context.journal.note(record)
    context.state.apply(context.journal.seq, record)


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Stretches of consecutive numbers, first and last."""
    start = 0
    for end in range(1, len(numbers) + 1):
        if end == len(numbers) or numbers[end] != numbers[end - 1] + 1:
            yield numbers[start], numbers[end - 1]
            start = end


def _take(items: Iterator[Item]) -> list[Item]:
    return list(islice(items, INTENT_RANGE))
