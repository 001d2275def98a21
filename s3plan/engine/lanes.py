"""Which steps of a plan may run beside which, and whose turn it is to ask a person.

A lane is what belongs together: the steps of a bucket, and of buckets that a need connects. Lanes
are independent of each other; within one the order is the plan's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from s3plan.engine.context import Context
from s3plan.model.steps import Step


def lanes(steps: Sequence[Step]) -> list[tuple[Step, ...]]:
    """The plan's steps as lanes, in the order of their first steps."""
    subjects = {step.id: step.subject for step in steps}
    leader = {subject: subject for subject in subjects.values()}

    def leads(subject: str) -> str:
        while leader[subject] != subject:
            subject = leader[subject]
        return subject

    for step in steps:
        for named in (*(need.step for need in step.needs), *_evidence(step)):
            # Of two that are joined the earlier leads, so that lanes keep the plan's order.
            leader[leads(step.subject)] = leads(subjects[named])
    found: dict[str, list[Step]] = {}
    for step in steps:
        found.setdefault(leads(step.subject), []).append(step)
    return [tuple(lane) for lane in found.values()]


def _evidence(step: Step) -> tuple[str, ...]:
    return () if step.gate is None else (step.gate.evidence,)


class Floor:
    """Who works, and who waits to ask. A question holds the loop: it waits for the others' work.

    Otherwise bodies that are on their way would stall, and be lost, while a person thinks.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._busy = 0
        self._quiet = asyncio.Event()
        self._asking = asyncio.Lock()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Work, while the block runs."""
        self._busy += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._leave()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Ask, while the block runs, once nobody works; raises Interrupted when that is too late.

        To be called by one who works.
        """
        self._leave()
        try:
            async with self._asking:
                while self._busy:
                    await self._context.unless_stopped(self._quiet.wait())
                yield
        finally:
            self._busy += 1
            self._quiet.clear()

    def _leave(self) -> None:
        self._busy -= 1
        if not self._busy:
            self._quiet.set()
