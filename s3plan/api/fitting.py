"""Whether what is planned fits: into the destinations, and into the memory that may be used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from s3plan.engine.archiving.sending import parts_at_once
from s3plan.errors import PlanningError, ProblemsError
from s3plan.localfs.tree import RootMissingError, Tree
from s3plan.model.connection import Limits
from s3plan.model.local import Space
from s3plan.model.steps import Archive, Download, Extract, Swap, Totals
from s3plan.plan.drafts import StepDraft
from s3plan.plan.room import lacking, room_for
from s3plan.tables import Database, directory_of

_EXTENT = f"""
    SELECT count(*), CAST(sum(size) AS BIGINT), count(DISTINCT {directory_of("path")})
    FROM items WHERE step = ?"""  # noqa: S608 - made of constants; the step is bound

# A form in parts is never sent by one PUT.
_WHOLE = """
    SELECT count(*), min(key), max(size) FROM items
    WHERE step = ? AND size > ? AND size <= ? AND NOT contains(etag, '-')"""


def check_fits(drafts: Sequence[StepDraft], database: Database, limits: Limits) -> None:
    """Refuse what cannot fit. Raises ProblemsError with all of it."""
    problems = [*_destinations(drafts, database), *_memory(drafts, database, limits)]
    if problems:
        raise ProblemsError("this cannot be planned", problems)


def _destinations(drafts: Sequence[StepDraft], database: Database) -> Iterator[PlanningError]:
    """Downloads that do not fit where they go, all that go to one destination together."""
    needed: dict[str, tuple[Totals, int]] = {}
    for draft in drafts:
        if isinstance(draft.action, Download | Extract):
            files, size, directories = database.row(_EXTENT, [draft.worklist])
            path = draft.action.destination
            totals, known = needed.get(path, (Totals(), 0))
            needed[path] = totals + Totals(files, size), known + directories
    for path, (totals, directories) in needed.items():
        free = _space(Path(path))
        for unit, wanted, found in lacking(room_for(totals, free.block, directories), free):
            yield PlanningError(
                "the objects do not fit into the destination",
                address=path,
                expected=f"{wanted:,} {unit} free",
                found=f"{found:,} {unit} free",
                next_step="make room, choose another destination, or plan fewer buckets",
            )


def _space(path: Path) -> Space:
    """What is free at ``path``, or where it would be made."""
    try:
        with Tree.open(path, create=False) as tree:
            return tree.space()
    except RootMissingError:
        with Tree.open(path.parent, create=False) as tree:
            return tree.space()


def _memory(
    drafts: Sequence[StepDraft], database: Database, limits: Limits
) -> Iterator[PlanningError]:
    """Bytes that have to be in memory as a whole, and are more than limits.memory.

    Everything else is streamed: a part that is copied never comes here, one whose bytes change goes
    through a file where it is large.
    """
    for draft in drafts:
        action = draft.action
        if (
            isinstance(action, Archive)
            and parts_at_once(action.tar, action.compression, limits) < 1
        ):
            yield PlanningError(
                "the parts of an archive do not fit into memory",
                address=f"s3://{draft.subject}/{action.key}",
                expected="room for two of its parts, of which there are at most 10,000",
                found=f"limits.memory of {limits.memory:,} bytes",
                next_step="raise limits.memory of the Connection, or archive fewer files at once",
            )
        if isinstance(action, Swap):
            count, key, largest = database.row(
                _WHOLE, [draft.worklist, limits.memory, action.largest_put]
            )
            if count:
                yield PlanningError(
                    f"{count:,} forms that are sent again by PUT do not fit into memory",
                    address=f"s3://{draft.subject}/{key}",
                    expected=f"at most limits.memory, {limits.memory:,} bytes",
                    found=f"{largest:,} bytes, within cutover.largestPut",
                    next_step="lower cutover.largestPut, or raise limits.memory of the Connection",
                )
