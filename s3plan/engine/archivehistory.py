"""What all runs of a directory archived, put and restored, as two tables: objects and events.

A run tells of what it did itself. Sessions are archived by many runs over years, so these tables
are of every run that lies beside the one that is asked about; one that cannot be read is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath

from s3plan.engine import runs
from s3plan.engine.journal import read_journal
from s3plan.engine.runs import Run
from s3plan.engine.state import RunState
from s3plan.errors import JournalError, PlanFileError, StaleError
from s3plan.model.archivesteps import Adopt
from s3plan.model.journal import ItemFailed, JournalRecord, Restores, StepEnded, StepStarted
from s3plan.model.steps import Archive, PutFiles, RemoveArchive, RemovePut, Restore, Step
from s3plan.plan.reading import PlanFile
from s3plan.rules.pricelist import shipped
from s3plan.rules.prices import Holding, billed_size, storage_month
from s3plan.rules.sessions.names import day_of, year_of
from s3plan.rules.sessions.policies import POLICIES
from s3plan.tables import Database
from s3plan.tables.archivehistory import ARCHIVE_EVENTS, ARCHIVED
from s3plan.tables.database import Value

_KINDS = ("SessionArchive", "ArchiveRestore")
_NOTE = "_notes"

Row = dict[str, Value]
Span = tuple[str, str | None]


def load_archives(run: Run, database: Database, warn: Callable[[str], None]) -> None:
    """Fill ``archived`` and ``archive_events`` from ``run`` and every run beside it."""
    for one in _beside(run):
        try:
            plan = PlanFile.open(one.plan)
            if not any(ref.kind in _KINDS for ref in plan.header.manifests):
                continue
            state = one.state()
            _load(one, plan, state, database)
            if one.rollback_journal.exists():
                back = PlanFile.open(one.rollback_plan)
                _events(one.id, back, list(_records(one.rollback_journal)), database)
        except (JournalError, PlanFileError, StaleError) as error:
            warn(f"a run is left out of the history of archives: {error}")


def _beside(run: Run) -> Iterator[Run]:
    """The runs of its working directory; of a folder that lies elsewhere, the run alone."""
    folder = run.folder.absolute().parent
    if folder.name == "runs" and folder.parent.name == runs.STATE_DIRECTORY:
        yield from runs.runs_in(folder.parent.parent)
    else:
        yield run


def _records(journal: Path) -> Iterator[JournalRecord]:
    """Those that tell of steps; the rest of a journal may be long."""
    failed: set[str] = set()
    for _, record in read_journal(journal):
        if isinstance(record, ItemFailed):
            if record.step not in failed:
                failed.add(record.step)
                yield record
        elif isinstance(record, StepStarted | StepEnded | Restores):
            yield record


def _load(run: Run, plan: PlanFile, state: RunState, database: Database) -> None:
    records = list(_records(run.journal))
    spans = _spans(records)
    undone = state.rolled_back is not None
    for step in plan.steps:
        if isinstance(step.action, Archive | Adopt) and step.id in state.archives:
            row = _archived(run, plan, state, step, step.action, spans.get(step.id))
            _append(database, row | {"rolled_back": undone})
        elif isinstance(step.action, PutFiles):
            for row in _put(run, plan, state, step, step.action, spans.get(step.id)):
                _append(database, row | {"rolled_back": undone})
    _events(run.id, plan, records, database)


def _archived(
    run: Run,
    plan: PlanFile,
    state: RunState,
    step: Step,
    action: Archive | Adopt,
    span: Span | None,
) -> Row:
    known = state.archives[step.id]
    # What tags an adopted one has nobody wrote down.
    tags = action.tags if isinstance(action, Archive) else {}
    camera = telescope = None
    for item in plan.items(step.id):
        camera = camera or item.keywords.get("INSTRUME")
        telescope = telescope or item.keywords.get("TELESCOP")
        if camera and telescope:
            break
    return {
        **_about(run, plan, step.subject, action.key, tags, action.storage_class, span),
        "what": "archive",
        "session": action.name,
        "etag": known.archive.etag,
        "version_id": known.archive.version_id,
        "files": step.totals.items,
        "bytes": step.totals.bytes,
        "size": known.archive.size,
        "rung": known.rung,
        "camera": camera,
        "telescope": telescope,
        "month": _month(plan, action.storage_class, known.archive.size),
        **_dates(action.name),
    }


def _put(
    run: Run, plan: PlanFile, state: RunState, step: Step, action: PutFiles, span: Span | None
) -> Iterator[Row]:
    for item in plan.items(step.id):
        stored = state.puts.get((step.id, item.n))
        if stored is None:
            continue
        name = PurePosixPath(item.key).stem.removesuffix(_NOTE)
        yield {
            **_about(run, plan, step.subject, item.key, action.tags, action.storage_class, span),
            "what": "file",
            "session": name,
            "etag": stored.etag,
            "version_id": stored.version_id,
            "files": 1,
            "bytes": item.size,
            "size": stored.size,
            "rung": "full-object",
            "month": _month(plan, action.storage_class, stored.size),
            **_dates(name),
        }


def _about(
    run: Run,
    plan: PlanFile,
    bucket: str,
    key: str,
    tags: dict[str, str],
    storage_class: str,
    span: Span | None,
) -> Row:
    """What every object has; the move by the shipped policies, where its tags are theirs."""
    policy = next((one for one in POLICIES.values() if one.tags.items() <= tags.items()), None)
    move = policy.transitions[0] if policy is not None else None
    return {
        "run": run.id,
        "bucket": bucket,
        "key": key,
        "region": plan.header.target.region,
        "storage_class": storage_class,
        "archive_policy": tags.get("archive_policy") or tags.get("archive"),
        "backup_policy": tags.get("backup_policy") or tags.get("backup"),
        "moves_to": move.storage_class if move is not None else None,
        "moves_after": move.days if move is not None else None,
        "created": plan.header.created,
        "uploaded": (span[1] or span[0]) if span is not None else None,
    }


def _dates(name: str) -> Row:
    return {"session_date": day_of(name), "session_year": year_of(name)}


def _month(plan: PlanFile, storage_class: str, size: int) -> str | None:
    """US dollars a month by the prices that are shipped, in the class that it was put into."""
    target = plan.header.target
    prices = shipped().region(target.endpoint, target.region)
    if prices is None:
        return None
    billed = billed_size(storage_class, size)
    cost = storage_month(prices, Holding(storage_class, 1, size, billed))
    return f"{cost.high:.8f}" if cost is not None else None


def _spans(records: list[JournalRecord]) -> dict[str, Span]:
    """When each step began, and when it last ended."""
    spans: dict[str, Span] = {}
    for record in records:
        if isinstance(record, StepStarted):
            spans.setdefault(record.step, (record.time, None))
        elif isinstance(record, StepEnded):
            spans[record.step] = (spans.get(record.step, (record.time, None))[0], record.time)
    return spans


def _events(run: str, plan: PlanFile, records: list[JournalRecord], database: Database) -> None:
    """Uploads, restores and removals, with how they went."""
    spans = _spans(records)
    failed = {one.step: one for one in records if isinstance(one, ItemFailed)}
    ended = {one.step: one for one in records if isinstance(one, StepEnded)}
    rows: list[Row] = []
    for step in plan.steps:
        span = spans.get(step.id)
        if span is None:
            continue
        row: Row = {"run": run, "bucket": step.subject, "time": span[0], "bytes": 0}
        if (problem := failed.get(step.id)) is not None:
            row |= {"message": problem.message, "code": problem.reason}
        end = ended.get(step.id)
        row["status"] = "success" if end is not None and end.outcome == "done" else "failed"
        row["seconds"] = _seconds(span)
        if isinstance(step.action, Archive):
            row |= {"key": step.action.key, "session": step.action.name}
            rows += [row | {"operation": "upload", "bytes": step.action.tar}]
            if row["status"] == "success":
                rows += [row | {"operation": "verify", "seconds": None}]
        elif isinstance(step.action, Adopt):
            row |= {"key": step.action.key, "session": step.action.name}
            rows += [row | {"operation": "verify", "bytes": step.action.size}]
        elif isinstance(step.action, PutFiles):
            rows += [row | {"operation": "upload", "bytes": step.totals.bytes}]
        elif isinstance(step.action, RemoveArchive | RemovePut):
            rows += [row | {"operation": "delete"}]
        elif isinstance(step.action, Restore):
            rows += _restores(row, plan, step, step.action, records)
    names = [column.name for column in ARCHIVE_EVENTS.columns]
    if rows:
        columns = {name: [one.get(name) for one in rows] for name in names}
        database.append(ARCHIVE_EVENTS, columns)


def _restores(
    row: Row, plan: PlanFile, step: Step, action: Restore, records: list[JournalRecord]
) -> list[Row]:
    """Each object that was asked for: how far it came, and until when it can be read."""
    items = {item.n: item for item in plan.items(step.worklist or step.id)}
    last: dict[int, Restores] = {}
    first: dict[int, str] = {}
    for record in records:
        if isinstance(record, Restores) and record.step == step.id:
            for n in record.items:
                first.setdefault(n, record.time)
                last[n] = record
    found: list[Row] = []
    for n, record in sorted(last.items()):
        item = items[n]
        found.append(
            row
            | {
                "operation": "restore_request",
                "key": item.key,
                "session": PurePosixPath(item.key).name.partition(".tar")[0],
                "bytes": item.size,
                "time": first[n] or row["time"],
                "stage": record.stage,
                "until": record.until or None,
                "tier": action.tiers.get(item.storage_class),
            }
        )
    return found


def _seconds(span: Span) -> int | None:
    if span[1] is None:
        return None
    began, ended = (datetime.fromisoformat(one) for one in (span[0], span[1]))
    return round((ended - began).total_seconds())


def _append(database: Database, row: Row) -> None:
    database.append(ARCHIVED, {name: [value] for name, value in row.items()})
