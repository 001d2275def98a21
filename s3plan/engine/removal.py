"""Objects that a run made, taken away again one by one: exactly what was looked at, or nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from s3plan.engine.context import Context
from s3plan.engine.probe import deletion_requests
from s3plan.engine.state import SETTLED
from s3plan.errors import (
    DestinationError,
    NoSuchKeyError,
    OutcomeUnknownError,
    PreconditionFailedError,
    StoreError,
)
from s3plan.model.objects import ObjectHead
from s3plan.model.steps import Item, Step
from s3plan.store import Bucket, DeleteTarget


class Kept(Exception):
    """An object that stays; the code is for tools, the message for the person."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message}; it was kept")
        self.code = code


async def head_of(bucket: Bucket, key: str) -> ObjectHead | None:
    """What is under a key; None where nothing is."""
    try:
        return await bucket.head(key)
    except NoSuchKeyError:
        return None


class Removal:
    """One step that removes objects."""

    def __init__(self, context: Context, step: Step) -> None:
        self._context = context
        self._step = step
        self._bucket = context.bucket(step)
        singly, self._conditional = deletion_requests(context.capabilities)
        self._delete = self._bucket.delete_singly if singly else self._bucket.delete_many

    async def each(self, one: Callable[[Item], Awaitable[None]]) -> None:
        """Do it to every item that is not settled; what raises `Kept` is kept and said."""
        context, step = self._context, self._step
        state = context.step_state(step)
        for item in context.plan.items(step.id):
            context.check_stop()
            if state.of(item.n) in SETTLED:
                continue
            context.began(step, item.n, item.key)
            try:
                await one(item)
            except Kept as kept:
                context.problem(
                    step, item.n, item.key, item.path, "kept", kept.code, str(kept),
                    "look at it yourself; s3plan will not touch it",
                )  # fmt: skip
            except (StoreError, DestinationError) as error:
                context.problem(step, item.n, item.key, item.path, "failed", error.code, str(error))
            else:
                context.receive(step, "done", [item.n], item.size, [item.key])

    async def remove(self, item: Item, there: ObjectHead) -> None:
        """Delete exactly the object or version that was looked at. Raises `Kept`, StoreError."""
        await self._context.intend(self._step, item.n, item.n)
        # A version is named by its id alone, and what it replaced is current again.
        version = there.version_id
        guard = there.etag if self._conditional and version is None else None
        (result,) = await self._delete([DeleteTarget(there.key, guard, version)])
        if isinstance(result.error, PreconditionFailedError):
            raise Kept("not-ours", f"{there.key} was changed meanwhile")
        if isinstance(result.error, OutcomeUnknownError):
            left = await head_of(self._bucket, there.key)
            if left is None or (left.etag, left.version_id) != (there.etag, version):
                return
        if result.error is not None:
            raise result.error
