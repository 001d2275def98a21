"""What runs of a directory copied, and how far their soaks are: what a plan to delete goes by."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

from s3plan.engine import runs
from s3plan.engine.copied import load_copies
from s3plan.engine.runs import Run
from s3plan.engine.soak.record import standing
from s3plan.engine.state import ItemState, RunState, StepState
from s3plan.errors import StaleError
from s3plan.model.grouping import GroupingRules
from s3plan.model.plan import Target
from s3plan.model.soak import EarlierCopy, EarlierRun, RunFile, SoakStanding
from s3plan.model.steps import Copy, DeleteSource, Item, Step
from s3plan.plan.reading import PlanFile
from s3plan.rules.filetimes import modified_of
from s3plan.rules.grouping.filetypes import type_of_object
from s3plan.rules.grouping.keys import KeyPattern
from s3plan.tables import COPIED, Database

_BATCH = 5_000

_ETAGS = """
    UPDATE copied SET copy_etag = c.etag FROM copies c
    WHERE copied.run = ? AND copied.step = ? AND c.n = copied.n"""

# What was copied anew since then counts as the later run left it.
_LATEST = """
    DELETE FROM copied WHERE rowid NOT IN (
        SELECT max(rowid) FROM copied GROUP BY source, target, key)"""


def load_copied(
    directory: Path, target: Target, buckets: Collection[str], database: Database
) -> tuple[EarlierRun, ...]:
    """Fill ``copied`` with every proved copy between ``buckets`` of runs that finished and were not
    taken back; these runs, oldest first. Raises as :func:`finished_runs`.
    """
    found: list[EarlierRun] = []
    # By time: the ids of runs of one second are in no order.
    for run, plan, state, soak in sorted(finished_runs(directory), key=lambda one: one[3].began):
        if plan.header.target != target:
            continue
        for step in grouping_steps(plan):
            assert isinstance(step.action, Copy)
            if {step.action.source, step.subject} <= set(buckets):
                load_step(run, plan, state, step, database)
                found.append(
                    EarlierRun(
                        EarlierCopy(run.id, step.id),
                        step.action.source,
                        step.subject,
                        soak,
                        str(run.folder.parent.absolute()),
                        tuple(files_of(run)),
                    )
                )
    database.execute(_LATEST)
    return tuple(found)


def files_of(run: Run) -> Iterator[RunFile]:
    """The files of a run, and of the runs that deleted its sources; no locks and no links."""
    others = (other for other, _, _ in cleanups_of(run))
    for folder in dict.fromkeys([run.folder, *(other.folder for other in others)]):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink() and path.name != run.lock.name:
                status = path.stat()
                yield RunFile(
                    path.relative_to(run.folder.parent).as_posix(),
                    status.st_size,
                    modified_of(status.st_mtime_ns),
                )


def finished_runs(directory: Path) -> Iterator[tuple[Run, PlanFile, RunState, SoakStanding]]:
    """The runs that copied by type, came to their end and were not taken back, oldest first.

    Raises PlanFileError and JournalError for one that is damaged: what it copied is not known.
    """
    for run in runs.runs_in(directory):
        plan = PlanFile.open(run.plan)
        if not grouping_steps(plan):
            continue
        state = run.state()
        try:
            yield run, plan, state, standing(run, plan, state)
        except StaleError:
            continue


def grouping_steps(plan: PlanFile) -> tuple[Step, ...]:
    """The steps of a plan that copy to the new layout; a backup is none."""
    return tuple(
        step
        for step in plan.steps
        if isinstance(step.action, Copy) and isinstance(step.action.grouping, GroupingRules)
    )


def load_step(run: Run, plan: PlanFile, state: RunState, step: Step, database: Database) -> None:
    """Add what a copy step proved to ``copied``."""
    action = step.action
    assert isinstance(action, Copy)
    rules = action.grouping
    assert isinstance(rules, GroupingRules)
    database.execute("DELETE FROM copies")
    load_copies(run.journal, step.id, database)
    pattern = KeyPattern.parse(rules.pattern)
    items = proved_items(plan, state.step(step.id), step)
    while batch := list(islice(items, _BATCH)):
        parts = [pattern.parts(item.key.removeprefix(rules.prefix)) or {} for item in batch]
        database.append(
            COPIED,
            {
                "n": [item.n for item in batch],
                "key": [item.key for item in batch],
                "path": [item.path for item in batch],
                "size": [item.size for item in batch],
                "etag": [item.etag for item in batch],
                "modified": [item.modified for item in batch],
                "storage_class": [item.storage_class for item in batch],
                "row_id": [part.get("row_id", "") for part in parts],
                "type": [
                    type_of_object(rules.rules, rules.default, item.key, item.size, item.label)
                    for item in batch
                ],
            },
            {"run": run.id, "step": step.id, "source": action.source, "target": step.subject},
        )
    database.execute(_ETAGS, [run.id, step.id])


def proved_items(plan: PlanFile, known: StepState, step: Step) -> Iterator[Item]:
    """The items of a copy step whose copies were proved."""
    return (item for item in plan.items(step.id) if known.of(item.n) is ItemState.VERIFIED)


def cleaned_items(run: Run, step: Step) -> Iterator[Item]:
    """Sources that later runs deleted, behind their gates, on the copies of this one."""
    for other, plan, deleting in cleanups_of(run):
        action = deleting.action
        assert isinstance(action, DeleteSource)
        if any((one.run, one.step) == (run.id, step.id) for one in action.earlier):
            known = other.state().step(deleting.id)
            for item in plan.items(deleting.id):
                if known.of(item.n) is ItemState.DONE:
                    yield item


def cleanups_of(run: Run) -> list[tuple[Run, PlanFile, Step]]:
    """The steps of other runs beside it that delete, or deleted, sources on its copies; those that
    were taken back are none.
    """
    found: list[tuple[Run, PlanFile, Step]] = []
    for other in runs.runs_in(run.folder.parents[2]):
        if other.id == run.id or other.taken_back("sources"):
            continue
        plan = PlanFile.open(other.plan)
        found += (
            (other, plan, step)
            for step in plan.steps
            if isinstance(step.action, DeleteSource)
            and any(one.run == run.id for one in step.action.earlier)
        )
    return found
