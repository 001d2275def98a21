"""``purge``: forms that a change of layout left, each looked at right before it goes for good.

The bucket is locked, so no other run works on it. A form goes while it is as planned, its object is
there, and no run of this directory that is not finished needs it. Forms in a bucket that keeps
versions go by their ids, which never name anything else; elsewhere the request carries the ETag.
"""

from __future__ import annotations

import asyncio
from itertools import islice

import msgspec

from s3plan.engine.commands import run_project_command
from s3plan.engine.context import Context
from s3plan.engine.layout.runs import needed_keys
from s3plan.engine.looking import Seen, look_at
from s3plan.engine.probe import deletion_requests
from s3plan.engine.state import SETTLED
from s3plan.engine.together import together
from s3plan.errors import NoSuchKeyError, OutcomeUnknownError, PreconditionFailedError, StoreError
from s3plan.model.commands import CommandRef
from s3plan.model.journal import Outcome
from s3plan.model.steps import Item, Purge, Step
from s3plan.rules.shadow import parse
from s3plan.store import DeleteTarget

BATCH = 200
"""Forms that one look and one intent cover."""

COMMANDS = 4
"""Commands of the user's under way at once, unless limits.objects says fewer."""


class _Left(Exception):
    """A form that stays; the code is for tools, the message for the person."""

    outcome: Outcome = "drifted"

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Blocked(_Left):
    """The user's own command keeps it; it is asked again by the next session."""

    outcome: Outcome = "failed"


class _Purger:
    """One purge step."""

    def __init__(self, context: Context, step: Step, action: Purge) -> None:
        self.context = context
        self.step = step
        self.action = action
        self.bucket = context.bucket(step)
        self.state = context.step_state(step)
        singly, self.conditional = deletion_requests(context.capabilities)
        self._delete = self.bucket.delete_singly if singly else self.bucket.delete_many

    async def run(self) -> None:
        context = self.context
        target = context.plan.header.target
        # Of runs that go on elsewhere in this directory none is of this bucket: it is locked.
        needed = await context.in_thread(
            needed_keys, context.run.folder.parents[2], target, self.step.subject
        )
        items = context.plan.items(self.step.id)
        while batch := await context.in_thread(lambda: list(islice(items, BATCH))):
            context.check_stop()
            todo = [item for item in batch if self.state.of(item.n) not in SETTLED]
            if todo:
                await self._batch(todo, needed)

    async def _batch(self, batch: list[Item], needed: frozenset[str]) -> None:
        unversioned = [item.key for item in batch if item.version_id is None]
        forms, objects = await asyncio.gather(
            look_at(self.bucket, unversioned),
            look_at(self.bucket, [item.path for item in batch if item.path != item.key]),
        )
        await self.context.intend(self.step, batch[0].n, batch[-1].n)
        left = iter(batch)

        async def work() -> None:
            for item in left:
                if self.context.stopping:
                    return
                self.context.began(self.step, item.n, item.key)
                try:
                    await self._one(item, forms.get(item.key), objects.get(item.path), needed)
                except _Left as stays:
                    message = f"{item.key}: {stays}; it was not deleted"
                    self._problem(item, stays.outcome, stays.code, message)
                except StoreError as error:
                    self._problem(item, "failed", error.code, str(error))

        connections = self.context.plan.header.connection.limits.connections
        most = COMMANDS if self.action.before_delete else connections
        await together(work() for _ in range(self.context.objects_at_once(most)))

    async def _one(
        self, item: Item, form: Seen | None, there: Seen | None, needed: frozenset[str]
    ) -> None:
        if item.key in needed:
            raise _Left("needed", "a run that is not finished needs it")
        if item.version_id is None:
            if form is None:
                self._done(item)  # gone: by an earlier session of this run, or by somebody
                return
            if not form.is_like(item.size, item.etag, item.modified):
                raise _Left("form-changed", "it was changed after the plan")
        if item.path == item.key:
            await self._check_superseded(item)
        elif there is None and not item.marker:
            raise _Left("last-copy", f"{item.path} is gone, so this may be the last copy of it")
        if self.action.before_delete:
            await self._ask(item, self.action.before_delete)
        await self._remove(item)

    async def _check_superseded(self, item: Item) -> None:
        """An older version goes only while a newer one is what its key holds."""
        try:
            head = await self.bucket.head(item.key)
        except NoSuchKeyError:
            raise _Left(
                "last-copy", "the key holds no object now, so this may be the last copy of it"
            ) from None
        if head.version_id in (None, item.version_id):
            raise _Left("current", "it is what the key holds now")

    async def _ask(self, item: Item, command: CommandRef) -> None:
        """Run the user's command for a form; where it fails the form stays."""
        shadow = parse(item.key)
        told = {
            "bucket": self.step.subject,
            "key": item.path,
            "form": item.key,
            "role": shadow.role if shadow is not None else "version",
            "size": item.size,
            "etag": item.etag,
            "modified": item.modified,
            "version_id": item.version_id,
        }
        ran = await run_project_command(
            self.context,
            command,
            step=self.step,
            n=item.n,
            environment={
                "S3PLAN_KEY": item.path,
                "S3PLAN_FORM": item.key,
                "S3PLAN_VERSION_ID": item.version_id or "",
            },
            stdin=msgspec.json.encode(told) + b"\n",
        )
        if not ran.ok:
            how = ran.problem or f"exit code {ran.exit_code}"
            raise _Blocked("before-delete", f"the command {command.name} did not end well: {how}")

    async def _remove(self, item: Item) -> None:
        guard = item.etag if self.conditional and item.version_id is None else None
        (result,) = await self._delete([DeleteTarget(item.key, guard, item.version_id)])
        error = result.error
        if isinstance(error, PreconditionFailedError):
            raise _Left("form-changed", "it was changed meanwhile")
        if isinstance(error, OutcomeUnknownError) and not await self._is_there(item):
            error = None
        if error is not None and not isinstance(error, NoSuchKeyError):
            raise error
        self._done(item)

    async def _is_there(self, item: Item) -> bool:
        try:
            await self.bucket.head(item.key, version=item.version_id)
        except NoSuchKeyError:
            return False
        return True

    def _done(self, item: Item) -> None:
        self.context.receive(self.step, "done", [item.n], item.size, [item.key])

    def _problem(self, item: Item, outcome: Outcome, reason: str, message: str) -> None:
        look = "s3plan plan again, and review what is left" if outcome == "drifted" else None
        self.context.problem(self.step, item.n, item.key, item.path, outcome, reason, message, look)


async def purge(context: Context, step: Step, action: Purge) -> None:
    """Run a purge step."""
    await _Purger(context, step, action).run()
    context.check_stop()
