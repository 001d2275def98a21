"""Holding a plan against reality without applying it: every item against a fresh listing.

Only reads. Buckets are looked at one after the other, each in tables of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

from s3plan.engine.gate import load_rows
from s3plan.errors import NotSupportedError
from s3plan.inventory.s3 import observe_bucket
from s3plan.inventory.selection import narrow
from s3plan.model.archivesteps import Tag
from s3plan.model.recheck import StepRecheck
from s3plan.model.steps import (
    Configure,
    Copy,
    CreateBucket,
    Delete,
    DeleteBucket,
    DeleteSource,
    Download,
    Reencrypt,
    Restore,
    Stage,
    Step,
    Upload,
    Verify,
    VerifyCopies,
)
from s3plan.plan.reading import PlanFile
from s3plan.rules.bucketdocuments import same
from s3plan.store import Store
from s3plan.tables import Database

_SHOWN = 10

# What a worklist is to a bucket: its entries are there as planned, or its names are still free.
_THERE = """
    SELECT i.key, CASE WHEN l.key IS NULL THEN 'gone' ELSE 'changed' END
    FROM items i LEFT JOIN listing l ON l.key = i.key AND l.bucket = $bucket
        AND l.history IS NOT DISTINCT FROM i.history
    WHERE i.step = $step AND (l.key IS NULL
      OR (l.size, l.etag, l.modified) IS DISTINCT FROM (i.size, i.etag, i.modified))
    ORDER BY i.n
"""
# What a verification would find besides, and hold its gate for.
_APPEARED = """
    SELECT l.key, 'appeared' FROM listing l
    ANTI JOIN (SELECT key, history FROM items WHERE step = $step) AS i
        ON i.key = l.key AND i.history IS NOT DISTINCT FROM l.history
    WHERE l.bucket = $bucket ORDER BY l.key
"""
_FREE_KEYS = """
    SELECT i.key, 'in_the_way' FROM items i JOIN listing l ON l.key = i.key AND l.bucket = $bucket
    WHERE i.step = $step AND l.history IS NULL ORDER BY i.n
"""
_FREE_PATHS = _FREE_KEYS.replace("l.key = i.key", "l.key = i.path")


async def recheck_steps(plan: PlanFile, store: Store, scratch: Path) -> tuple[StepRecheck, ...]:
    """Every step against what is there now. A listing that fails anywhere raises."""
    found: dict[str, StepRecheck] = {}
    for bucket, steps in _by_bucket(plan.steps).items():
        with Database(scratch) as database:
            if await store.bucket(bucket).exists():
                await observe_bucket(
                    store.bucket(bucket),
                    database,
                    prefix="",
                    observer=lambda _: None,
                    versions=any(_means_versions(step) for step, _ in steps),
                )
            # Last what narrows the listing to what a verification means.
            for step, query in sorted(steps, key=lambda entry: entry[1] == _APPEARED):
                known = found.get(step.id, StepRecheck(step.id, step.verb, step.subject))
                found[step.id] = await asyncio.to_thread(
                    _compared, plan, step, bucket, query, known, database
                )
    for step in plan.steps:
        if step.id not in found:
            remark = await _remark(step, store)
            found[step.id] = StepRecheck(
                step.id, step.verb, step.subject, remark=remark or "", looked=remark is not None
            )
    return tuple(found[step.id] for step in plan.steps)


def _by_bucket(steps: Sequence[Step]) -> dict[str, list[tuple[Step, str]]]:
    """What is asked of each bucket, so that each is listed once."""
    wanted: dict[str, list[tuple[Step, str]]] = {}
    for step in steps:
        for bucket, query in _questions(step):
            wanted.setdefault(bucket, []).append((step, query))
    return wanted


def _means_versions(step: Step) -> bool:
    return isinstance(step.action, Verify | Delete) and bool(step.action.versions)


def _questions(step: Step) -> Iterator[tuple[str, str]]:
    match step.action:
        case Restore() | Download() | Delete() | DeleteSource() | Stage() | Reencrypt() | Tag():
            yield step.subject, _THERE
        case Verify():
            yield step.subject, _THERE
            yield step.subject, _APPEARED
        case Copy():
            yield step.action.source, _THERE
            yield step.subject, _FREE_PATHS
        case VerifyCopies():
            yield step.action.source, _THERE
        case Upload():
            yield step.subject, _FREE_KEYS
        case _:
            pass  # nothing in a listing tells: see _remark


def _compared(
    plan: PlanFile, step: Step, bucket: str, query: str, known: StepRecheck, database: Database
) -> StepRecheck:
    _load(plan, step, database)
    if query == _APPEARED and isinstance(step.action, Verify):
        narrow(database, bucket, step.action.select, step.worklist or "")
    counts = dict.fromkeys(("changed", "gone", "in_the_way", "appeared"), 0)
    first = list(known.first)
    for key, what in database.rows(query, {"bucket": bucket, "step": step.worklist or ""}):
        counts[what] += 1
        if len(first) < _SHOWN:
            first.append(key)
    changed = known.changed + counts["changed"]
    gone = known.gone + counts["gone"]
    in_the_way = known.in_the_way + counts["in_the_way"]
    return StepRecheck(
        step.id,
        step.verb,
        step.subject,
        as_planned=max(0, step.totals.items - changed - gone - in_the_way),
        changed=changed,
        gone=gone,
        in_the_way=in_the_way,
        appeared=known.appeared + counts["appeared"],
        first=tuple(first),
    )


def _load(plan: PlanFile, step: Step, database: Database) -> None:
    """The worklist as rows of ``items``, once for all steps that share it."""
    (there,) = database.row("SELECT count(*) FROM items WHERE step = ?", [step.worklist])
    if there or step.worklist is None:
        return
    load_rows(plan.items(step.id), step.worklist, database)


async def _remark(step: Step, store: Store) -> str | None:
    """What is not as planned about a step without items in S3; None where S3 cannot tell."""
    match step.action:
        case Configure():
            action = step.action
            try:
                live = await asyncio.to_thread(
                    store.control.document, step.subject, action.document
                )
            except NotSupportedError:
                return f"the endpoint does not know the document {action.document} any more"
            if same(action.document, live, action.before):
                return ""
            if same(action.document, live, action.after):
                return f"the document {action.document} is already as it would become"
            return f"the document {action.document} was changed since the plan"
        case CreateBucket():
            there = await store.bucket(step.subject).exists()
            return "the bucket is there already" if there else ""
        case DeleteBucket():
            there = await store.bucket(step.subject).exists()
            return "" if there else "the bucket is gone"
        case _:
            return None
