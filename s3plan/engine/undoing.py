"""Worklists of a rollback: the items of a run's step that it may have to take back."""

from __future__ import annotations

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
        SELECT key, row_number() OVER (ORDER BY key) - 1 AS n FROM items WHERE step = ?
    ) AS numbered WHERE items.step = ? AND items.key = numbered.key"""


def fill_items(
    plan: PlanFile,
    state: RunState,
    database: Database,
    step: Step,
    draft: StepDraft,
    states: tuple[ItemState, ...],
    *,
    begun: bool = False,
) -> None:
    """The items of a run's step in one of ``states``, as rows under the draft's id.

    With ``begun`` only those at whose path nothing was when the run came to them.
    """
    known = state.step(step.id)
    rows: list[tuple[str, str, int, str, str, str, str | None]] = []

    def flush() -> None:
        columns = list(zip(*rows, strict=True)) if rows else []
        if columns:
            names = ("key", "path", "size", "etag", "modified", "storage_class", "checksum")
            database.append(
                ITEMS,
                {name: list(values) for name, values in zip(names, columns, strict=True)},
                {"step": draft.id},
            )
            rows.clear()

    for item in plan.items(step.id):
        if known.of(item.n) in states and (not begun or known.begun(item.n)):
            rows.append(
                (
                    item.key,
                    item.path,
                    item.size,
                    item.etag,
                    item.modified,
                    item.storage_class,
                    item.checksum,
                )
            )
            if len(rows) == _BATCH:
                flush()
    flush()


def kept_if_any(database: Database, draft: StepDraft) -> list[StepDraft]:
    """The draft with its rows numbered anew and its estimate; nothing where no row is left."""
    database.execute(_RENUMBER, [draft.id, draft.id])
    items, size = database.row(
        "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM items WHERE step = ?",
        [draft.id],
    )
    if not items:
        return []
    seconds = transfer_seconds(Totals(items, size))
    return [msgspec.structs.replace(draft, worklist=draft.id, seconds=seconds)]
