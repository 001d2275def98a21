"""What happened, as tables: the plan, journal and catalogues of one run, or of a destination.

Everything is read as it is on disk now, without a lock and without a request, into a database of
this process; items stream through, so that memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from msgspec import Struct

from s3plan.engine import runs
from s3plan.engine.archivehistory import load_archives
from s3plan.engine.journal import read_journal
from s3plan.engine.redaction import redact
from s3plan.engine.report import phase_of, step_state
from s3plan.engine.runs import Run
from s3plan.engine.state import ItemState, RunState, StepState
from s3plan.errors import DestinationError, JournalError
from s3plan.inventory.catalogue import observe_catalogue
from s3plan.localfs.catalogue import PLACE, list_catalogues
from s3plan.localfs.tree import Tree
from s3plan.model.journal import CommandRan, Restores, StepEnded, StepStarted
from s3plan.model.steps import AbortUploads, Delete, DeleteBucket, Download, Item, Step, Verify
from s3plan.plan.reading import PlanFile, is_plan
from s3plan.rules.commands import DEFAULT_PLAN
from s3plan.tables import Database, TableDef
from s3plan.tables.database import Value
from s3plan.tables.history import (
    APPROVALS,
    CATALOGUES,
    COMMANDS,
    FAILURES,
    GATES,
    HISTORY,
    OUTCOMES,
    RESTORES,
    RUNS,
    SCRATCH,
    STEPS,
    VIEWS,
    WORKLISTS,
)

_BATCH = 10_000

_VERB_COLUMNS = {
    ("apply", "restore"): "restore",
    ("apply", "download"): "download",
    ("apply", "verify"): "verify",
    ("apply", "delete"): "delete",
    ("rollback", "upload"): "put_back",
}
"""Verbs that have a column of their own in the table of worklists."""

_ITEM_COLUMNS = frozenset({*Item.__struct_fields__, "history"})

_OUTCOMES: dict[int, str] = {state: state.name.lower() for state in ItemState}


class Source(Struct, frozen=True):
    """Where history is read from: a run with its plan, a plan nobody has run, or neither.

    ``destinations`` have the catalogues; ``buckets`` narrows them, None is all that are there.
    """

    run: Run | None
    plan: PlanFile | None
    destinations: tuple[str, ...]
    buckets: frozenset[str] | None = None

    def described(self) -> str:
        """The path that names it."""
        if self.run is not None:
            return str(self.run.journal)
        return str(self.plan.path) if self.plan is not None else ", ".join(self.destinations)


class History(Struct, frozen=True):
    """The tables of one source, filled. ``state`` is the run's, None where there is no run."""

    source: Source
    database: Database
    state: RunState | None
    redacted: bool


def find_source(path: Path | None, directory: Path) -> Source:
    """What ``path`` is: a journal or run folder, a plan file, or a destination.

    Without it, the latest run of ``directory``, else its plan.json. Raises JournalError where
    nothing is there, PlanFileError where the plan is damaged.
    """
    if path is None:
        latest = directory / runs.JOURNAL_LINK
        default = directory / DEFAULT_PLAN
        if not latest.exists() and not default.exists():
            raise JournalError(
                "there is neither a run nor a plan here",
                address=str(directory.absolute()),
                expected=f"{runs.JOURNAL_LINK} or {DEFAULT_PLAN}",
                next_step="name a journal, a plan or a destination with --from",
            )
        path = latest if latest.exists() else default
    if path.is_dir() and (path / PLACE).is_dir():
        return Source(None, None, (str(path.absolute()),))
    if not path.is_dir() and is_plan(path):
        return _of_plan(None, PlanFile.open(path))
    run = runs.run_of(path)
    return _of_plan(run, PlanFile.open(run.plan))


def _of_plan(run: Run | None, plan: PlanFile) -> Source:
    destinations = {
        step.action.destination: None
        for step in plan.steps
        if isinstance(step.action, Download | Verify | Delete | DeleteBucket)
    }
    return Source(run, plan, tuple(destinations), frozenset(step.subject for step in plan.steps))


@contextmanager
def open_history(
    source: Source,
    warn: Callable[[str], None],
    *,
    redaction_key: bytes | None = None,
    look: Callable[[Database], None] | None = None,
) -> Iterator[History]:
    """The tables of ``source``, for as long as the block runs.

    A destination that is not there is left out, and ``warn`` is told. ``look`` may fill tables from
    elsewhere, and still sees every name. With ``redaction_key`` keys,
    bucket names, places and accounts are replaced by tokens before anybody sees a row. Raises
    JournalError, PlanFileError and CatalogueError for what is damaged.
    """
    with (
        TemporaryDirectory(prefix="s3plan-") as scratch,
        Database(Path(scratch), tables=(*HISTORY, *SCRATCH)) as database,
    ):
        state = _load(source, database, warn)
        if look is not None:
            look(database)
        for table in SCRATCH:
            database.execute(f'DROP TABLE "{table.name}"')
        if redaction_key is not None:
            redact(database, redaction_key)
        for name, query in VIEWS.items():
            database.execute(f"CREATE VIEW {name} AS {query}")
        yield History(source, database, state, redaction_key is not None)


def _load(source: Source, database: Database, warn: Callable[[str], None]) -> RunState | None:
    state = None
    if source.plan is not None:
        state = source.run.state() if source.run is not None else None
        if source.run is not None and state is not None:
            runs.check_plan(source.plan, state.started.digest)
        journal = source.run.journal if source.run is not None else None
        _load_plan(database, "apply", source.plan, state, journal)
    if source.run is not None and source.run.rollback_journal.exists():
        back = PlanFile.open(source.run.rollback_plan)
        undone = source.run.rollback_state()
        _load_plan(database, "rollback", back, undone, source.run.rollback_journal)
    if source.run is not None:
        load_archives(source.run, database, warn)
    for destination in source.destinations:
        _load_catalogues(database, destination, source.buckets, warn)
    return state


def _load_plan(
    database: Database, command: str, plan: PlanFile, state: RunState | None, journal: Path | None
) -> None:
    """One plan with what its journal says; ``state`` is None for a plan that nobody has run."""
    target = plan.header.target
    row: dict[str, Value] = {
        "command": command,
        "digest": plan.digest,
        "endpoint": target.endpoint,
        "region": target.region,
        "account": target.account,
        "host": plan.header.host,
        "tool": plan.header.tool,
        "outcome": "planned",
        "phase": "scanning",
        "started": plan.header.created,
        "updated": plan.header.created,
        "sessions": 0,
    }
    if state is not None:
        started = state.started
        row |= {
            "run": started.run,
            "host": started.host,
            "approver": started.approver,
            "tool": started.tool,
            "outcome": "rolled back" if state.rolled_back else state.outcome or "interrupted",
            "phase": phase_of(plan, state, running=False),
            "started": started.time,
            "updated": state.updated,
            "sessions": state.sessions,
        }
    _append(database, RUNS, [row])
    times = _read(database, command, journal) if journal is not None else {}
    steps: list[dict[str, Value]] = []
    for position, step in enumerate(plan.steps):
        known = state.step(step.id) if state is not None else StepState()
        began, ended = times.get(step.id, (None, None))
        steps.append(
            {
                "command": command,
                "position": position,
                "step": step.id,
                "verb": step.verb,
                "bucket": step.subject,
                "worklist": step.worklist,
                "items": step.totals.items,
                "bytes": step.totals.bytes,
                "state": step_state(known, running=False),
                "reason": known.ended.reason if known.ended else "",
                "reversibility": step.reversibility,
                "started": began,
                "ended": ended,
            }
        )
        _load_outcomes(database, step.id, known)
        if step.worklist == step.id:
            _load_worklist(database, command, plan, state, step)
            database.compact()
    _append(database, STEPS, steps)
    if state is not None:
        _load_state(database, state)


def _read(database: Database, command: str, journal: Path) -> dict[str, tuple[str, str | None]]:
    """When each step first began, and when it last ended; restores and commands go to tables."""
    times: dict[str, tuple[str, str | None]] = {}
    ran: list[dict[str, Value]] = []
    for seq, record in read_journal(journal):
        match record:
            case Restores():
                stage: dict[str, Value] = {
                    "seq": seq,
                    "step": record.step,
                    "stage": record.stage,
                    "until": record.until or None,
                    "time": record.time or None,
                }
                _append(database, RESTORES, ({**stage, "n": n} for n in record.items))
            case CommandRan():
                ran.append(
                    {
                        "command": command,
                        "name": record.command,
                        "step": record.step or None,
                        "n": record.n,
                        "definition": record.definition,
                        "exit_code": record.exit_code,
                        "problem": record.problem,
                        "milliseconds": round(1000 * record.seconds),
                        "output": record.output,
                        "time": record.time,
                    }
                )
                if len(ran) == _BATCH:
                    _append(database, COMMANDS, ran)
                    ran.clear()
            case StepStarted():
                times.setdefault(record.step, (record.time, None))
            case StepEnded():
                began, _ = times.get(record.step, (record.time, None))
                times[record.step] = began, record.time
            case _:
                pass
    _append(database, COMMANDS, ran)
    return times


def _load_worklist(
    database: Database, command: str, plan: PlanFile, state: RunState | None, worklist: Step
) -> None:
    """The items that stand under one step, with what they came to in every step that has them."""
    sizes = {
        step.id: step.totals.items
        for step in plan.steps
        if step.subject == worklist.subject
        and step.worklist == step.id
        and not isinstance(step.action, AbortUploads)
    }
    largest = max(sizes, key=lambda step: sizes[step], default="")
    rank = None if worklist.id not in sizes else 1
    if command == "apply" and worklist.id == largest:
        rank = 0
    constants: dict[str, Value] = {"bucket": worklist.subject, "rank": rank}
    verbs = {
        column: state.step(step.id) if state is not None else StepState()
        for step in plan.steps
        if step.worklist == worklist.id
        and (column := _VERB_COLUMNS.get((command, step.verb))) is not None
    }

    items = plan.items(worklist.id)
    while batch := list(islice(items, _BATCH)):
        columns: dict[str, list[Value]] = {
            column.name: [] for column in WORKLISTS.columns if column.name in _ITEM_COLUMNS
        }
        for name, values in columns.items():
            values += [getattr(item, name) for item in batch]
        for name, known in verbs.items():
            columns[name] = _outcomes_of(known, batch[0].n, len(batch))
        database.append(WORKLISTS, columns, constants)


def _outcomes_of(known: StepState, first: int, count: int) -> list[Value]:
    """How ``count`` items from ``first`` on ended."""
    codes = known.items[first : first + count]
    return [*(_OUTCOMES[code] for code in codes), *([_OUTCOMES[0]] * (count - len(codes)))]


def _load_outcomes(database: Database, step: str, known: StepState) -> None:
    for first in range(0, len(known.items), _BATCH):
        codes = known.items[first : first + _BATCH]
        touched = [n for n, code in enumerate(codes, first) if code]
        if touched:
            outcomes = [_OUTCOMES[code] for code in codes if code]
            database.append(OUTCOMES, {"n": touched, "outcome": outcomes}, {"step": step})


def _load_state(database: Database, state: RunState) -> None:
    _append(
        database,
        FAILURES,
        (
            {
                "step": problem.step,
                "n": problem.n,
                "key": problem.key,
                "path": problem.path,
                "outcome": problem.outcome,
                "reason": problem.reason,
                "message": problem.message,
            }
            for problem in state.problems.values()
        ),
    )
    _append(
        database,
        GATES,
        (
            {
                "step": gate.step,
                "bucket": gate.subject,
                "evidence": gate.evidence,
                "passes": gate.passes,
                "items": gate.totals.items,
                "bytes": gate.totals.bytes,
                "verified": gate.figures.get("verified", 0),
                "unverifiable": gate.figures.get("unverifiable", 0),
                "mismatched": gate.figures.get("mismatched", 0),
                "figures": msgspec.json.encode(gate.figures).decode(),
                "losses": sum(loss.totals.items for loss in gate.losses),
                "time": gate.time,
            }
            for gate in state.gates.values()
        ),
    )
    _append(
        database,
        APPROVALS,
        (
            {
                "bucket": said.subject,
                "what": said.what,
                "decision": "approved",
                "evidence": said.evidence,
                "approver": said.approver,
                "how": said.how,
                "time": said.time,
            }
            for said in state.approvals.values()
        ),
    )
    _append(
        database,
        APPROVALS,
        (
            {
                "bucket": said.subject,
                "what": said.what,
                "decision": "declined",
                "evidence": said.evidence,
                "how": "prompt",
                "time": said.time,
            }
            for said in state.declined.values()
        ),
    )


def _load_catalogues(
    database: Database,
    destination: str,
    buckets: frozenset[str] | None,
    warn: Callable[[str], None],
) -> None:
    try:
        tree = Tree.open(destination, create=False)
    except DestinationError as error:
        warn(f"its catalogues are left out: {error}")
        return
    with tree:
        for bucket in list_catalogues(tree):
            if buckets is not None and bucket not in buckets:
                continue
            state = observe_catalogue(tree, bucket, database, attributes=True)
            database.compact()
            if state is not None:
                header = state.header
                row: dict[str, Value] = {
                    "destination": destination,
                    "bucket": bucket,
                    "endpoint": header.endpoint,
                    "region": header.region,
                    "account": header.account,
                    "created": header.created,
                    "state": state.bucket,
                }
                _append(database, CATALOGUES, [row])


def _append(database: Database, table: TableDef, rows: Iterable[dict[str, Value]]) -> None:
    """Add rows in batches; a column that a row does not have is NULL."""
    names: Sequence[str] = [column.name for column in table.columns]
    iterator = iter(rows)
    while batch := list(islice(iterator, _BATCH)):
        database.append(table, {name: [row.get(name) for row in batch] for name in names})
