"""Which forms of a bucket's objects nobody needs any more, and the steps that remove them."""

from __future__ import annotations

from itertools import islice

from msgspec import UNSET

from s3plan.kinds.cleanup.manifest import CleanupSpec
from s3plan.kinds.kind import Observed
from s3plan.kinds.quantities import parse_moment
from s3plan.model.steps import AbortUploads, Purge, Totals
from s3plan.plan import StepDraft
from s3plan.plan.estimate import delete_seconds
from s3plan.rules.counting import counted
from s3plan.rules.shadow import parse
from s3plan.tables import Column, TableDef

_BATCH = 5_000
_NAMED = 5

NAMES = TableDef("cleanup_names", (Column("key"), Column("role"), Column("object")))
"""Shadow keys taken apart, those of uploads as well; of a plan for a worklist, of its objects."""

_NOT_ASKED = """
    DELETE FROM cleanup_names WHERE object NOT IN (SELECT key FROM asked WHERE bucket = ?)"""

# Times are the bucket's own, so they compare: an object that was written after its old form was
# kept was swapped, or written by somebody; either way the old form is not what readers see.
_FORMS = """
    WITH current AS (
        SELECT key, size, etag, modified FROM listing
        WHERE bucket = $bucket AND history IS NULL AND NOT coalesce(marker, false)
    ), beside AS (
        SELECT s.key, n.object, n.role, s.size, s.etag, s.modified, s.storage_class, s.version_id,
            coalesce(s.newer, 0) AS newer, coalesce(s.marker, false) AS marker, s.history,
            s.modified AS since,
            CASE WHEN n.role = 'old' THEN c.modified >= s.modified
                ELSE (c.size, c.etag) IS NOT DISTINCT FROM (s.size, s.etag)
                    AND c.modified >= s.modified END AS superseded,
            c.key IS NULL AS alone
        FROM shadows s JOIN cleanup_names n ON n.key = s.key
        LEFT JOIN current c ON c.key = n.object
        WHERE s.bucket = $bucket
    ), beneath AS (
        SELECT v.key, v.key AS object, 'version' AS role, v.size, v.etag, v.modified,
            v.storage_class, v.version_id, v.newer, false AS marker, v.history,
            u.modified AS since, true AS superseded, c.key IS NULL AS alone
        FROM listing v JOIN swapped_versions w
            ON w.bucket = v.bucket AND w.key = v.key AND w.version_id = v.version_id
        JOIN listing u ON u.bucket = v.bucket AND u.key = v.key AND u.newer = v.newer - 1
        LEFT JOIN current c ON c.key = v.key
        WHERE v.bucket = $bucket AND v.newer > 0 AND NOT coalesce(v.marker, false)
    )
    SELECT f.*, CASE
            WHEN NOT (starts_with(f.object, $prefix) AND ($key IS NULL OR f.object = $key))
                OR ($listed AND f.object NOT IN (SELECT key FROM asked WHERE bucket = $bucket))
                THEN 'other'
            WHEN $what <> 'both' AND coalesce(f.superseded, false) <> ($what = 'superseded')
                THEN 'other'
            WHEN EXISTS (SELECT 1 FROM layout_needed d WHERE d.bucket = $bucket AND d.key = f.key)
                THEN 'needed'
            WHEN f.alone AND NOT f.marker THEN 'last'
            WHEN f.since >= $before THEN 'young'
            WHEN EXISTS (SELECT 1 FROM locks k WHERE k.bucket = $bucket AND k.key = f.key
                AND k.version_id = f.version_id) THEN 'locked'
            ELSE 'goes' END AS state
    FROM (SELECT * FROM beside UNION ALL SELECT * FROM beneath) AS f"""

_ITEMS = """
    INSERT INTO items BY NAME
    SELECT $step AS step, row_number() OVER () - 1 AS n, * FROM (
        SELECT key, object AS path, size, etag, modified, storage_class, version_id, newer, marker,
            history
        FROM (SELECT * FROM cleanup_forms WHERE state = 'goes'
            ORDER BY since, key, newer DESC LIMIT $limit)
        ORDER BY key, newer DESC
    )"""

_UPLOADS = """
    INSERT INTO items BY NAME
    SELECT $step AS step, row_number() OVER () - 1 AS n, * FROM (
        SELECT u.key, '' AS path, u.size, '' AS etag, u.latest AS modified,
            'STANDARD' AS storage_class, u.upload_id
        FROM uploads u JOIN cleanup_names n ON n.key = u.key
        WHERE u.bucket = $bucket AND u.latest < $before
            AND starts_with(n.object, $prefix) AND ($key IS NULL OR n.object = $key)
            AND NOT EXISTS (SELECT 1 FROM layout_needed d WHERE d.bucket = u.bucket
                AND d.key = u.key)
        ORDER BY u.key, u.upload_id LIMIT $limit
    )"""

_LEFT = {
    "last": "the object itself is gone, so they may be the last copy of it: look at them, and"
    " delete them yourself",
    "locked": "Object Lock keeps them",
}


def find_forms(spec: CleanupSpec, observed: Observed, bucket: str, *, of_worklist: bool) -> None:
    """Fill ``cleanup_forms``: every form beside or beneath an object of the bucket, and its state.

    ``goes``; ``young``: not of that age yet; ``needed`` by a run that is not finished; ``last``:
    there is no object that it is beside; ``locked``; ``other``: nobody asked for it. With
    ``of_worklist`` only objects in ``asked`` are meant.
    """
    database = observed.database
    database.execute("DROP TABLE IF EXISTS cleanup_names")
    database.execute(NAMES.ddl())
    keys = (
        key
        for (key,) in database.rows(
            "SELECT key FROM shadows WHERE bucket = $bucket UNION SELECT key FROM uploads"
            " WHERE bucket = $bucket",
            {"bucket": bucket},
        )
    )
    shadows = ((key, parse(key)) for key in keys)
    known = ((key, shadow) for key, shadow in shadows if shadow is not None)
    while batch := list(islice(known, _BATCH)):
        database.append(
            NAMES,
            {
                "key": [key for key, _ in batch],
                "role": [shadow.role for _, shadow in batch],
                "object": [shadow.key for _, shadow in batch],
            },
        )
    if of_worklist:
        database.execute(_NOT_ASKED, [bucket])
    database.execute(
        f"CREATE OR REPLACE TABLE cleanup_forms AS {_FORMS}",
        {
            "bucket": bucket,
            "prefix": spec.select.prefix,
            "key": spec.select.key,
            "what": spec.what,
            "listed": of_worklist,
            "before": parse_moment(spec.older_than, observed.now),
        },
    )


def steps_of(spec: CleanupSpec, observed: Observed, bucket: str) -> list[StepDraft]:
    """The steps for one bucket, their worklists in ``items``; none where nothing may go."""
    return [*_purge(spec, observed, bucket), *_abort(spec, observed, bucket)]


def _purge(spec: CleanupSpec, observed: Observed, bucket: str) -> list[StepDraft]:
    database, before = observed.database, parse_moment(spec.older_than, observed.now)
    kept = observed.facts[bucket].versioning != "never"
    command = observed.commands[spec.before_delete].ref if spec.before_delete else UNSET
    action = Purge(before, command, versions=True if kept else UNSET)
    draft = StepDraft(
        action,
        bucket,
        reversibility="never",
        undo="It is for good: a swap whose old form is gone cannot be taken back either.",
        reason="",
    )
    database.execute(_ITEMS, {"step": draft.id, "limit": spec.limit})
    items, size, all_of_them = database.row(
        "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT),"
        " (SELECT count(*) FROM cleanup_forms WHERE state = 'goes') FROM items WHERE step = ?",
        [draft.id],
    )
    warnings = _left_out(observed, bucket)
    if not items:
        observed.notes.extend(f"s3://{bucket}: {sentence}" for sentence in warnings)
        return []
    counts = dict(
        database.rows(
            "SELECT coalesce(superseded, false), count(*) FROM cleanup_forms f JOIN items i"
            " ON i.key = f.key AND i.history IS NOT DISTINCT FROM f.history"
            " WHERE i.step = ? GROUP BY ALL",
            [draft.id],
        )
    )
    reason = (
        f"{counted(items, 'form')} from before {before}: {counts.get(True, 0):,} superseded,"
        f" {counts.get(False, 0):,} stale."
    )
    if items < all_of_them:
        reason += f" {all_of_them - items:,} more follow with the next plan (limit)."
    return [
        StepDraft(
            action,
            bucket,
            reversibility="never",
            undo=draft.undo,
            reason=reason,
            worklist=draft.id,
            seconds=delete_seconds(Totals(items, size)),
            warnings=tuple(warnings),
        )
    ]


def _abort(spec: CleanupSpec, observed: Observed, bucket: str) -> list[StepDraft]:
    """Uploads to shadow keys that nobody finished."""
    if spec.what == "superseded":
        return []
    before = parse_moment(spec.older_than, observed.now)
    draft = StepDraft(
        AbortUploads(before),
        bucket,
        reversibility="never",
        undo="Cannot be undone: what was uploaded of them was never an object.",
        reason="",
    )
    observed.database.execute(
        _UPLOADS,
        {
            "step": draft.id,
            "bucket": bucket,
            "before": before,
            "prefix": spec.select.prefix,
            "key": spec.select.key,
            "limit": spec.limit,
        },
    )
    (count,) = observed.database.row("SELECT count(*) FROM items WHERE step = ?", [draft.id])
    if not count:
        return []
    return [
        StepDraft(
            draft.action,
            bucket,
            reversibility="never",
            undo=draft.undo,
            reason=f"{counted(count, 'upload')} to shadow keys that nobody finished, and to which"
            f" nothing was added since {before}.",
            worklist=draft.id,
            seconds=round(count / 50, 1),
        )
    ]


def _left_out(observed: Observed, bucket: str) -> list[str]:
    """What is not removed although it was asked for, and why."""
    database = observed.database
    sentences = []
    for state, why in _LEFT.items():
        rows = database.rows("SELECT key FROM cleanup_forms WHERE state = ? ORDER BY key", [state])
        names = [key for (key,) in rows]
        if names:
            more = f", and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
            first = ", ".join(names[:_NAMED])
            sentences.append(
                f"Left in place: {counted(len(names), 'form')}, since {why}: {first}{more}."
            )
    needed = database.rows(
        "SELECT run, count(*) FROM layout_needed d WHERE bucket = $bucket AND EXISTS"
        " (SELECT 1 FROM cleanup_forms f WHERE f.key = d.key) GROUP BY run ORDER BY run",
        {"bucket": bucket},
    )
    for run, count in needed:
        sentences.append(
            f"Left in place: {counted(count, 'form')}, since run {run} is not finished and may"
            f" need them; apply its plan again, or `s3plan runs abandon {run}`."
        )
    return sentences
