"""``s3plan monitor`` and ``s3plan signoff``: copies of a finished run looked at, and signed for.

A check lists both sides anew and holds them against the run's journal; the full one compares the
content of every copy besides. It changes nothing but the record beside the journal.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import tempfile
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from s3plan.engine import runs
from s3plan.engine.beforehand import check_target
from s3plan.engine.copied import load_copies
from s3plan.engine.gate import load_rows
from s3plan.engine.holding import holder_for
from s3plan.engine.pairs import SHOWN, compare_content, findings, list_both, place, sentence
from s3plan.engine.runs import Run, timestamp
from s3plan.engine.soak.earlier import (
    cleaned_items,
    finished_runs,
    grouping_steps,
    proved_items,
)
from s3plan.engine.soak.record import append, digest_of_journal, standing
from s3plan.engine.state import RunState
from s3plan.engine.surroundings import Surroundings
from s3plan.errors import AccessDeniedError, NotSupportedError, StaleError
from s3plan.localfs.locks import hold
from s3plan.model.grouping import GroupingRules
from s3plan.model.soak import (
    AnySoakRecord,
    Checked,
    CheckKind,
    MonitorResult,
    Noted,
    NoteKind,
    SignedOff,
    SoakStanding,
)
from s3plan.model.steps import Copy, DeleteSource, Step
from s3plan.plan.reading import PlanFile
from s3plan.rules.commands import monitor_command
from s3plan.rules.grouping.keys import KeyPattern
from s3plan.rules.soak import due, next_due, obstacles
from s3plan.store import Bucket, Store
from s3plan.tables import Database

_FLAT = ("old_objects", "old_bytes")

_DELETED = "deleted"
"""The step under whose name the rows of deleted sources stand."""

_CLEANED = """
    UPDATE compared SET state = 'verified'
    WHERE state = 'source_gone' AND key IN (SELECT key FROM items WHERE step = ?)"""

_OLD = """
    SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM listing
    WHERE bucket = $source AND starts_with(key, $prefix)
        AND regexp_full_match(substr(key, length($prefix) + 1), $pattern, 's')"""

# Written since the plan was made, and copied by no run: somebody still uploads to the old keys.
_NEW = """
    SELECT key FROM listing l
    WHERE bucket = $source AND starts_with(key, $prefix) AND modified >= $since
        AND regexp_full_match(substr(key, length($prefix) + 1), $pattern, 's')
        AND NOT EXISTS (SELECT 1 FROM items i WHERE i.key = l.key)
        AND NOT EXISTS (SELECT 1 FROM known k
            WHERE (k.key, k.size, k.etag) = (l.key, l.size, l.etag))
    ORDER BY key"""

_NEW_WORDS = "new in the old layout, and copied by no run"


async def monitor(
    journal: Path,
    around: Surroundings,
    *,
    by: str,
    full: bool = False,
    notes: Sequence[tuple[NoteKind, str]] = (),
) -> MonitorResult:
    """Write ``notes`` down, run the check that is due (with ``full`` that of everything, now) and
    record it. Raises StaleError for a run that did not finish or was taken back, a StoreError where
    S3 cannot be read: a check that could not be made is not recorded.
    """
    run = runs.run_of(journal)
    with hold(run.lock, holder_for(around, run.journal)):
        plan, state, soak = _watched(run)
        for kind, text in notes:
            noted = Noted(kind=kind, text=text, by=by, time=timestamp(around.clock()))
            soak = _record(run, soak, noted, around)
        now = around.clock()
        wanted: CheckKind | None = "full" if full else due(soak, now)
        check = None
        if wanted is not None:
            figures, problems = await _check(run, plan, state, around, content=wanted == "full")
            check = Checked(
                kind=wanted,
                passes=not problems,
                figures=figures,
                problems=tuple(problems),
                by=by,
                host=socket.gethostname(),
                time=timestamp(now),
            )
            soak = _record(run, soak, check, around)
    return _result(run, plan, soak, check, now)


def sign_off(
    journal: Path, around: Surroundings, *, by: str, name: str, role: str, note: str
) -> MonitorResult:
    """Record that somebody signs for the run; sends nothing. Raises StaleError as monitor does."""
    run = runs.run_of(journal)
    with hold(run.lock, holder_for(around, run.journal)):
        plan, _, soak = _watched(run)
        signed = SignedOff(
            name=name,
            role=role,
            note=note,
            journal=digest_of_journal(run),
            by=by,
            time=timestamp(around.clock()),
        )
        soak = _record(run, soak, signed, around)
    return _result(run, plan, soak, None, around.clock())


def _result(
    run: Run, plan: PlanFile, soak: SoakStanding, check: Checked | None, now: datetime
) -> MonitorResult:
    following = next_due(soak, now)
    return MonitorResult(
        soak,
        check,
        timestamp(following) if following is not None else None,
        obstacles(soak, soak.terms, now),
        sum(1 for step in grouping_steps(plan) for _ in cleaned_items(run, step)),
    )


def _watched(run: Run) -> tuple[PlanFile, RunState, SoakStanding]:
    plan, state = PlanFile.open(run.plan), run.state()
    runs.check_plan(plan, state.started.digest)
    if not grouping_steps(plan):
        raise StaleError(
            "the run copied nothing to a new layout",
            address=str(run.journal),
            expected="the journal of a run that did",
            found=", ".join(dict.fromkeys(step.verb for step in plan.steps)),
            next_step=_instead(run, plan),
        )
    return plan, state, standing(run, plan, state)


def _instead(run: Run, plan: PlanFile) -> str:
    """What to type for a run that was not meant: journal.json names the latest, which may be the
    one that deleted the sources.
    """
    names = dict.fromkeys(
        one.run
        for step in plan.steps
        if isinstance(step.action, DeleteSource)
        for one in step.action.earlier
    )
    journals = (Run(run.folder.parent / name).journal for name in names)
    commands = [monitor_command(os.path.relpath(journal)) for journal in journals]
    return " and ".join(commands) or "name another journal; `s3plan runs list` shows all runs"


def _record(
    run: Run, soak: SoakStanding, record: AnySoakRecord, around: Surroundings
) -> SoakStanding:
    append(run, soak, record, tool=around.tool, time=timestamp(around.clock()))
    return standing(run, PlanFile.open(run.plan), run.state())


async def _check(
    run: Run, plan: PlanFile, state: RunState, around: Surroundings, *, content: bool
) -> tuple[dict[str, int], list[str]]:
    """Figures and problems of all copies of the run; of several groupings together."""
    figures: dict[str, int] = {}
    problems: list[str] = []
    others = tuple(
        (other, theirs, known)
        for other, theirs, known, _ in finished_runs(run.folder.parents[2])
        if other.id != run.id
    )
    async with around.open_store(plan.header.connection) as store:
        await check_target(store, plan)
        for step in grouping_steps(plan):
            with tempfile.TemporaryDirectory(prefix="s3plan-") as folder:
                memory = plan.header.connection.limits.memory
                with Database(Path(folder), memory_limit=memory) as database:
                    await asyncio.to_thread(_load, run, plan, state, step, others, database)
                    found, said = await _step(run, plan, step, store, database, content=content)
            for name, count in found.items():
                figures[name] = figures.get(name, 0) + count
            problems += said
    return figures, problems


def _load(
    run: Run,
    plan: PlanFile,
    state: RunState,
    step: Step,
    others: Collection[tuple[Run, PlanFile, RunState]],
    database: Database,
) -> None:
    """What the run copied, and in ``known`` what other runs copied from the same bucket."""
    database.execute("CREATE TABLE known AS SELECT * FROM items LIMIT 0")
    assert isinstance(step.action, Copy)
    for _, theirs, known in others:
        for other in grouping_steps(theirs):
            assert isinstance(other.action, Copy)
            if other.action.source == step.action.source:
                items = proved_items(theirs, known.step(other.id), other)
                load_rows(items, other.id, database)
    database.execute("INSERT INTO known SELECT * FROM items")
    database.execute("DELETE FROM items")
    load_rows(proved_items(plan, state.step(step.id), step), step.id, database)
    load_copies(run.journal, step.id, database)


async def _step(
    run: Run, plan: PlanFile, step: Step, store: Store, database: Database, *, content: bool
) -> tuple[dict[str, int], list[str]]:
    action = step.action
    assert isinstance(action, Copy)
    rules = action.grouping
    assert isinstance(rules, GroupingRules)
    source, target = store.bucket(action.source), store.bucket(step.subject)
    await list_both(source, target, database, sources=rules.prefix)
    place(database, action.source, step.subject)
    await asyncio.to_thread(load_rows, cleaned_items(run, step), _DELETED, database)
    database.execute(_CLEANED, [_DELETED])
    if content:
        await compare_content(source, target, database, lambda: None)
    figures, problems = findings(database, content=content)
    figures["copies"] = sum(figures.values())
    place_of = {
        "source": action.source,
        "prefix": rules.prefix,
        "pattern": KeyPattern.parse(rules.pattern).regex,
    }
    since = place_of | {"since": plan.header.created}
    (count,) = database.row(f"SELECT count(*) FROM ({_NEW})", since)  # noqa: S608 - ours
    figures["new_in_old_layout"] = count
    if count:
        first = [key for (key,) in database.rows(f"{_NEW} LIMIT {SHOWN}", since)]
        problems.append(sentence(count, _NEW_WORDS, first))
    figures |= zip(_FLAT, database.row(_OLD, place_of), strict=True)
    figures |= await _versions(store, source, rules)
    return figures, problems


async def _versions(store: Store, source: Bucket, rules: GroupingRules) -> dict[str, int]:
    """Every version in the old layout, and their bytes; nothing where a bucket keeps none, or where
    that may not be asked.
    """
    try:
        kept = await asyncio.to_thread(store.control.document, source.name, "versioning")
        if not isinstance(kept, dict) or not kept.get("Status"):
            return {}
        pattern = re.compile(KeyPattern.parse(rules.pattern).regex, re.DOTALL)
        count = size = 0
        async for page in source.version_pages(prefix=rules.prefix):
            for key, length, marker in zip(page.keys, page.sizes, page.markers, strict=True):
                if not marker and pattern.fullmatch(key.removeprefix(rules.prefix)):
                    count += 1
                    size += length
    except (NotSupportedError, AccessDeniedError):
        return {}  # nothing rests on these figures
    return {"old_versions": count, "old_version_bytes": size}
