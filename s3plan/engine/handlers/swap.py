"""``swap``: the staged form takes its object's place, if both are still what they were.

One conditional write for each object: a reader sees the old form or the new one. A writer who came
between is not written over, and the item is left alone. The old form stays: as a version where the
bucket keeps them, elsewhere under its shadow key.
"""

from __future__ import annotations

from s3plan.engine.comparing import compare_heads
from s3plan.engine.context import Context
from s3plan.engine.layout.exchange import Exchange, Place
from s3plan.engine.layout.facts import Found, told
from s3plan.engine.layout.failing import Differs
from s3plan.engine.layout.forms import Form, check_planned, old_key, read_form
from s3plan.engine.layout.worklist import Worklist
from s3plan.engine.looking import look_at
from s3plan.engine.state import ItemState
from s3plan.errors import NoSuchKeyError, OutcomeUnknownError, PreconditionFailedError
from s3plan.model.journal import CopyFacts
from s3plan.model.objects import ObjectHead
from s3plan.model.steps import Item, Step, Swap
from s3plan.rules.recipes import algorithms, same_attributes
from s3plan.store import Bucket
from s3plan.tables import Database


class Swapper:
    """One swap step."""

    def __init__(
        self, context: Context, step: Step, action: Swap, database: Database, kept: Database
    ) -> None:
        """The databases are for what the journal says of new forms and of old ones."""
        self.context = context
        self.step = step
        self.action = action
        self.bucket = context.bucket(step)
        self.found = Found(context, action.verified)
        self.kept = Found(context, action.staged)
        self.kept_database = kept
        self.exchange = Exchange(context, step, action)
        self.database = database

    async def one(self, item: Item) -> None:
        """Swap one item."""
        facts = await self.found.take(item.n, self.database)
        if facts is None:
            raise Differs("the journal does not say what was verified")
        try:
            staged = await read_form(self.bucket, item.path, if_match=facts.etag)
        except (NoSuchKeyError, PreconditionFailedError) as error:
            raise Differs("what was staged is gone or was changed since it was verified") from error
        if self.action.keeps_old:
            await self._check_old(item)
        storage_class = self.action.recipe.storage_class or item.storage_class
        if not self.context.step_state(self.step).begun(item.n):
            check_planned(item, await self.bucket.head(item.key))
        elif await self._is_swapped(item, staged, storage_class):
            return  # by an earlier session
        place = Place(item.n, item.key, item.etag, storage_class)
        await self._abandon(item)
        try:
            written = await self.exchange.write(staged, facts.checksum, place)
        except (PreconditionFailedError, NoSuchKeyError, OutcomeUnknownError):
            # Somebody else's write came first; or our own, whose answer was lost.
            if not await self._is_swapped(item, staged, storage_class):
                raise
            return
        if written.held and written.etag:
            made = CopyFacts(item.n, written.etag, "", facts.checksum, written.version_id)
            self._done(item, made)
        elif not await self._is_swapped(item, staged, storage_class):
            raise Differs("the endpoint said that it was replaced, and it was not")

    async def _is_swapped(self, item: Item, staged: Form, storage_class: str) -> bool:
        """Whether the new form stands there already: then the item is done.

        Raises PreconditionFailedError where neither form does, NoSuchKeyError where none does.
        """
        now = await read_form(self.bucket, item.key)
        if now.attributes.storage_class == storage_class and await is_same(
            self.bucket, now, staged
        ):
            self._done(item, facts_of(item, now.head))
            return True
        check_planned(item, now.head)
        return False

    async def _check_old(self, item: Item) -> None:
        """The only way back: it must be the very object that the verification compared."""
        facts = await self.kept.take(item.n, self.kept_database)
        if facts is None:
            raise Differs("the journal does not say which old form was verified")
        try:
            kept = await self.bucket.head(old_key(item))
        except NoSuchKeyError as error:
            raise Differs("the old form that was kept is gone") from error
        if (kept.size, kept.etag) != (item.size, facts.etag):
            raise Differs("the old form that was kept was changed since it was verified")

    async def _abandon(self, item: Item) -> None:
        begun = self.context.state.uploads.pop((self.step.id, item.n), None)
        if begun is not None:
            await self.bucket.upload(item.key, begun).abort()

    def _done(self, item: Item, facts: CopyFacts) -> None:
        told(self.context, self.step.id, facts)
        self.context.receive(
            self.step, "done", [item.n], item.size, [item.key] if self.context.item_log else ()
        )


async def is_same(bucket: Bucket, now: Form, other: Form) -> bool:
    """Whether two forms have the same attributes, parts and content.

    Two requests more, and bodies only where S3 keeps nothing that could be compared.
    """
    return (
        now.head.size == other.head.size
        and same_attributes(other.attributes, now.attributes)
        and now.parts == other.parts
        and set(algorithms(other.head)) <= set(algorithms(now.head))
        and (await compare_heads(bucket, now.head, bucket, other.head)).verdict == "verified"
    )


def facts_of(item: Item, head: ObjectHead) -> CopyFacts:
    """What the form that stands at an item's key is recognised by."""
    return CopyFacts(item.n, head.etag, head.modified, None, head.version_id)


async def changed_already(context: Context, step: Step) -> tuple[int, ...]:
    """Items that nobody began, and that are not as planned: whatever took their place, it was not
    this run.
    """
    state = context.step_state(step)
    fresh = [item for item in context.plan.items(step.id) if state.of(item.n) is ItemState.PENDING]
    there = await look_at(context.bucket(step), [item.key for item in fresh])
    return tuple(
        item.n
        for item in fresh
        if item.key not in there or not there[item.key].is_like(item.size, item.etag, item.modified)
    )


async def swap(context: Context, step: Step, action: Swap) -> None:
    """Run a swap step."""
    with context.tables() as database, context.tables() as kept:
        swapper = Swapper(context, step, action, database, kept)
        await Worklist(context, step, writes=True).run(swapper.one)
