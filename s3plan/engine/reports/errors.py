"""``report errors``: everything that did not end well, why, and what to type next."""

from __future__ import annotations

from s3plan.engine.history import History
from s3plan.engine.reports.sections import Options, need_run, section, value
from s3plan.model.tabular import Report
from s3plan.rules.commands import DEFAULT_PLAN, apply_command, rollback_command

_FAILURES = """
    SELECT s.bucket, s.verb, f.key, f.path, f.outcome, f.reason, f.message,
        CASE WHEN f.outcome = 'kept' THEN 'look at it: s3plan leaves it alone'
            WHEN f.outcome = 'drifted' THEN 's3plan plan again'
            WHEN s.command = 'rollback' THEN '{rollback}' ELSE '{apply}' END AS next_step
    FROM failures f JOIN steps s USING (step) ORDER BY s.command, s.position, f.n"""

_STEPS = """
    SELECT bucket, verb, state, items, reason FROM steps
    WHERE state IN ('incomplete', 'held', 'skipped') ORDER BY command, position"""

_GATES = """
    SELECT bucket, time, verified, unverifiable, mismatched, figures FROM gates
    WHERE NOT passes ORDER BY bucket, time"""


def errors(history: History, options: Options) -> Report:
    """Items, steps and gates of a run and its rollback. Raises UsageError where nothing was run."""
    need_run(history)
    run, plan = history.source.run, history.source.plan
    assert run is not None
    assert plan is not None
    apply = apply_command(DEFAULT_PLAN if history.redacted else str(run.plan), plan.digest).replace(
        "'", "''"
    )
    rollback = rollback_command("journal.json" if history.redacted else str(run.journal)).replace(
        "'", "''"
    )
    return Report(
        "errors",
        "What did not end well",
        (
            ("run", run.id),
            ("outcome", value(history, "SELECT outcome FROM runs WHERE command = 'apply'")),
            ("failures", value(history, "SELECT count(*) FROM failures")),
        ),
        (
            section(
                history,
                "failures",
                "Items",
                _FAILURES.format(apply=apply, rollback=rollback),
                lengthy=True,
                sentences=True,
            ),
            section(history, "steps", "Steps", _STEPS),
            section(history, "gates", "Gates that do not pass", _GATES),
        ),
    )
