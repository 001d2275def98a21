"""The objects of a run, or those that did not end well in it: what another plan can be for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from s3plan.engine import runs
from s3plan.engine.state import ItemState, RunState
from s3plan.model.steps import AbortUploads, Step
from s3plan.model.worklist import Entry
from s3plan.plan.asked import bucket_of_keys, key_column
from s3plan.plan.reading import PlanFile

_UNWELL = (ItemState.FAILED, ItemState.DRIFTED, ItemState.MISMATCHED)


def entries_of_run(journal: Path, *, failed: bool) -> Iterator[Entry]:
    """Each object of the run of ``journal`` once; with ``failed`` those that failed, drifted or
    were found to differ in any step.

    Raises JournalError or PlanFileError where the run cannot be read.
    """
    run = runs.run_of(journal)
    plan = PlanFile.open(run.plan)
    state = run.state()
    runs.check_plan(plan, state.started.digest)
    seen: set[tuple[str, str]] = set()
    for steps in _by_worklist(plan):
        bucket = bucket_of_keys(steps[0].action, steps[0].subject)
        column = key_column(steps[0].action)
        for item in plan.items(steps[0].id):
            named = bucket, item.path if column == "path" else item.key
            if named not in seen and (not failed or _is_unwell(state, steps, item.n)):
                seen.add(named)
                yield Entry(*named)


def _by_worklist(plan: PlanFile) -> list[list[Step]]:
    """The steps whose items are objects, those that share a worklist together."""
    found: dict[str, list[Step]] = {}
    for step in plan.steps:
        if step.worklist is not None and not isinstance(step.action, AbortUploads):
            found.setdefault(step.worklist, []).append(step)
    return list(found.values())


def _is_unwell(state: RunState, steps: list[Step], n: int) -> bool:
    return any(state.step(step.id).of(n) in _UNWELL for step in steps)
