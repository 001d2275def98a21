"""``configure``: one document of a bucket's configuration, written over exactly what was planned.

S3 takes no condition with these documents: look, write, look, under the bucket's lock. What is read
back must be what was put, and what the step probes must still work with the same credentials; else
the old document is put back at once. The step counts as one item, number 0.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Literal, assert_never

from s3plan.engine.context import Context
from s3plan.engine.state import ItemState
from s3plan.errors import (
    ArchivedObjectError,
    EndpointError,
    NoSuchKeyError,
    S3PlanError,
    StoreError,
)
from s3plan.model.buckets import Document
from s3plan.model.steps import Configure, CreateBucket, Probe, Step
from s3plan.rules.bucketdocuments import same

READ_BACK_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds between looks until what was put is what is read: bucket configurations are eventually
consistent (https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel)."""

PROBE_PAUSES = (0.0, 1.0, 2.0)
"""Seconds before each round of probes: a policy needs a moment until it is in force everywhere."""

READ_WHOLE = 1 << 20
"""Bytes up to which the probe reads the whole object."""

OURS = frozenset({ItemState.UNKNOWN, ItemState.DONE, ItemState.FAILED})
"""States of the one item in which this run may have written the document."""


class _Configurer:
    """One configure step."""

    def __init__(self, context: Context, step: Step, action: Configure) -> None:
        self.context = context
        self.step = step
        self.action = action
        self.name = f"{step.subject}: {action.document}"

    async def run(self) -> None:
        live = await self._read()
        if self.action.fresh and not self._is_fresh():
            self._not_ours(f"the bucket {self.step.subject} was made by somebody else meanwhile")
            return
        if self._is(live, self.action.after):
            if self.context.step_state(self.step).of(0) not in OURS:
                # Somebody else made the change: it is as it shall be, and not ours to undo.
                self.context.receive(self.step, "verified", [0], 0, [self.name])
                return
        elif self.action.fresh or self._is(live, self.action.before):
            if not await self._write():
                return
        else:
            self._drifted()
            return
        await self._probe()

    async def _write(self) -> bool:
        """Put the document and read it back; whether it is there now."""
        await self.context.intend(self.step, 0, 0)
        try:
            await self._put(self.action.after)
        except EndpointError:
            # The answer may be what was lost: what is read tells whether it was done.
            if not self._is(await self._read(), self.action.after):
                raise
        live = await self._settled(self.action.after)
        if self._is(live, self.action.after):
            return True
        if not self.action.fresh and self._is(live, self.action.before):
            self._failed("not-taken", "S3 agreed to the new document and still has the old one")
            return False
        if self.action.fresh:
            self._failed("not-as-put", "S3 made something else of it than was put")
        else:
            await self._put_back("not-as-put", "S3 made something else of the new document")
        return False

    def _is_fresh(self) -> bool:
        """Whether this plan made the bucket."""
        return any(
            step.subject == self.step.subject
            and isinstance(step.action, CreateBucket)
            and any(self.context.step_state(step).items)
            for step in self.context.plan.steps
        )

    async def _probe(self) -> None:
        """Try what must still work, until it is in force; put the old document back where not."""
        if self.action.probe:
            for pause in PROBE_PAUSES:
                await asyncio.sleep(pause)
                try:
                    for probe in self.action.probe:
                        await self._try(probe)
                except StoreError as error:
                    await self._put_back(
                        "probe-failed", f"with the new document this does not work: {error}"
                    )
                    return
        self.context.receive(self.step, "done", [0], 0, [self.name])

    async def _try(self, probe: Probe) -> None:
        bucket = self.context.bucket(self.step)
        match probe:
            case "list":
                async for _ in bucket.pages(max_keys=1):
                    break
            case "get":
                async for page in bucket.pages(max_keys=1):
                    for key, size in zip(page.keys, page.sizes, strict=True):
                        # HEAD asks for the same permission (s3:GetObject) where a body is too much.
                        with suppress(NoSuchKeyError, ArchivedObjectError):
                            if size <= READ_WHOLE:
                                await bucket.get(key, if_match=None)
                            else:
                                await bucket.head(key)
                    break
            case "document":
                await self._read()
            case _:
                assert_never(probe)

    async def _put_back(self, reason: str, why: str) -> None:
        """Put the old document back at once, and say whether that was possible."""
        absent = self.action.before is None
        try:
            await self._put(self.action.before)
            live = await self._settled(self.action.before)
        except S3PlanError as error:
            undone = "be removed again" if absent else "be replaced by the old one again"
            self._failed(
                reason,
                f"{why}. The new document could NOT {undone}: {error}. It is still in force; "
                "of a bucket policy, the account's root user can always be rid",
            )
            return
        if self._is(live, self.action.before):
            undone = "It was removed again" if absent else "The old document is back"
            self._failed(reason, f"{why}. {undone}")
        else:
            self._failed(reason, f"{why}. The old state was put back, and S3 tells of another one")

    async def _read(self) -> Document:
        return await asyncio.to_thread(
            self.context.store.control.document, self.step.subject, self.action.document
        )

    async def _put(self, document: Document) -> None:
        await asyncio.to_thread(
            self.context.store.control.put_document,
            self.step.subject,
            self.action.document,
            document,
        )

    async def _settled(self, wanted: Document) -> Document:
        """What S3 answers, once it is what was put or the patience is over."""
        live = await self._read()
        for pause in READ_BACK_PAUSES:
            if self._is(live, wanted):
                break
            await asyncio.sleep(pause)
            live = await self._read()
        return live

    def _is(self, live: Document, wanted: Document) -> bool:
        return same(self.action.document, live, wanted)

    def _not_ours(self, why: str) -> None:
        self._problem("kept", "not-ours", f"{why}; its {self.action.document} was left alone")

    def _drifted(self) -> None:
        if self.context.plan.header.rollback_of:
            self._not_ours(f"{self.step.subject} is no longer as the run left it")
        else:
            self._problem(
                "drifted",
                "document-changed",
                f"the {self.action.document} of {self.step.subject} was changed after the plan; "
                "nothing was written",
                "s3plan plan again, and review what changed",
            )

    def _failed(self, reason: str, message: str) -> None:
        self._problem("failed", reason, f"{self.name}: {message}")

    def _problem(
        self,
        outcome: Literal["failed", "drifted", "kept"],
        reason: str,
        message: str,
        next_step: str | None = None,
    ) -> None:
        self.context.problem(self.step, 0, self.name, "", outcome, reason, message, next_step)


async def configure(context: Context, step: Step, action: Configure) -> None:
    """Run a configure step."""
    await _Configurer(context, step, action).run()
