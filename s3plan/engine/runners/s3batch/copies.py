"""Copies by jobs; whatever a job did or did not, looking settles it, as after a kill.

The service knows no condition on ETags. Before its manifest is written both sides are looked at,
and only what is as planned and free goes into it; sources that change later fail by their date;
everything is compared afterwards. Between look and job the target is whoever's declared it: a step
whose bucket nobody declared exclusive never comes here (``rules.handover.terms.not_exclusive``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from s3plan.engine.comparing import same_by_etag
from s3plan.engine.context import Context
from s3plan.engine.handlers.copy import Begun, Copier
from s3plan.engine.looking import Seen
from s3plan.engine.runners.s3batch.desk import Desk, Range
from s3plan.engine.state import SETTLED
from s3plan.model.journal import CopyFacts
from s3plan.model.steps import Copy, Item, Step, Totals
from s3plan.rules.handover.splitting import split


class CopierByJobs(Copier):
    """One copy step: jobs first, then a look at everything, and the rest by this process."""

    def __init__(self, context: Context, step: Step, action: Copy, least: int) -> None:
        super().__init__(context, step, action)
        self._desk = Desk(context, step, action)
        self._least = least

    async def run(self) -> None:
        """Raises as :class:`Copier` does, and StoreError where a job cannot be made."""
        await self._desk.go_on()
        items = self.context.plan.items(self.step.id)
        open_ = (
            (item, Totals(1, item.size)) for item in items if self.state.of(item.n) not in SETTLED
        )
        found = await self.context.in_thread(split, self.action, open_, self._least)
        if found.kinds:
            await self._desk.hand_over(found, self._ranges())
        await super().run()

    async def _ranges(self) -> AsyncIterator[Range]:
        """What is as planned, and has no copy yet."""
        items = self.context.plan.items(self.step.id)
        while (ready := await self._next(items)) is not None:
            todo, sources, targets = ready
            fit = [
                item
                for item in todo
                if item.path not in targets
                and _is_planned(item, sources.get(item.key))
                and self._desk.failures.of(item) is None
            ]
            taken = tuple(
                item.n for item in todo if item.path in targets and not self.state.begun(item.n)
            )
            yield Range(todo[0].n, todo[-1].n, fit, taken)

    async def _one(self, begun: Begun) -> None:
        """What a job made a listing tells, where ETags prove content; no request for each."""
        item, target = begun.item, begun.target
        if (
            target is not None
            and not begun.stranger
            and not self.action.checksums
            and _is_planned(item, begun.source)
            and target.size == item.size
            and same_by_etag(item.etag, target.etag)
        ):
            await self._done(item, CopyFacts(item.n, target.etag, target.modified))
        else:
            await super()._one(begun)

    async def _copy(self, item: Item) -> None:
        failure = self._desk.failures.of(item)
        if failure is None:
            await super()._copy(item)
        else:
            message = f"{item.key}: S3 Batch Operations failed with it: {failure.message}"
            self._failed(item, failure.code, message)


def _is_planned(item: Item, source: Seen | None) -> bool:
    return source is not None and source.is_like(item.size, item.etag, item.modified)
