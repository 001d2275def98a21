"""Taking a grouping back: deleted sources, then the table of URLs, then the copies and the backup.

Whatever the run may have made is in the plan, and looked at when its turn comes. What a later run
deleted, behind its gates, is copied back first: the table names it then, and copies whose sources
are gone stay. They stay too where the table could not be put back: its URLs name them.
"""

from __future__ import annotations

from os.path import commonprefix

from msgspec import UNSET
from msgspec.structs import replace

from s3plan.engine.copied import earlier_run, load_earlier
from s3plan.engine.runs import Run
from s3plan.engine.soak.earlier import cleanups_of
from s3plan.engine.state import ItemState, RunState
from s3plan.engine.undoing import fill_items, kept_if_any, number_items
from s3plan.inventory.s3 import observe_bucket
from s3plan.model.grouping import GroupingRules
from s3plan.model.plan import Stage
from s3plan.model.soak import EarlierCopy
from s3plan.model.steps import Copy, DeleteSource, Need, RemoveCopy, RestoreFile, Step
from s3plan.plan.drafts import StepDraft
from s3plan.plan.reading import PlanFile
from s3plan.store import Store
from s3plan.tables import Database

_MADE = (
    ItemState.VERIFIED,
    ItemState.UNKNOWN,
    ItemState.MISMATCHED,
    ItemState.FAILED,
)
"""States of a copy item whose copy, or whose unfinished upload, may be there."""

_LEFT = (ItemState.DONE, ItemState.UNKNOWN, ItemState.FAILED)
"""States of a deleted source that may be gone; only the bucket can tell."""

_DELETED = "deleted"
"""The step under whose name the rows of deleted sources stand meanwhile."""

# From the copy as it is now where it is still the one that was verified; else as it was recorded,
# so that the copying looks, says why not, and keeps it.
_BACK = f"""
    INSERT INTO items (step, n, key, path, size, etag, modified, storage_class, checksum)
    SELECT $step, 0, i.path, i.key, i.size, c.etag, coalesce(t.modified, ''), i.storage_class,
        i.checksum
    FROM items i JOIN copies c USING (n)
    LEFT JOIN listing t ON t.bucket = $copies AND t.key = i.path
        AND t.size = i.size AND t.etag = c.etag
    WHERE i.step = '{_DELETED}'
        AND NOT EXISTS (SELECT 1 FROM listing s WHERE s.bucket = $source AND s.key = i.key)
        AND NOT EXISTS (SELECT 1 FROM items d WHERE d.step <> '{_DELETED}' AND d.path = i.key)"""  # noqa: S608 - a constant of this module

_BOUNDS = "SELECT min(key), max(key), min(path), max(path) FROM items WHERE step = ?"


async def grouping_drafts(
    run: Run,
    plan: PlanFile,
    state: RunState,
    store: Store,
    database: Database,
    only: Stage | None,
) -> list[StepDraft]:
    """The steps that take the run's grouping back, or one stage of it; none for what it left out.

    Deletions of later runs on this run's copies are taken back with it.
    """
    drafts: list[StepDraft] = []
    if only in (None, "sources"):
        drafts += await _copied_back(run, plan, store, database)
    if only in (None, "catalog"):
        drafts += _tables(plan, state, tuple(Need(draft.id) for draft in drafts))
    needs = tuple(Need(draft.id) for draft in drafts)
    for step in plan.steps:
        if isinstance(step.action, Copy) and only in (None, stage_of(step.action)):
            drafts += _removed(plan, state, database, step, step.action, needs)
    return drafts


def stages_of(plan: PlanFile, state: RunState) -> frozenset[Stage]:
    """The stages in which the run did something that can be taken back."""
    found: set[Stage] = {"catalog"} if state.rewritten else set()
    for step in plan.steps:
        if not any(state.step(step.id).items):
            continue
        if isinstance(step.action, Copy):
            found.add(stage_of(step.action))
        elif isinstance(step.action, DeleteSource):
            found.add("sources")
    return frozenset(found)


def stage_of(action: Copy) -> Stage:
    """Whether a copy step made the new layout, or a backup."""
    return "copies" if isinstance(action.grouping, GroupingRules) else "backup"


def _tables(plan: PlanFile, state: RunState, needs: tuple[Need, ...]) -> list[StepDraft]:
    """Tables that the run replaced, or was about to."""
    return [
        StepDraft(
            action=RestoreFile(
                file=record.file, backup=record.backup, before=record.before, after=record.after
            ),
            subject=step.subject,
            reversibility="free",
            undo="rewrite the table again",
            reason="the run replaced the table; its backup goes back only over what the run left",
            needs=needs,
        )
        for step in plan.steps
        if (record := state.rewritten.get(step.id)) is not None
    ]


def _removed(
    plan: PlanFile,
    state: RunState,
    database: Database,
    step: Step,
    action: Copy,
    needs: tuple[Need, ...],
) -> list[StepDraft]:
    """The copies that a step made taken away again."""
    tables = [state.rewritten[one.id].file for one in plan.steps if one.id in state.rewritten]
    draft = StepDraft(
        action=RemoveCopy(source=action.source, copied=step.id),
        subject=step.subject,
        reversibility="free",
        undo="copy the objects again",
        reason="the run made these copies; each goes only if its original is there and matches",
        needs=needs,
        # Alone, this stage leaves the table as it is.
        warnings=()
        if needs
        else tuple(
            f"URLs in {file} may name these copies; --only catalog first" for file in tables
        ),
    )
    fill_items(plan, state, database, step, draft.id, _MADE, begun=True)
    return kept_if_any(database, draft)


async def _copied_back(
    run: Run, plan: PlanFile, store: Store, database: Database
) -> list[StepDraft]:
    """What this run and later ones deleted of the sources, copied back; what is there is not."""
    own = ((run, plan, step) for step in plan.steps if isinstance(step.action, DeleteSource))
    back: dict[str, tuple[StepDraft, dict[str, None]]] = {}
    for other, theirs, step in [*own, *cleanups_of(run)]:
        action = step.action
        assert isinstance(action, DeleteSource)
        # The last run that copied an object made the copy that is there.
        for one in reversed(action.earlier):
            if run not in (other, earlier_run(other, one.run)):
                continue  # of a deletion by another run only what was deleted on our copies
            draft = _return(other, step.subject, action.copies, one)
            draft, names = back.setdefault(draft.id, (draft, {}))
            names[other.id] = None
            _load_deleted(other, theirs, step, one, database)
            await _list_both(step.subject, action.copies, store, database)
            values = {"step": draft.id, "copies": action.copies, "source": step.subject}
            database.execute(_BACK, values)
            database.execute("DELETE FROM items WHERE step = ?", [_DELETED])
    drafts: list[StepDraft] = []
    for draft, names in back.values():
        reason = f"run {', '.join(names)} deleted these sources; their verified copies are there"
        drafts += kept_if_any(database, replace(draft, reason=reason))
    return drafts


def _return(other: Run, bucket: str, copies: str, one: EarlierCopy) -> StepDraft:
    """The step that undoes a copy the other way: without the tags that it gave."""
    made = PlanFile.open(earlier_run(other, one.run).plan).step(one.step).action
    assert isinstance(made, Copy)
    given = (*made.tags, *(made.tag_templates or ()))
    warnings = []
    if given:
        names = ", ".join(sorted(given))
        warnings.append(f"Tags that sources had under the names {names} are not known any more.")
    if made.headers:
        names = ", ".join(sorted(made.headers))
        warnings.append(f"The headers {names} stay as target.headers made them.")
    return StepDraft(
        action=Copy(
            source=copies,
            acl="keep" if made.acl == "keep" else None,
            without_tags=tuple(sorted(given)) or UNSET,
        ),
        subject=bucket,
        reversibility="free",
        undo="delete the sources again",
        reason="",
        warnings=tuple(warnings),
    )


def _load_deleted(
    other: Run, plan: PlanFile, step: Step, one: EarlierCopy, database: Database
) -> None:
    """What a step deleted, or may have, as rows; and in ``copies`` what is known of each copy."""
    fill_items(plan, other.state(), database, step, _DELETED, _LEFT)
    number_items(database, _DELETED)
    database.execute("DELETE FROM copies")
    load_earlier(other, [one], database, _DELETED)


async def _list_both(source: str, copies: str, store: Store, database: Database) -> None:
    """List what the rows of deleted sources name on both sides, anew."""
    first, last, first_copy, last_copy = database.row(_BOUNDS, [_DELETED])
    database.execute("DELETE FROM listing")
    if first is None:
        return
    # Keys are compared by character, not by path component: that is what is wanted.
    prefixes = {source: [first, last]}
    prefixes.setdefault(copies, []).extend([first_copy, last_copy])
    for name, bounds in prefixes.items():
        prefix = commonprefix(bounds)  # noqa: RUF071
        await observe_bucket(store.bucket(name), database, prefix=prefix, observer=lambda _: None)
