"""What the verification found of staged forms, on its way to the swap that rests on it."""

from __future__ import annotations

from s3plan.engine.context import Context
from s3plan.engine.copied import load_copies
from s3plan.model.journal import Copied, CopyFacts
from s3plan.model.objects import Checksum
from s3plan.tables import Database

MOST = 10_000
"""Facts in memory; what is more is read from the journal when it is wanted."""

_FACT = "SELECT n, etag, modified, algorithm, value FROM copies WHERE n = ?"


def told(context: Context, step: str, facts: CopyFacts) -> None:
    """Note in the journal what an object is recognised by that a step made, or found right.

    Before the receipt, which promises that the object can be recognised.
    """
    record = Copied(step=step, copies=(facts,))
    context.journal.note(record)
    context.state.apply(context.journal.seq, record)


def keep_at_hand(context: Context, step: str, facts: CopyFacts, most: int = MOST) -> None:
    """Have facts that the journal was told of ready for the step that goes by them."""
    at_hand = context.handed_on.setdefault(step, {})
    if len(at_hand) < most:
        at_hand[facts.n] = facts


class Found:
    """The facts of one verification step, for the swap of the same session or of a later one."""

    def __init__(self, context: Context, step: str) -> None:
        """``step`` is the verification's id."""
        self._context = context
        self._step = step
        self._at_hand = context.handed_on.setdefault(step, {})

    def note(self, facts: CopyFacts) -> None:
        """An item was verified."""
        told(self._context, self._step, facts)
        keep_at_hand(self._context, self._step, facts)

    async def take(self, n: int, database: Database) -> CopyFacts | None:
        """The facts of an item that was verified; None where the journal has none.

        ``database`` is the swap's own: its table of copies is filled from the journal when an item
        is not at hand, and again when it is not in there either.
        """
        if n in self._at_hand:
            return self._at_hand.pop(n)
        if self._context.records is not None:
            return None
        facts = await self._context.in_thread(_look_up, database, n)
        if facts is None:
            await self._context.journal.flush()
            await self._context.in_thread(
                load_copies, self._context.run.journal, self._step, database
            )
            facts = await self._context.in_thread(_look_up, database, n)
        return facts


def _look_up(database: Database, n: int) -> CopyFacts | None:
    for number, etag, modified, algorithm, value in database.rows(_FACT, [n]):
        checksum = Checksum(algorithm, value) if algorithm else None
        return CopyFacts(number, etag, modified, checksum)
    return None
