"""``tag``: other tags for objects that are as planned and still have the tags they had.

S3 takes no condition with tags (PutObjectTagging knows none), so each object is looked at right
before and right after. Whoever changed its tags meanwhile is left the last word.
"""

from __future__ import annotations

import asyncio

from s3plan.engine.context import Context
from s3plan.engine.layout.failing import Refused
from s3plan.engine.layout.forms import check_planned
from s3plan.engine.layout.worklist import Worklist
from s3plan.engine.state import ItemState
from s3plan.errors import StoreError
from s3plan.model.archivesteps import Tag
from s3plan.model.steps import Item, Step


class _Tagger:
    """One tag step."""

    def __init__(self, context: Context, step: Step, action: Tag) -> None:
        self.context = context
        self.step = step
        self.action = action
        self.bucket = context.bucket(step)
        state = context.step_state(step)
        self.goes_back = bool(context.plan.header.rollback_of)
        # What nobody began is not ours, whatever tags it has; nor what had them before.
        self.fresh = {item.n for item in context.plan.items(step.id) if not state.begun(item.n)}

    async def one(self, item: Item) -> None:
        """Tag one object."""
        check_planned(item, await self.bucket.head(item.key, if_match=item.etag))
        there = await self.bucket.tags(item.key)
        is_so = there == self.action.after and (self.goes_back or item.n not in self.fresh)
        if there != self.action.before and not is_so:
            self._left(item)
            return
        if not is_so:
            await self.bucket.put_tags(item.key, self.action.after)
            if await self.bucket.tags(item.key) != self.action.after:
                raise Refused("tags-differ", "the endpoint took the tags, and shows others")
            check_planned(item, await self.bucket.head(item.key, if_match=item.etag))
        self.context.receive(self.step, "done", [item.n], item.size, [item.key])

    def _left(self, item: Item) -> None:
        message = f"{item.key}: its tags were changed since; they were left as they are"
        if self.goes_back:
            self.context.problem(
                self.step, item.n, item.key, item.path, "kept", "not-ours", message,
                "look at them yourself; s3plan will not touch them",
            )  # fmt: skip
        else:
            self.context.problem(
                self.step, item.n, item.key, item.path, "drifted", "tags-changed", message,
                "s3plan plan again, and review what changed",
            )  # fmt: skip


async def tagged_already(context: Context, step: Step, action: Tag) -> tuple[int, ...]:
    """Items that nobody began, and that have the tags which the step gives: a stranger's."""
    state, bucket = context.step_state(step), context.bucket(step)
    gate = asyncio.Semaphore(context.plan.header.connection.limits.connections)

    async def is_so(item: Item) -> bool:
        async with gate:
            try:
                return await bucket.tags(item.key) == action.after
            except StoreError:
                return False  # met again, and told, when its turn comes

    if context.plan.header.rollback_of:
        return ()  # there they count, whoever gave them
    fresh = [item for item in context.plan.items(step.id) if state.of(item.n) is ItemState.PENDING]
    found = await asyncio.gather(*map(is_so, fresh))
    return tuple(item.n for item, is_it in zip(fresh, found, strict=True) if is_it)


async def tag(context: Context, step: Step, action: Tag) -> None:
    """Run a tag step."""
    await Worklist(context, step, writes=True).run(_Tagger(context, step, action).one)
