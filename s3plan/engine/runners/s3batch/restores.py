"""Restores by jobs: what a job did is asked for, not restored; how far it is S3 tells as ever."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from itertools import islice

from s3plan.engine.context import Context
from s3plan.engine.handlers.restore import RANGE, Restorer
from s3plan.engine.runners.s3batch.desk import Desk, Range, kind_of_job
from s3plan.model.journal import RestoreStage
from s3plan.model.steps import Restore, Step, Totals
from s3plan.rules.handover.batch import COMPLETE, kind_of
from s3plan.rules.handover.splitting import split

_AT_IT = "RestoreAlreadyInProgress"
"""Somebody asked before ("Restore objects", overlapping restores)."""


class RestorerByJobs(Restorer):
    """One restore step: what is to be asked for goes to jobs, and the rest is asked for here."""

    def __init__(self, context: Context, step: Step, action: Restore, least: int) -> None:
        super().__init__(context, step, action)
        self._desk = Desk(context, step, action)
        self._least = least

    async def _ask(self) -> bool:
        await self._desk.go_on()
        asked = self._noted()
        open_ = (
            (item, Totals(1, item.size)) for item in self._left() if self._must_be_asked_for(item)
        )
        found = await self.context.in_thread(split, self.action, open_, self._least)
        if found.kinds:
            await self._desk.hand_over(found, self._ranges())
            asked = self._noted() or asked
        return await super()._ask() or asked

    async def _ranges(self) -> AsyncIterator[Range]:
        items = (item for item in self._left() if self._must_be_asked_for(item))
        while batch := list(islice(items, RANGE)):
            yield Range(batch[0].n, batch[-1].n, batch)

    def _noted(self) -> bool:
        """Note what jobs that ended have asked for, and what they failed with; whether any did."""
        statuses = {kind_of_job(job): job.status for job in self._desk.ended}
        self._desk.ended.clear()
        if not statuses:
            return False
        stages: dict[RestoreStage, list[int]] = defaultdict(list)
        for item in self._left():
            kind = kind_of(self.action, item)
            if isinstance(kind, str) or kind not in statuses or not self._must_be_asked_for(item):
                continue
            failure = self._desk.failures.of(item)
            if failure is None and statuses[kind] == COMPLETE:
                stages["requested"].append(item.n)
            elif failure is not None and failure.code == _AT_IT:
                stages["ongoing"].append(item.n)
            elif failure is not None:
                self.refused.add(item.n)
                self.context.problem(
                    self.step, item.n, item.key, item.path, "failed", failure.code,
                    f"{item.key}: S3 Batch Operations failed with it: {failure.message}",
                )  # fmt: skip
        for stage, numbers in stages.items():
            self.context.restored(self.step, stage, numbers)
        return True
