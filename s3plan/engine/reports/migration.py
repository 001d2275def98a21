"""Reports of a migration by type, with the names and columns that its checklists ask for.

All of them are drawn from the plan and the journal of one run. Paths are ``s3://`` addresses;
``md5_hash`` is the ETag where the copy proved that it is an MD5, or what was computed, and empty
with the reason where there is neither.
"""

from __future__ import annotations

import hashlib
from itertools import islice

from s3plan.engine.history import History, Source
from s3plan.engine.journal import read_journal
from s3plan.engine.reports.sections import Options, need_run, section, value
from s3plan.engine.reports.urls import look_at_urls
from s3plan.model.grouping import GroupingRules
from s3plan.model.journal import Copied, CopyFacts, FileRewritten
from s3plan.model.steps import Copy, Item, Step
from s3plan.model.tabular import Column, Report, Section
from s3plan.rules.commands import rollback_command
from s3plan.rules.grouping.filetypes import type_of_object
from s3plan.rules.grouping.keys import KeyPattern
from s3plan.tables import Database
from s3plan.tables.history import MIGRATED

_BATCH = 5_000

_ROW = "row_id"
_NAME = "name"

# Every file of the migration with how its copy ended; other reports are made of it.
_FILES = """
    SELECT m.row_id, m.person_name, m.type, m.source, s.bucket AS target, w.key, w.path, w.size,
        w.etag, w.modified, w.storage_class, m.copy_etag, m.copied, m.compared_by, m.md5, w.n,
        coalesce(o.outcome, 'pending') AS outcome, f.message
    FROM migrated m
    JOIN steps s ON s.step = m.step AND s.command = 'apply'
    JOIN worklists w ON w.step = m.step AND w.n = m.n
    LEFT JOIN outcomes o ON o.step = m.step AND o.n = m.n
    LEFT JOIN failures f ON f.step = m.step AND f.n = m.n"""

_NO_MD5 = """
    CASE WHEN md5 IS NOT NULL THEN ''
        WHEN copied IS NULL THEN 'no MD5: only the copy proves that the ETag is one'
        ELSE 'no MD5: the ETag is none, the copy was compared by ' || compared_by
            || '; checksums: compute has it read' END"""

_LOG = f"""
    SELECT row_id, person_name, 's3://' || source || '/' || key AS old_s3_path,
        's3://' || target || '/' || path AS new_s3_path, type AS file_type, size AS file_size,
        coalesce(md5, '') AS md5_hash,
        coalesce(copied, '') AS copy_timestamp, outcome AS verification_status,
        coalesce(message, {_NO_MD5}) AS error_message
    FROM ({_FILES}) ORDER BY key"""  # noqa: S608 - made of this module's constants

_CHECKSUMS = f"""
    SELECT key, size, modified AS last_modified, etag,
        coalesce(md5, '') AS md5_hash, storage_class, row_id,
        person_name, type AS file_type, {_NO_MD5} AS md5_missing
    FROM ({_FILES}) ORDER BY key"""  # noqa: S608 - as above

_MAPPING = f"""
    SELECT 's3://' || source || '/' || key AS old_s3_path,
        's3://' || target || '/' || path AS new_s3_path,
        regexp_extract(path, '[0-9a-f]{{64}}') AS sha256, size AS file_size, type AS file_type,
        row_id, person_name
    FROM ({_FILES}) ORDER BY key"""  # noqa: S608 - as above

_VERIFICATION = f"""
    SELECT 's3://' || source || '/' || key AS old_s3_path,
        's3://' || target || '/' || path AS new_s3_path, type AS file_type, size AS file_size,
        etag AS source_etag, coalesce(copy_etag, '') AS copy_etag,
        coalesce(compared_by, '') AS compared_by, outcome AS verification_status,
        outcome <> 'verified' AS mismatch, coalesce(message, '') AS error_message,
        row_id, person_name
    FROM ({_FILES}) ORDER BY key"""  # noqa: S608 - as above

_BY_TYPE = f"""
    SELECT type AS file_type, count(*) AS files_before,
        count(*) FILTER (outcome = 'verified') AS files_after,
        count(*) FILTER (outcome <> 'verified') AS missing, sum(size)::BIGINT AS bytes
    FROM ({_FILES}) GROUP BY type ORDER BY type"""  # noqa: S608 - as above

_BY_PERSON = f"""
    SELECT * FROM (
        SELECT row_id, person_name, type AS file_type, count(*) AS files_before,
            count(*) FILTER (outcome = 'verified') AS files_after, sum(size)::BIGINT AS bytes
        FROM ({_FILES}) GROUP BY row_id, person_name, type)
    ORDER BY try_cast(row_id AS BIGINT), row_id, person_name, file_type"""  # noqa: S608 - as above

_PAIRS = f"""
    SELECT 's3://' || source || '/' || key AS old_s3_path,
        's3://' || target || '/' || path AS new_s3_path, size AS file_size, outcome AS status
    FROM ({_FILES}) ORDER BY key"""  # noqa: S608 - as above

_ISSUES = f"""
    SELECT key, path, outcome, message FROM ({_FILES})
    WHERE message IS NOT NULL ORDER BY key"""  # noqa: S608 - as above

_COUNT = f"SELECT count(*) FROM ({_FILES})"  # noqa: S608 - as above

# Every file of the plan ended somehow, or it is a gap in the books.
_UNACCOUNTED = f"""
    SELECT count(*) FROM ({_FILES})
    WHERE outcome NOT IN ('verified', 'failed', 'mismatched', 'drifted')"""  # noqa: S608 - as above

_SECONDS = """
    SELECT sum(epoch(ended::TIMESTAMPTZ) - epoch(started::TIMESTAMPTZ)) FROM steps
    WHERE command = 'apply' AND verb = 'copy'"""

_GATES = "SELECT bucket, time, passes, verified, figures, evidence FROM gates ORDER BY time"

_TESTS = """
    SELECT name, exit_code, milliseconds, time FROM commands
    WHERE command = 'apply' AND step IS NOT NULL AND n IS NULL ORDER BY time"""

_SIGNATURES = (
    "Migration lead",
    "Data owner",
    "Quality assurance",
)


def look_at_migration(source: Source, database: Database, options: Options) -> None:
    """Fill ``migrated`` from the plan and the journal. Nothing but the copies of groupings."""
    if source.plan is None or source.run is None:
        return
    for step in source.plan.steps:
        if isinstance(step.action, Copy) and isinstance(step.action.grouping, GroupingRules):
            _load(source, database, step, step.action.source, step.action.grouping)


def _load(
    source: Source, database: Database, step: Step, bucket: str, rules: GroupingRules
) -> None:
    assert source.plan is not None
    assert source.run is not None
    facts: dict[int, CopyFacts] = {}
    for _, record in read_journal(source.run.journal):
        if isinstance(record, Copied) and record.step == step.id:
            facts.update((copy.n, copy) for copy in record.copies)
    pattern = KeyPattern.parse(rules.pattern)
    items = source.plan.items(step.id)
    while chunk := list(islice(items, _BATCH)):
        parts = [pattern.parts(item.key.removeprefix(rules.prefix)) or {} for item in chunk]
        copies = [facts.pop(item.n, None) for item in chunk]
        database.append(
            MIGRATED,
            {
                "n": [item.n for item in chunk],
                "row_id": [known.get(_ROW, "") for known in parts],
                "person_name": [known.get(_NAME, "") for known in parts],
                "type": [_type(rules, item) for item in chunk],
                "copy_etag": [copy.etag if copy else None for copy in copies],
                "copied": [copy.modified if copy else None for copy in copies],
                "compared_by": [_compared_by(copy) for copy in copies],
                "md5": [_md5(item, copy) for item, copy in zip(chunk, copies, strict=True)],
            },
            {"step": step.id, "source": bucket},
        )


def _type(rules: GroupingRules, item: Item) -> str:
    return type_of_object(rules.rules, rules.default, item.key, item.size, item.label)


def _compared_by(copy: CopyFacts | None) -> str | None:
    if copy is None:
        return None
    return copy.checksum.algorithm if copy.checksum is not None else "MD5"


def _md5(item: Item, copy: CopyFacts | None) -> str | None:
    """The source's MD5 in hex: computed, or an ETag that is proved to be one by its copy's."""
    if copy is None or copy.md5 is not None:
        return copy.md5 if copy is not None else None
    if copy.checksum is None:
        return item.etag.lower()
    whole = copy.checksum.algorithm == "MD5" and not copy.checksum.parts
    return copy.checksum.value if whole else None


def migration_log(history: History, options: Options) -> Report:
    """migration_log.csv: every file, its two paths, and how its copy ended."""
    need_run(history)
    return Report("migration-log", "Migration log", (), (_table(history, "log", _LOG),))


def inventory_checksums(history: History, options: Options) -> Report:
    """inventory_checksums.csv: the sources as they were when the plan was made."""
    need_run(history)
    return Report(
        "inventory-checksums", "Checksums", (), (_table(history, "checksums", _CHECKSUMS),)
    )


def mapping(history: History, options: Options) -> Report:
    """mapping.csv: where each object is now; the only record of names that new keys do not have."""
    need_run(history)
    return Report("mapping", "Old and new keys", (), (_table(history, "mapping", _MAPPING),))


def verification(history: History, options: Options) -> Report:
    """verification_report.csv: by what each copy was compared, and whether it is the same."""
    need_run(history)
    return Report(
        "verification", "Verification", (), (_table(history, "verification", _VERIFICATION),)
    )


def migration_summary(history: History, options: Options) -> Report:
    """migration_summary.json: the totals of the run."""
    need_run(history)
    return Report("migration-summary", "Migration summary", _totals(history), ())


def inventory_report(history: History, options: Options) -> Report:
    """inventory_report.json: files and bytes by type and by person."""
    need_run(history)
    persons = "SELECT count(DISTINCT (row_id, person_name)) FROM migrated"
    return Report(
        "inventory-report",
        "What was there",
        (("files", value(history, _COUNT)), ("persons", value(history, persons))),
        (
            section(history, "types", "By type", _BY_TYPE),
            section(history, "persons", "By person and type", _BY_PERSON, lengthy=True),
        ),
    )


def reversal(history: History, options: Options) -> Report:
    """rollback_plan.json: every copy, and the command that takes all of them back."""
    need_run(history)
    run = history.source.run
    assert run is not None
    journal = "journal.json" if history.redacted else str(run.journal)
    return Report(
        "rollback-plan",
        "How to go back",
        (
            ("run", run.id),
            ("command", rollback_command(journal)),
            ("look_first", f"s3plan rollback {journal}"),
            ("copies", value(history, _COUNT)),
        ),
        (section(history, "copies", "Copies", _PAIRS, lengthy=True),),
    )


def look_at_comparison(source: Source, database: Database, options: Options) -> None:
    """What a comparison needs besides: the table as it was, and as it is."""
    look_at_migration(source, database, options)
    look_at_urls(source, database, options)


def comparison(history: History, options: Options) -> Report:
    """Before and after: files by type and person, the URLs of the table, issues and throughput."""
    need_run(history)
    rewritten = _rewritten(history)
    facts: list[tuple[str, object]] = [*_totals(history), *_throughput(history)]
    if rewritten is not None:
        facts += [("table_rows", rewritten.rows), ("table_urls", rewritten.urls)]
    return Report(
        "comparison",
        "Before and after",
        tuple(facts),
        (
            section(history, "types", "By type", _BY_TYPE),
            section(history, "urls", "URLs of the table", "SELECT * FROM table_urls"),
            section(history, "persons", "By person and type", _BY_PERSON, lengthy=True),
            section(history, "issues", "Issues", _ISSUES, sentences=True, lengthy=True),
            _remarks(history),
        ),
    )


def _throughput(history: History) -> tuple[tuple[str, object], ...]:
    """How many people and bytes, and how fast, over the time in which copies were made."""
    persons, size, copied, seconds = history.database.row(
        f"SELECT count(DISTINCT (row_id, person_name)), coalesce(sum(size), 0)::BIGINT,"  # noqa: S608
        f" count(copied), ({_SECONDS}) FROM ({_FILES})"
    )
    pace = seconds or None
    return (
        ("persons", persons),
        ("total_bytes", size),
        ("unaccounted_files", value(history, _UNACCOUNTED)),
        ("copying_seconds", None if seconds is None else round(seconds, 3)),
        ("files_per_second", None if pace is None else round(copied / pace, 1)),
        ("bytes_per_second", None if pace is None else round(size / pace)),
    )


def _remarks(history: History) -> Section:
    """What the plan said of what stays behind: orphans, unfinished files, versions, headers."""
    plan = history.source.plan
    told: list[tuple[object, ...]] = []
    if plan is not None and not history.redacted:
        told = [
            (step.verb, warning)
            for step in plan.steps
            if step.verb == "copy"
            for warning in step.warnings
        ]
    columns = (Column("step"), Column("remark"))
    return Section("remarks", "What the plan said", columns, told, sentences=True)


def certificate(history: History, options: Options) -> Report:
    """The certificate of a migration: its figures, the journal's digest, and room to sign."""
    need_run(history)
    run = history.source.run
    assert run is not None
    facts = [("run", run.id), *_totals(history)]
    verified = dict(facts)["files_verified"] == dict(facts)["total_files_to_migrate"]
    digest = hashlib.sha256(run.journal.read_bytes()).hexdigest()
    rewritten = _rewritten(history)
    if rewritten is not None:
        facts += [("table_sha256", rewritten.after), ("table_urls", rewritten.urls)]
    return Report(
        "certificate",
        "Migration certificate",
        (*facts, ("every_file_verified", verified), ("journal_sha256", digest)),
        (
            section(history, "types", "By type", _BY_TYPE),
            section(history, "verifications", "Verifications", _GATES),
            *_tests(history),
            Section(
                "sign_off",
                "Sign-off",
                tuple(Column(name) for name in ("role", "name", "date", "signature")),
                [(role, "", "", "") for role in _SIGNATURES],
            ),
        ),
    )


def _tests(history: History) -> tuple[Section, ...]:
    """How the project's own tests ended, where the run had some."""
    if not value(history, f"SELECT count(*) FROM ({_TESTS})"):  # noqa: S608 - a constant
        return ()
    return (section(history, "tests", "Tests of the application", _TESTS),)


def _totals(history: History) -> tuple[tuple[str, object], ...]:
    total, copied, verified, failed = history.database.row(
        f"SELECT count(*), count(copied), count(*) FILTER (outcome = 'verified'),"  # noqa: S608
        f" count(*) FILTER (outcome IN ('failed', 'mismatched', 'drifted')) FROM ({_FILES})"
    )
    begun, ended = history.database.row(
        "SELECT min(started), max(ended) FROM steps WHERE command = 'apply'"
    )
    return (
        ("total_files_to_migrate", total),
        ("files_copied", copied),
        ("files_verified", verified),
        ("files_failed", failed),
        ("start_time", begun),
        ("end_time", ended),
    )


def _rewritten(history: History) -> FileRewritten | None:
    if history.state is None:
        return None
    return next(iter(history.state.rewritten.values()), None)


def _table(history: History, name: str, sql: str) -> Section:
    return section(history, name, name.capitalize(), sql, lengthy=True)
