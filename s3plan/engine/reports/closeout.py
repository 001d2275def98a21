"""``report closeout``: is everything there, is it the same, where is the journal, who signs?

What the journal claims is compared with the disk: every catalogued file must be there with its
size and nothing else may stand beside it, and a sample is read from disk and compared by content.
The sample follows from a seed, so that anybody can draw the same one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from s3plan.engine.history import History, Source
from s3plan.engine.offline.claims import claims_of
from s3plan.engine.offline.reading import Recorded, look_at
from s3plan.engine.offline.verify import recorded_checksums
from s3plan.engine.reports.sections import Options, need_run, section, value
from s3plan.engine.runs import Run
from s3plan.errors import UsageError
from s3plan.inventory.extras import extra_files
from s3plan.inventory.local import observe_tree
from s3plan.localfs.tree import Tree
from s3plan.model.objects import Checksum
from s3plan.model.tabular import Column, Report, Section
from s3plan.rules.versioning import versions_root
from s3plan.tables import Database
from s3plan.tables.history import SPOT_CHECKS, STRUCTURE

_MISSING = """
    INSERT INTO structure
    SELECT c.bucket, CASE WHEN t.path IS NULL THEN 'missing' ELSE 'other size' END, c.path
    FROM catalogue c LEFT JOIN tree t ON t.destination = c.destination AND t.path = c.path
    WHERE c.destination = $destination AND c.bucket = $bucket AND NOT ends_with(c.path, '/')
      AND t.size IS DISTINCT FROM c.size"""

# Anybody with the seed draws the same sample: the order of sha256(seed, bucket, key).
_SAMPLE = """
    SELECT destination, bucket, key, path, size, algorithm, value, parts, verdict, checksums
    FROM catalogue WHERE NOT ends_with(path, '/')
    ORDER BY sha256($seed || chr(10) || bucket || chr(10) || key) LIMIT $sample"""

_BUCKETS = """
    SELECT b.bucket, b.file_count, b.total_size, b.local_file_count, b.verified_file_count,
        b.size_only_count, b.sync_complete, b.verify_complete, b.delete_complete,
        count(s.path) FILTER (s.fault <> 'extra') AS missing,
        count(s.path) FILTER (s.fault = 'extra') AS extra
    FROM bucket_status b LEFT JOIN structure s USING (bucket) GROUP BY ALL ORDER BY b.bucket"""

_STEPS = """
    SELECT bucket, verb, state, items, bytes, started, ended FROM steps
    WHERE command = 'apply' ORDER BY position"""

_APPROVALS = """
    SELECT bucket, what, decision, approver, how, time, evidence FROM approvals
    ORDER BY time, bucket"""


def look_at_copies(source: Source, database: Database, options: Options) -> None:
    """Fill ``structure`` and ``spot_checks`` from the disk. Raises UsageError without a run."""
    if source.run is None or source.plan is None:
        raise UsageError(
            "a closeout is about a run",
            address=source.described(),
            expected="a journal",
            next_step="name one with --from",
        )
    for claim in claims_of(source.plan):
        place = {"destination": claim.destination, "bucket": claim.bucket}
        with Tree.open(claim.destination, create=False) as tree:
            database.execute("DELETE FROM tree")
            for root in (claim.root or "", versions_root(claim.bucket)):
                observe_tree(tree, root, database)
            database.execute(_MISSING, place)
            if claim.inventory == "exact":
                found = list(extra_files(database, claim.ignore))
                columns = {"fault": ["extra"] * len(found), "path": found}
                if found:
                    database.append(STRUCTURE, columns, {"bucket": claim.bucket})
    _spot_check(database, options, source.run)


def _spot_check(database: Database, options: Options, run: Run) -> None:
    drawn = {"seed": options.seed or run.id, "sample": options.sample}
    for destination, bucket, key, path, size, algorithm, digest, parts, verdict, checksums in list(
        database.rows(_SAMPLE, drawn)
    ):
        evidence = Checksum(algorithm, digest, parts)
        row = Recorded(key, path, size, recorded_checksums(evidence, checksums), verdict)
        with Tree.open(destination, create=False) as tree:
            looked = look_at(tree, row)
        database.append(
            SPOT_CHECKS,
            {
                "bucket": [bucket],
                "key": [key],
                "path": [path],
                "size": [size],
                "checksum": [f"{evidence.algorithm} {evidence.value}"],
                "found": [looked.fault or "as recorded"],
            },
        )


def closeout(history: History, options: Options) -> Report:
    """Whether the run is complete and the copies are as recorded, for whoever signs it off."""
    need_run(history)
    run = history.source.run
    assert run is not None
    assert history.state is not None
    done, steps = history.database.row(
        "SELECT count(*) FILTER (state = 'done'), count(*) FROM steps WHERE command = 'apply'"
    )
    checked, right = history.database.row(
        "SELECT count(*), count(*) FILTER (found = 'as recorded') FROM spot_checks"
    )
    unlike = value(history, "SELECT count(*) FROM structure")
    failures = value(history, "SELECT count(*) FROM failures")
    archived, mirror = str(run.folder), history.state.started.mirror
    if history.redacted:
        archived, mirror = run.folder.name, None
    return Report(
        "closeout",
        f"Closeout of run {run.id}",
        (
            ("complete", done == steps and not failures),
            ("steps_done", f"{done} of {steps}"),
            ("failures", failures),
            ("structure_equal", not unlike),
            ("spot_check_passed", checked == right if checked else None),
            ("spot_check_files", checked),
            ("spot_check_seed", options.seed or run.id),
            ("plan", history.state.started.digest),
            ("started", history.state.started.time),
            ("last_record", history.state.updated),
            ("outcome", value(history, "SELECT outcome FROM runs WHERE command = 'apply'")),
            ("journal_archived_in", archived),
            ("journal_mirror", mirror),
        ),
        (
            section(history, "buckets", "Buckets", _BUCKETS),
            section(history, "steps", "Steps", _STEPS),
            section(history, "approvals", "Approvals", _APPROVALS),
            section(
                history,
                "structure",
                "Files that are missing, of another size, or extra",
                "FROM structure ORDER BY ALL",
                lengthy=True,
            ),
            section(history, "spot_check", "Spot check", "FROM spot_checks ORDER BY bucket, key"),
            _archive(run),
            _sign_off(),
        ),
    )


def _archive(run: Run) -> Section:
    """The run's own files, so that a copy of them can be told from another."""
    files = [
        run.plan,
        run.journal,
        run.rollback_plan,
        run.rollback_journal,
        *sorted((run.folder / "evidence").glob("*")),
    ]
    return Section(
        "journal",
        "Plan, journal and evidence",
        (Column("file"), Column("bytes", "bytes"), Column("sha256")),
        [
            (str(path.relative_to(run.folder)), path.stat().st_size, _sha256(path))
            for path in files
            if path.is_file()
        ],
        "Keep this folder: it is what a rollback and every later question rest on.",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sign_off() -> Section:
    return Section(
        "sign_off",
        "Sign-off",
        tuple(Column(name) for name in ("role", "name", "date", "signature")),
        [("done by", None, None, None), ("checked by", None, None, None)],
    )
