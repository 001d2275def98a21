"""What becomes of the objects that a plan was asked to be for: planned, or skipped and why."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from s3plan.model.steps import AnyAction, Copy, Purge, RemoveCopy, RewriteFile, VerifyCopies
from s3plan.model.worklist import SkipReason
from s3plan.plan.drafts import StepDraft
from s3plan.rules.counting import counted
from s3plan.tables import Database

_NAMED = 5

_WORDS: dict[SkipReason, str] = {
    "duplicate": "named before",
    "not-found": "no such object",
    "not-eligible": "nothing to do for it, or not selected",
}


def bucket_of_keys(action: AnyAction, subject: str) -> str:
    """The bucket that holds the keys of a step's items: the subject, but for copies."""
    if isinstance(action, Copy | VerifyCopies | RemoveCopy | RewriteFile):
        return action.source
    return subject


def key_column(action: AnyAction) -> Literal["key", "path"]:
    """Which of an item's two keys is the object's own: what is purged stands beside its object."""
    return "path" if isinstance(action, Purge) else "key"


def note_missing(database: Database, looked_at: Collection[str]) -> None:
    """Note entries that no object of a bucket that was looked at is of. Before planning: planning
    forgets what it does not select.
    """
    database.execute(
        "UPDATE asked SET reason = 'not-found' WHERE reason IS NULL"
        " AND list_contains(?::VARCHAR[], bucket) AND (bucket, key) NOT IN"
        " (SELECT (bucket, key) FROM listing WHERE history IS NULL)",
        [sorted(looked_at)],
    )


def settle(drafts: Sequence[StepDraft], database: Database) -> None:
    """Note entries that no step is about, after planning."""
    lists = {
        draft.worklist: (bucket_of_keys(draft.action, draft.subject), key_column(draft.action))
        for draft in drafts
        if draft.worklist is not None
    }
    database.execute(
        "UPDATE asked SET reason = 'not-eligible' WHERE reason IS NULL AND (bucket, key) NOT IN ("
        " SELECT (w.bucket, CASE WHEN w.stands_in = 'path' THEN i.path ELSE i.key END)"
        " FROM items i JOIN (SELECT unnest(?::VARCHAR[]) AS step, unnest(?::VARCHAR[]) AS bucket,"
        " unnest(?::VARCHAR[]) AS stands_in) AS w ON i.step = w.step)",
        [list(lists), *([one[place] for one in lists.values()] for place in (0, 1))],
    )


def told(database: Database, name: str) -> list[str]:
    """What became of the worklist that the person calls ``name``: a sentence, and one a reason."""
    entries, planned = database.row("SELECT count(*), count(*) FILTER (reason IS NULL) FROM asked")
    sentences = [f"{name}: {counted(entries, 'entry', 'entries')}, {planned:,} planned for."]
    for reason, words in _WORDS.items():
        (count,) = database.row("SELECT count(*) FROM asked WHERE reason = ?", [reason])
        if count:
            first = database.rows(
                "SELECT bucket, key FROM asked WHERE reason = ? ORDER BY n LIMIT ?",
                [reason, _NAMED],
            )
            names = ", ".join(f"s3://{bucket}/{key}" for bucket, key in first)
            more = f", and {count - _NAMED:,} more" if count > _NAMED else ""
            sentences.append(f"{name}: {count:,} skipped as {reason} ({words}): {names}{more}.")
    return sentences
