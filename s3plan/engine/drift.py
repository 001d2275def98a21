"""Drift: what was last applied, what lives now and what is declared, compared three ways.

What is declared and not so is the plan that would be made now. What the last run of the same
manifests was about tells why: an item that it did not know has appeared, one that it knew as
something else has changed, and one that it knew as it is was dealt with and is undone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from s3plan.engine import runs
from s3plan.engine.runs import Run
from s3plan.model.plan import ManifestRef
from s3plan.model.recheck import Drift, Drifted, StepRecheck
from s3plan.model.steps import Configure, Delete, DeleteSource, Step, Totals
from s3plan.plan.comparison import merged_items
from s3plan.plan.reading import PlanFile
from s3plan.rules.bucketdocuments import same
from s3plan.rules.effects import effect_of

_SHOWN = 10


def last_applied(directory: Path, refs: Sequence[ManifestRef]) -> tuple[Run, PlanFile] | None:
    """The latest run here of any of these manifests that is not taken back, with its plan."""
    names = {(ref.kind, ref.name) for ref in refs}
    for run in reversed(list(runs.runs_in(directory))):
        if run.state().rolled_back is not None:
            continue
        plan = PlanFile.open(run.plan)
        if names & {(ref.kind, ref.name) for ref in plan.header.manifests}:
            return run, plan
    return None


def drift_between(
    applied: tuple[Run, PlanFile] | None,
    looked: Sequence[StepRecheck],
    now: PlanFile | None,
) -> Drift:
    """The three compared. ``looked`` is the applied plan held against what lives now."""
    before = applied[1] if applied is not None else None
    lines = [*_declared(before, now), *_gone(before, looked)]
    return Drift(
        applied[0].id if applied is not None else None,
        before.header.created if before is not None else None,
        tuple(lines),
        _summary(lines, never=before is None),
    )


def _declared(before: PlanFile | None, now: PlanFile | None) -> Iterator[Drifted]:
    """What would be done now; steps that only look at what others do say nothing new."""
    for step in now.steps if now is not None else ():
        assert now is not None
        known = _counterpart(before, step)
        if isinstance(step.action, Configure):
            yield _configured(known, step, step.action)
        elif step.worklist == step.id and effect_of(step.action) != "reads":
            yield _items(before, known, now, step)
        elif effect_of(step.action) != "reads":
            items = f" ({step.totals.items:,} objects)" if step.worklist else ""
            said = "did not finish it" if known is not None else "was not about it"
            remark = f"declared and not done{items}: the last apply {said}"
            yield Drifted(step.verb, step.subject, remark=remark)


def _counterpart(before: PlanFile | None, step: Step) -> Step | None:
    """What the last run did to the same subject with the same verb, with most items."""
    found = [
        old
        for old in (before.steps if before is not None else ())
        if (old.verb, old.subject) == (step.verb, step.subject)
    ]
    if isinstance(step.action, Configure):
        found = [
            old
            for old in found
            if isinstance(old.action, Configure) and old.action.document == step.action.document
        ]
    return max(found, key=lambda old: old.totals.items, default=None)


def _items(before: PlanFile | None, known: Step | None, now: PlanFile, step: Step) -> Drifted:
    old = before.items(known.id) if before is not None and known and known.worklist else iter(())
    appeared = changed = Totals()
    first: list[str] = []
    for change in merged_items(old, now.items(step.id)):
        if change.new is None:
            continue  # as it was applied
        size = Totals(1, change.new.size)
        if change.old is None:
            appeared += size
        else:
            changed += size
        if len(first) < _SHOWN:
            first.append(change.new.key)
    undone = Totals(
        step.totals.items - appeared.items - changed.items,
        step.totals.bytes - appeared.bytes - changed.bytes,
    )
    return Drifted(step.verb, step.subject, appeared, changed, undone, first=tuple(first))


def _configured(known: Step | None, step: Step, action: Configure) -> Drifted:
    name = action.document
    if known is None or not isinstance(known.action, Configure):
        remark = f"the document {name} is not as declared; the last apply did not touch it"
    elif same(name, known.action.after, action.after):
        remark = f"the document {name} was changed since the last apply"
    elif same(name, known.action.after, action.before):
        remark = f"the document {name} is declared differently since the last apply"
    else:
        remark = f"the document {name} was changed, and is declared differently, since then"
    return Drifted(step.verb, step.subject, remark=remark)


def _gone(before: PlanFile | None, looked: Sequence[StepRecheck]) -> Iterator[Drifted]:
    """What the last run left in S3 and is not there any more."""
    if before is None:
        return
    deleted = {
        step.subject for step in before.steps if isinstance(step.action, Delete | DeleteSource)
    }
    seen: set[str] = set()
    for step in looked:
        if step.gone and step.subject not in deleted and step.subject not in seen:
            # Steps that share a worklist miss the same objects.
            seen.add(step.subject)
            yield Drifted(
                step.verb, step.subject, gone=Totals(step.gone), first=step.first[:_SHOWN]
            )


def _summary(lines: Sequence[Drifted], *, never: bool) -> str:
    if not lines:
        return "No drift: applied, live and declared agree."
    parts = []
    for name in ("appeared", "changed", "undone", "gone"):
        count = sum(getattr(line, name).items for line in lines)
        if count:
            parts.append(f"{count:,} {name}")
    remarks = sum(bool(line.remark) for line in lines)
    if remarks:
        parts.append(f"{remarks:,} other {'thing' if remarks == 1 else 'things'}")
    said = ", ".join(parts)
    return f"Never applied: {said}." if never else f"Drift: {said}."
