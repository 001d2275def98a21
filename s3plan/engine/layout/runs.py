"""What the runs of a directory know of changes of layout: what they need, what they superseded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from s3plan.engine import runs
from s3plan.engine.layout.forms import old_key
from s3plan.engine.runs import Run
from s3plan.engine.state import GOOD, RunState
from s3plan.model.plan import Target
from s3plan.model.steps import Stage, Step, Swap
from s3plan.plan.reading import PlanFile
from s3plan.tables import LAYOUT_NEEDED, SWAPPED_VERSIONS, Database, TableDef

_BATCH = 5_000


def load_layout_runs(directory: Path, target: Target, database: Database) -> None:
    """Fill ``layout_needed`` and ``swapped_versions`` from all runs below ``directory``.

    Raises JournalError or PlanFileError for a run that cannot be read: nothing tells what it needs.
    """
    for run, plan, state in _runs(directory, target):
        if _may_go_on(run, state):
            _append(
                LAYOUT_NEEDED,
                ((step.subject, key, run.id) for step, key in _forms(plan)),
                database,
            )
        elif state.rolled_back is None:
            _append(SWAPPED_VERSIONS, _superseded(plan, state), database)


def needed_keys(directory: Path, target: Target, bucket: str) -> frozenset[str]:
    """Shadow keys of the bucket that a run needs which is not finished. Raises as above."""
    return frozenset(
        key
        for run, plan, state in _runs(directory, target)
        if _may_go_on(run, state)
        for step, key in _forms(plan)
        if step.subject == bucket
    )


def _runs(directory: Path, target: Target) -> Iterator[tuple[Run, PlanFile, RunState]]:
    for run in runs.runs_in(directory):
        plan = PlanFile.open(run.plan)
        is_layout = any(isinstance(step.action, Stage) for step in plan.steps)
        if is_layout and plan.header.target == target:
            yield run, plan, run.state()


def _may_go_on(run: Run, state: RunState) -> bool:
    """Whether the run, or the rollback of it, is not at its end."""
    return not state.finished or (state.rolled_back is None and run.rollback_journal.exists())


def _forms(plan: PlanFile) -> Iterator[tuple[Step, str]]:
    """Every shadow key that the plan means."""
    for step in plan.steps:
        if isinstance(step.action, Stage):
            for item in plan.items(step.id):
                yield step, item.path
                if step.action.keeps_old:
                    yield step, old_key(item)


def _superseded(plan: PlanFile, state: RunState) -> Iterator[tuple[str, str, str]]:
    for step in plan.steps:
        if isinstance(step.action, Swap) and not step.action.keeps_old:
            known = state.step(step.id)
            for item in plan.items(step.id):
                if item.version_id is not None and known.of(item.n) in GOOD:
                    yield step.subject, item.key, item.version_id


def _append(table: TableDef, rows: Iterable[tuple[str, str, str]], database: Database) -> None:
    left = iter(rows)
    while batch := list(islice(left, _BATCH)):
        database.append(
            table,
            {
                column.name: [row[place] for row in batch]
                for place, column in enumerate(table.columns)
            },
        )
