"""The final report of a migration: its phases, its soak, what it freed, where everything is.

Drawn from the run that copied, from the record of its soak, and from later runs on its copies. What
people have to say, they fill in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from s3plan.engine.history import History
from s3plan.engine.journal import read_journal
from s3plan.engine.reports.sections import Options, need_run, section
from s3plan.engine.runs import Run, runs_in
from s3plan.engine.soak.earlier import cleanups_of, files_of
from s3plan.engine.soak.record import standing
from s3plan.engine.state import ItemState, RunState
from s3plan.errors import StaleError
from s3plan.localfs.tablefile import digests
from s3plan.model.journal import StepStarted
from s3plan.model.soak import Checked, SoakStanding
from s3plan.model.steps import Archive, Step
from s3plan.model.tabular import Column, Report, Section
from s3plan.plan.reading import PlanFile
from s3plan.rules.commands import monitor_command
from s3plan.rules.soak import moment, over, spelled

_BY_TYPE = """
    SELECT type AS file_type, count(*) AS files, sum(w.size)::BIGINT AS bytes
    FROM migrated m JOIN worklists w ON w.step = m.step AND w.n = m.n
    GROUP BY type ORDER BY type"""

_LESSONS = ("What went well", "What went wrong", "What to do otherwise next time")

_DOCUMENTS = (
    ("README and runbooks", "where files are, how a new one is named (s3plan resolve)"),
    ("API documentation", "examples of keys and URLs"),
    ("Code that uploads", "it must use the new keys (s3plan resolve ROW FILE)"),
    ("Policies, lifecycle rules, inventories", "prefixes of the old layout in them"),
    ("Backups and their restore tests", "what they cover now (RESTORE.md)"),
    ("Dashboards and alarms", "metrics by prefix"),
)

_Rows = Sequence[tuple[object, ...]]
_Cleanup = tuple[Run, PlanFile, Step, RunState]


def final(history: History, options: Options) -> Report:
    """The final report of the run that copied; of its soak as far as it is."""
    need_run(history)
    run, state = history.source.run, history.state
    assert run is not None
    assert state is not None
    plan = PlanFile.open(run.plan)
    cleanups = [(other, theirs, step, other.state()) for other, theirs, step in cleanups_of(run)]
    try:
        soak = standing(run, plan, state)
    except StaleError:
        soak = None
    return Report(
        "final",
        "Final report",
        (*_facts(run, plan, state), *_soak_facts(soak), *_space(soak, cleanups)),
        (
            _listed(
                "phases",
                "Phases",
                _PHASES,
                list(_phases(run, plan, state, cleanups, hidden=history.redacted)),
            ),
            section(history, "types", "By type", _BY_TYPE),
            _listed("checks", "Checks", _CHECKS, list(_checks(soak, history))),
            _listed("notes", "Notes", ("kind", "text", "by", "time"), list(_notes(soak, history))),
            _listed(
                "signatures",
                "Signed by",
                ("name", "role", "note", "time", "journal_sha256"),
                list(_signatures(soak, history)),
            ),
            _listed(
                "artifacts",
                "Where everything is",
                ("file", "bytes", "sha256"),
                list(_artifacts(run)),
                note=_location(run, history),
            ),
            _listed("lessons", "Lessons learned", ("question", "answer"), _asked(_LESSONS)),
            _listed(
                "documents",
                "Documents to update",
                ("document", "about", "done_by", "date"),
                [(name, about, "", "") for name, about in _DOCUMENTS],
            ),
        ),
    )


_PHASES = (
    "run", "verb", "bucket", "items", "bytes", "planned_seconds", "took_seconds", "state",
)  # fmt: skip
_CHECKS = (
    "time", "kind", "passes", "copies", "verified", "new_in_old_layout", "old_objects", "old_bytes",
    "old_versions", "old_version_bytes", "found",
)  # fmt: skip


def _facts(run: Run, plan: PlanFile, state: RunState) -> Iterator[tuple[str, object]]:
    yield "run", run.id
    yield "plan", plan.digest
    yield "outcome", "rolled back" if state.rolled_back else state.outcome or "not finished"
    yield "began", state.started.time
    yield "ended", state.ended.time if state.ended else ""


def _soak_facts(soak: SoakStanding | None) -> Iterator[tuple[str, object]]:
    if soak is None:
        return
    yield "soak_until", spelled(over(soak.terms, moment(soak.began)))
    yield "signed_off", bool(soak.signatures)
    last = soak.last
    yield "last_check", f"{last.time}, {_words(last)}" if last is not None else "none"


def _space(soak: SoakStanding | None, cleanups: Sequence[_Cleanup]) -> Iterator[tuple[str, object]]:
    """What the old layout held before the sources were deleted, and what it holds since."""
    deleted = [
        (sum(known.step(step.id).count(code) for code in (ItemState.DONE,)), known)
        for _, _, step, known in cleanups
    ]
    yield "sources_deleted", sum(count for count, _ in deleted)
    ended = [known.ended.time for count, known in deleted if count and known.ended is not None]
    if soak is None or not ended:
        return
    before = [check for check in soak.checks if check.time < min(ended)]
    after = [check for check in soak.checks if check.time > max(ended)]
    for name, checks in (("before", before), ("after", after)):
        if checks:
            yield f"old_layout_bytes_{name}", _held(checks[-1])
        else:
            yield (
                f"old_layout_bytes_{name}",
                f"not measured: {monitor_command(soak.journal)} --full",
            )


def _held(check: Checked) -> int:
    """Bytes of the old layout, every version of it where the bucket keeps them."""
    return check.figures.get("old_version_bytes", check.figures["old_bytes"])


def _phases(
    run: Run, plan: PlanFile, state: RunState, cleanups: Sequence[_Cleanup], *, hidden: bool
) -> Iterator[tuple[object, ...]]:
    """Each step with what it was estimated to take, and what it took."""
    every = {run.id: (run, plan, state)}
    every |= {other.id: (other, theirs, known) for other, theirs, _, known in cleanups}
    for one, its, known in every.values():
        began = _beginnings(one)
        for step in its.steps:
            ended = known.step(step.id).ended
            took = ""
            if step.id in began and ended is not None:
                took = f"{(moment(ended.time) - moment(began[step.id])).total_seconds():.0f}"
            yield (
                one.id, step.verb, "" if hidden else step.subject, step.things, step.totals.bytes,
                "" if step.seconds is None else f"{step.seconds:.0f}", took,
                ended.outcome if ended is not None else "pending",
            )  # fmt: skip


def _beginnings(run: Run) -> dict[str, str]:
    """When each step of a run began for the first time."""
    found: dict[str, str] = {}
    for _, record in read_journal(run.journal):
        if isinstance(record, StepStarted):
            found.setdefault(record.step, record.time)
    return found


def _checks(soak: SoakStanding | None, history: History) -> Iterator[tuple[object, ...]]:
    for check in soak.checks if soak is not None else ():
        figures = (check.figures.get(name) for name in _CHECKS[3:-1])
        said = "; ".join(check.problems)
        found = f"{len(check.problems)} findings" if history.redacted and said else said
        yield check.time, check.kind, check.passes, *figures, found


def _notes(soak: SoakStanding | None, history: History) -> Iterator[tuple[object, ...]]:
    for note in soak.notes if soak is not None else ():
        yield note.kind, "" if history.redacted else note.text, note.by, note.time


def _signatures(soak: SoakStanding | None, history: History) -> Iterator[tuple[object, ...]]:
    for one in soak.signatures if soak is not None else ():
        said = ("", one.role, "") if history.redacted else (one.name, one.role, one.note)
        yield *said, one.time, one.journal


def _artifacts(run: Run) -> Iterator[tuple[object, ...]]:
    """Every file of the runs, as it is now."""
    for file in files_of(run):
        known = digests(run.folder.parent / file.path)
        if known is not None:
            yield file.path, known.size, known.sha256


def _location(run: Run, history: History) -> str:
    """Where the runs were archived, if a later run did that."""
    for other in runs_in(run.folder.parents[2]):
        plan = PlanFile.open(other.plan)
        for step in plan.steps:
            action = step.action
            if not isinstance(action, Archive) or action.name != run.id:
                continue
            if step.id in other.state().archives:
                place = "the archive" if history.redacted else f"s3://{step.subject}/{action.key}"
                return f"Archived, with all files of these runs, at {place}."
    place = "the folder of runs" if history.redacted else str(run.folder.parent)
    return f"Below {place} on the host of the run; not archived."


def _words(check: Checked) -> str:
    return "nothing found" if check.passes else "something found"


def _asked(questions: Sequence[str]) -> list[tuple[object, ...]]:
    return [(question, "") for question in questions]


def _listed(
    name: str, title: str, columns: Sequence[str], rows: _Rows, *, note: str = ""
) -> Section:
    wide = name in ("checks", "notes", "signatures", "documents")
    units = {"bytes", "old_bytes", "old_version_bytes"}
    return Section(
        name,
        title,
        tuple(Column(column, "bytes" if column in units else "") for column in columns),
        rows,
        note,
        lengthy=name == "artifacts",
        sentences=wide,
    )
