"""Worklists of a rollback: the items of a run's step that it may have to take back."""

from __future__ import annotations

from itertools import islice

import msgspec

from s3plan.engine.state import ItemState, RunState
from s3plan.model.steps import Step, Totals
from s3plan.plan.drafts import StepDraft
from s3plan.plan.estimate import transfer_seconds
from s3plan.plan.reading import PlanFile
from s3plan.tables import ITEMS, Database

_BATCH = 10_000

_RENUMBER = """
    UPDATE items SET n = numbered.n FROM (
        SELECT rowid AS r, row_number() OVER (ORDER BY key, coalesce(newer, 0) DESC) - 1 AS n
        FROM items WHERE step = ?
    ) AS numbered WHERE items.rowid = numbered.r"""

_COLUMNS = ("key", "path", "size", "etag", "modified", "storage_class", "checksum")
_VERSION_COLUMNS = ("version_id", "newer", "marker", "history")


def fill_items(
    plan: PlanFile,
    state: RunState,
    database: Database,
    step: Step,
    into: str,
    states: tuple[ItemState, ...],
    *,
    begun: bool = False,
) -> None:
    """The items of a run's step in one of ``states``, as rows under the id ``into``; none that was
    ambiguous, to which nothing was done.

    With ``begun`` only those at whose path nothing was when the run came to them.
    """
    known = state.step(step.id)
    meant = (
        item
        for item in plan.items(step.id)
        if known.of(item.n) in states and not item.ambiguous and (not begun or known.begun(item.n))
    )
    while batch := list(islice(meant, _BATCH)):
        versions = any(item.version_id is not None for item in batch)
        names = (*_COLUMNS, *_VERSION_COLUMNS) if versions else _COLUMNS
        columns = {name: [getattr(item, name) for item in batch] for name in names}
        database.append(ITEMS, columns, {"step": into})


def number_items(database: Database, step: str) -> None:
    """Number the rows of a step anew, in the order of their keys."""
    database.execute(_RENUMBER, [step])


def kept_if_any(database: Database, draft: StepDraft) -> list[StepDraft]:
    """The draft with its rows numbered anew and its estimate; nothing where no row is left."""
    number_items(database, draft.id)
    items, size = database.row(
        "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM items WHERE step = ?",
        [draft.id],
    )
    if not items:
        return []
    seconds = transfer_seconds(Totals(items, size))
    return [msgspec.structs.replace(draft, worklist=draft.id, seconds=seconds)]
