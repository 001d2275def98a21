"""``swap-back``: the old form takes its place again, where the new one stands as the run left it.

Before that the old form is looked at: as a version, or under its shadow key, it must still be what
it was. Everything else is kept and said. What was staged stays for a LayoutCleanup.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from s3plan.engine.context import Context
from s3plan.engine.copied import load_taken_back
from s3plan.engine.gate import load_items
from s3plan.engine.handlers.swap import is_same
from s3plan.engine.layout.exchange import Exchange, Place
from s3plan.engine.layout.forms import Form, old_key, read_form
from s3plan.engine.layout.worklist import Worklist
from s3plan.engine.records import load_made
from s3plan.errors import NoSuchKeyError, OutcomeUnknownError, PreconditionFailedError
from s3plan.model.steps import Item, Step, SwapBack
from s3plan.plan.reading import PlanFile
from s3plan.tables import Database

_WINDOW = 1_000
"""Items whose notes are fetched by one query."""

_WINDOWS = 4
"""How many of these are kept: workers are at neighbouring items."""

# What the run's journal says of items, by their numbers in this worklist.
_NOTES = """
    SELECT n, c.etag, k.etag FROM copies c FULL JOIN kept k USING (n)
    WHERE n BETWEEN $first AND $last"""


@dataclass(frozen=True, slots=True)
class _Note:
    """ETags that the run noted of one item: of the form it put in place, of the one it kept."""

    put: str | None = None
    kept: str | None = None


class _Kept(Exception):
    """An item that is left as it is, and why."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class _Returner:
    """One swap-back step."""

    def __init__(self, context: Context, step: Step, action: SwapBack, database: Database) -> None:
        self.context = context
        self.step = step
        self.action = action
        self.bucket = context.bucket(step)
        self.exchange = Exchange(context, step, action)
        self.database = database
        self.windows: OrderedDict[int, dict[int, _Note]] = OrderedDict()

    async def one(self, item: Item) -> None:
        """Take one item back."""
        try:
            await self._take_back(item)
        except _Kept as kept:
            self.context.problem(
                self.step, item.n, item.key, item.path, "kept", kept.reason,
                f"{item.key}: {kept}; it was left as it is",
                "look at it yourself; s3plan will not touch it",
            )  # fmt: skip

    async def _take_back(self, item: Item) -> None:
        await self._abandon(item)
        try:
            now = await read_form(self.bucket, item.key)
        except NoSuchKeyError as error:
            raise _Kept("not-ours", "it was deleted since the run") from error
        known = (await self._noted(item)).put
        if known is None and _is_planned(item, now):
            self._done(item)  # it was never swapped
            return
        old = await self._old(item)
        if now.attributes.storage_class == item.storage_class and await is_same(
            self.bucket, now, old
        ):
            self._done(item)  # an earlier attempt of ours took it back
            return
        await self._check_ours(item, now, known)
        place = Place(item.n, item.key, now.head.etag, item.storage_class)
        try:
            await self.exchange.write(old, None, place)
        except (PreconditionFailedError, NoSuchKeyError, OutcomeUnknownError) as error:
            after = await read_form(self.bucket, item.key)
            if not await is_same(self.bucket, after, old):
                raise _Kept("not-ours", "it was changed meanwhile") from error
        self._done(item)

    async def _old(self, item: Item) -> Form:
        """The old form; it must be there as it was before anything is put back over the new one."""
        gone = _Kept("last-copy", "its old form is not there any more as it was")
        try:
            if not self.action.keeps_old:
                old = await read_form(self.bucket, item.key, version=item.version_id)
                same = (old.head.size, old.head.etag) == (item.size, item.etag)
            else:
                known = (await self._noted(item)).kept
                old = await read_form(self.bucket, old_key(item))
                same = old.head.size == item.size and old.head.etag == known
        except NoSuchKeyError as error:
            raise gone from error
        if not same:
            raise gone
        return old

    async def _check_ours(self, item: Item, now: Form, known: str | None) -> None:
        """Raise _Kept unless what stands at the key is what the run put there."""
        if known is not None:
            ours = now.head.etag == known
        else:
            # Killed between the write and its record: what was staged tells.
            try:
                ours = await is_same(self.bucket, now, await read_form(self.bucket, item.path))
            except NoSuchKeyError:
                ours = False
        if not ours:
            raise _Kept("not-ours", "it was changed since the run")

    async def _noted(self, item: Item) -> _Note:
        block = item.n // _WINDOW
        if block not in self.windows:
            found = await self.context.in_thread(self._window, block)
            self.windows[block] = found
            if len(self.windows) > _WINDOWS:
                self.windows.popitem(last=False)
        else:
            found = self.windows[block]
        return found.get(item.n, _Note())

    def _window(self, block: int) -> dict[int, _Note]:
        first = block * _WINDOW
        range_ = {"first": first, "last": first + _WINDOW - 1}
        rows = self.database.rows(_NOTES, range_)
        return {n: _Note(put, kept) for n, put, kept in rows}

    async def _abandon(self, item: Item) -> None:
        """Abort the upload that was to complete at the key, of the run or of this rollback."""
        begun = self.context.state.uploads.pop((self.step.id, item.n), None)
        if begun is not None:
            await self.bucket.upload(item.key, begun).abort()

    def _done(self, item: Item) -> None:
        self.context.receive(
            self.step, "done", [item.n], item.size, [item.key] if self.context.item_log else ()
        )


def _is_planned(item: Item, now: Form) -> bool:
    head = now.head
    return (head.size, head.etag, head.modified[:19]) == (
        item.size,
        item.etag,
        item.modified[:19],
    ) and (item.version_id in (None, head.version_id))


def load_forms(context: Context, step: Step, action: SwapBack, database: Database) -> None:
    """Fill ``items``, ``kept`` and ``copies`` with what the run noted of the forms that it kept,
    and of those that it put in place. Blocks.
    """
    load_items(context, step, database)

    def taken_back(made: str) -> None:
        load_made(
            context, database, made, lambda: load_taken_back(context.run, made, database, step.id)
        )

    taken_back(action.staged)
    database.execute("CREATE TABLE kept AS SELECT * FROM copies")
    database.execute("DELETE FROM copies")
    taken_back(action.swapped)


async def abandon_uploads(context: Context, step: Step, action: SwapBack) -> None:
    """Abort the uploads that the run began to put new forms in place, and did not complete."""
    run = context.run
    left = {n: i for (named, n), i in run.state().uploads.items() if named == action.swapped}
    bucket = context.bucket(step)
    for item in PlanFile.open(run.plan).items(action.swapped) if left else ():
        if item.n in left:
            await bucket.upload(item.key, left[item.n]).abort()


async def swap_back(context: Context, step: Step, action: SwapBack) -> None:
    """Run a swap-back step."""
    with context.tables() as database:
        returner = _Returner(context, step, action, database)
        await context.in_thread(load_forms, context, step, action, database)
        await Worklist(context, step, writes=True).run(returner.one)
