"""What happened, as tables and views that people may query: plan, journal and catalogue of a run.

The names are promises: docs/query.md documents each, and its examples are run by a test. All times
are RFC 3339 text in UTC, sizes are bytes. ``bucket`` is the subject of a step.
"""

from __future__ import annotations

from s3plan.tables.archivehistory import ARCHIVE_TABLES, ARCHIVE_VIEWS
from s3plan.tables.definitions import CATALOGUE, CATALOGUE_NOTES, TREE, Column, TableDef

RUNS = TableDef(
    "runs",
    (
        Column("command"),
        Column("run"),
        Column("digest"),
        Column("endpoint"),
        Column("region"),
        Column("account"),
        Column("host"),
        Column("approver"),
        Column("tool"),
        Column("started"),
        Column("updated"),
        Column("outcome"),
        Column("phase"),
        Column("sessions", "BIGINT"),
    ),
)
"""The run, and its rollback if one has begun: ``command`` is apply or rollback."""

STEPS = TableDef(
    "steps",
    (
        Column("command"),
        Column("position", "BIGINT"),
        Column("step"),
        Column("verb"),
        Column("bucket"),
        Column("worklist"),
        Column("items", "BIGINT"),
        Column("bytes", "BIGINT"),
        Column("state"),
        Column("reason"),
        Column("reversibility"),
        Column("started"),
        Column("ended"),
    ),
)
"""The steps of the plan in their order. ``state`` is pending, running, done, incomplete, held or
skipped; ``worklist`` names the step under which the items stand."""

WORKLISTS = TableDef(
    "worklists",
    (
        Column("step"),
        Column("n", "BIGINT"),
        Column("key"),
        Column("path"),
        Column("size", "BIGINT"),
        Column("etag"),
        Column("modified"),
        Column("storage_class"),
        Column("checksum"),
        Column("version_id"),
        Column("history"),
        Column("marker", "BOOLEAN"),
        Column("bucket"),
        Column("rank", "BIGINT"),
        Column("restore"),
        Column("download"),
        Column("verify"),
        Column("delete"),
        Column("put_back"),
    ),
)
"""The items of the plan, once each, as they were when it was made. ``rank`` is 0 for the largest
worklist of a bucket, which nearly always has all its objects, and NULL where the items are no
objects. ``history`` is the id of a version that is not what its key holds now. The last columns
tell how the item ended in the steps of these verbs that share the worklist; NULL where there is no
such step."""

OUTCOMES = TableDef("outcomes", (Column("step"), Column("n", "BIGINT"), Column("outcome")))
"""How item ``n`` of a step's worklist ended; no row for what the step has not come to."""

FAILURES = TableDef(
    "failures",
    (
        Column("step"),
        Column("n", "BIGINT"),
        Column("key"),
        Column("path"),
        Column("outcome"),
        Column("reason"),
        Column("message"),
    ),
)
"""Items that did not end well and have not since. ``reason`` is a stable code."""

RESTORES = TableDef(
    "restores",
    (
        Column("seq", "BIGINT"),
        Column("step"),
        Column("n", "BIGINT"),
        Column("stage"),
        Column("until"),
        Column("time"),
    ),
)
"""Stages that archived objects came to: requested, ongoing, ready or expired. ``until`` is when the
temporary copy expires, ``seq`` the line of the journal."""

GATES = TableDef(
    "gates",
    (
        Column("step"),
        Column("bucket"),
        Column("evidence"),
        Column("passes", "BOOLEAN"),
        Column("items", "BIGINT"),
        Column("bytes", "BIGINT"),
        Column("verified", "BIGINT"),
        Column("unverifiable", "BIGINT"),
        Column("mismatched", "BIGINT"),
        Column("figures"),
        Column("losses", "BIGINT"),
        Column("time"),
    ),
)
"""The last verification of each verify step. ``items`` and ``bytes`` were verified; ``figures`` is
JSON of every count that the gate shows."""

APPROVALS = TableDef(
    "approvals",
    (
        Column("bucket"),
        Column("what"),
        Column("decision"),
        Column("evidence"),
        Column("approver"),
        Column("how"),
        Column("time"),
    ),
)
"""What people said at gates: ``decision`` is approved or declined, ``what`` is delete or loss."""

COMMANDS = TableDef(
    "commands",
    (
        Column("command"),
        Column("name"),
        Column("step"),
        Column("n", "BIGINT"),
        Column("definition"),
        Column("exit_code", "BIGINT"),
        Column("problem"),
        Column("milliseconds", "BIGINT"),
        Column("output"),
        Column("time"),
    ),
)
"""Every time that a command of the project file ran: ``name`` is its own, ``command`` is apply or
rollback. ``step`` is NULL where it was told how the run ended, ``n`` where it was not for an item.
"""

CATALOGUES = TableDef(
    "catalogues",
    (
        Column("destination"),
        Column("bucket"),
        Column("endpoint"),
        Column("region"),
        Column("account"),
        Column("created"),
        Column("state"),
    ),
)
"""The catalogues in the destinations. ``state`` is deleted or restored once a bucket was."""

STRUCTURE = TableDef("structure", (Column("bucket"), Column("fault"), Column("path")))
"""Files that are missing, of another size, or extra; filled only for a closeout."""

SPOT_CHECKS = TableDef(
    "spot_checks",
    (
        Column("bucket"),
        Column("key"),
        Column("path"),
        Column("size", "BIGINT"),
        Column("checksum"),
        Column("found"),
    ),
)
"""Files that were read again for a closeout: ``found`` is "as recorded" or what is wrong."""

MIGRATED = TableDef(
    "migrated",
    (
        Column("step"),
        Column("n", "BIGINT"),
        Column("source"),
        Column("row_id"),
        Column("person_name"),
        Column("type"),
        Column("copy_etag"),
        Column("copied"),
        Column("compared_by"),
        Column("md5"),
    ),
)
"""Of item ``n`` of a copy step of a grouping: whose it is, its type, and what the journal says of
its copy; filled only for reports of a migration."""

TABLE_URLS = TableDef(
    "table_urls",
    (
        Column("column_name"),
        Column("file_type"),
        Column("urls_before", "BIGINT"),
        Column("urls_after", "BIGINT"),
    ),
)
"""URLs in each mapped column of the table that a grouping rewrote; filled only for reports of a
migration."""

HISTORY = (
    RUNS,
    STEPS,
    WORKLISTS,
    OUTCOMES,
    FAILURES,
    RESTORES,
    GATES,
    APPROVALS,
    COMMANDS,
    CATALOGUES,
    CATALOGUE,
    STRUCTURE,
    SPOT_CHECKS,
    MIGRATED,
    TABLE_URLS,
    *ARCHIVE_TABLES,
)
"""Every table that a database of history has."""

SCRATCH = (CATALOGUE_NOTES, TREE)
"""Tables that reading needs, gone before anybody asks."""

# One row per item and step, whichever step the worklist is stored under.
_ITEMS = """
    SELECT s.command, s.step, s.verb, s.bucket, w.n, w.key, w.path, w.size, w.etag, w.modified,
        w.storage_class, w.checksum, w.version_id, coalesce(o.outcome, 'pending') AS outcome
    FROM steps s JOIN worklists w ON w.step = s.worklist
    LEFT JOIN outcomes o ON o.step = s.step AND o.n = w.n
"""

# One row per object, noncurrent version and delete marker that a plan or a catalogue knows. What an
# item of a step came to stands in a column per verb; NULL where no step of that verb has it. Only
# what is in smaller worklists is grouped: grouping everything takes memory for everything.
_OBJECTS = """
    WITH lesser AS (
        SELECT bucket, key, history, any_value(marker) AS marker, any_value(path) AS path,
            any_value(size) AS size, any_value(etag) AS etag, any_value(modified) AS modified,
            any_value(storage_class) AS storage_class, max(restore) AS restore,
            max(download) AS download, max(verify) AS verify, max(delete) AS delete,
            max(put_back) AS put_back
        FROM worklists WHERE rank > 0 GROUP BY bucket, key, history
    ), planned AS (
        SELECT coalesce(w.bucket, s.bucket) AS bucket, coalesce(w.key, s.key) AS key,
            coalesce(w.history, s.history) AS history, coalesce(w.marker, s.marker) AS marker,
            coalesce(w.path, s.path) AS path, coalesce(w.size, s.size) AS size,
            coalesce(w.etag, s.etag) AS etag, coalesce(w.modified, s.modified) AS modified,
            coalesce(w.storage_class, s.storage_class) AS storage_class,
            coalesce(w.restore, s.restore) AS restore,
            coalesce(w.download, s.download) AS download,
            coalesce(w.verify, s.verify) AS verify, coalesce(w.delete, s.delete) AS delete,
            coalesce(w.put_back, s.put_back) AS put_back
        FROM (SELECT * FROM worklists WHERE rank = 0) w
        FULL JOIN lesser s ON s.bucket = w.bucket AND s.key = w.key
            AND s.history IS NOT DISTINCT FROM w.history
    )
    SELECT coalesce(p.bucket, c.bucket) AS bucket, coalesce(p.key, c.key) AS key,
        coalesce(p.history, c.history) AS noncurrent,
        coalesce(p.marker, c.path IS NULL AND c.key IS NOT NULL) AS marker,
        coalesce(c.path, p.path) AS path, coalesce(p.size, c.size) AS size,
        coalesce(p.etag, c.etag) AS etag, coalesce(p.modified, c.modified) AS modified,
        coalesce(p.storage_class, json_extract_string(c.attributes, '$.storage_class'), 'STANDARD')
            AS storage_class,
        p.restore, p.download, p.verify, p.delete, p.put_back,
        p.key IS NOT NULL AS planned, c.key IS NOT NULL AS catalogued,
        c.destination, c.verdict, c.rung, c.algorithm, c.value, c.run, c.adopted
    FROM planned p FULL JOIN catalogue c ON c.bucket = p.bucket AND c.key = p.key
        AND c.history IS NOT DISTINCT FROM p.history
"""

# One row per archived object: where it is on its way, and until when it can be read.
_RESTORE_STATUS = """
    SELECT s.bucket, w.key, w.history AS noncurrent, w.storage_class, w.size,
        arg_max(r.stage, r.seq) AS stage,
        max(r.time) FILTER (r.stage = 'requested') AS requested_at,
        max(r.time) FILTER (r.stage = 'ready') AS restored_at,
        arg_max(r.until, r.seq) AS until
    FROM restores r JOIN steps s USING (step) JOIN worklists w ON w.step = s.worklist AND w.n = r.n
    GROUP BY s.bucket, w.key, w.history, w.storage_class, w.size
"""

_FAILED = "('failed', 'mismatched', 'drifted')"

_FILES = f"""
    WITH said AS (
        SELECT s.bucket, f.key, any_value(f.message) AS message
        FROM failures f JOIN steps s USING (step)
        JOIN worklists w ON w.step = s.worklist AND w.n = f.n AND w.history IS NULL
        GROUP BY s.bucket, f.key
    )
    SELECT o.bucket, o.key, o.size, o.etag, o.storage_class, o.modified AS last_modified,
        o.destination || '/' || o.path AS local_path,
        o.algorithm || ':' || o.value AS local_checksum,
        CASE
            WHEN coalesce(o.delete, '') IN ('done', 'verified')
                AND coalesce(o.put_back, '') <> 'verified' THEN 'deleted'
            WHEN coalesce(o.delete, '') IN {_FAILED} OR coalesce(o.verify, '') IN {_FAILED}
                OR coalesce(o.download, '') IN {_FAILED} OR coalesce(o.restore, '') IN {_FAILED}
                THEN 'failed'
            WHEN o.verify = 'verified' AND o.catalogued THEN 'verified'
            WHEN o.catalogued THEN 'synced'
            WHEN o.restore IN ('done', 'verified') THEN 'restored'
            WHEN o.restore IN ('unknown', 'requested', 'ongoing', 'expired') THEN 'restoring'
            ELSE 'discovered'
        END AS state,
        said.message AS error_message,
        a.requested_at AS glacier_restore_requested_at, a.restored_at AS glacier_restored_at,
        r.started AS created_at, r.updated AS updated_at
    FROM objects o
    LEFT JOIN said ON said.bucket = o.bucket AND said.key = o.key
    LEFT JOIN restore_status a ON a.bucket = o.bucket AND a.key = o.key AND a.noncurrent IS NULL
    LEFT JOIN runs r ON r.command = 'apply'
    WHERE o.noncurrent IS NULL
"""  # noqa: S608 - made of this module's constants

# The figures of the replaced tool, from counts and never from the name of a phase: they are the
# same before, while and after anything is deleted.
_BUCKET_STATUS = """
    WITH counted AS (
        SELECT bucket, sum(files)::BIGINT AS file_count, sum(bytes)::BIGINT AS total_size,
            to_json(map(list(storage_class ORDER BY storage_class),
                list(files ORDER BY storage_class)))::VARCHAR AS storage_class_counts,
            sum(local)::BIGINT AS local_file_count
        FROM (
            SELECT bucket, storage_class, count(*) AS files, sum(size) AS bytes,
                count(*) FILTER (catalogued) AS local
            FROM objects GROUP BY bucket, storage_class)
        GROUP BY bucket
    ), stepped AS (
        SELECT bucket,
            bool_and(state = 'done') FILTER (verb = 'download') AS downloaded,
            bool_and(state = 'done') FILTER (verb IN ('delete', 'delete-bucket')) AS deleted
        FROM steps WHERE command = 'apply' GROUP BY bucket
    ), verified AS (
        SELECT g.bucket, bool_and(g.passes) AS passes, sum(g.verified)::BIGINT AS verified,
            sum(g.unverifiable)::BIGINT AS unverifiable, sum(g.bytes)::BIGINT AS bytes
        FROM gates g JOIN steps s USING (step) WHERE s.command = 'apply' GROUP BY g.bucket
    )
    SELECT bucket, file_count, total_size, storage_class_counts,
        s.bucket IS NOT NULL AS scan_complete,
        coalesce(s.downloaded, file_count = local_file_count) AS sync_complete,
        coalesce(v.passes, false) AS verify_complete,
        coalesce(s.deleted, k.state = 'deleted', false) AND coalesce(k.state, '') <> 'restored'
            AS delete_complete,
        local_file_count,
        v.verified AS verified_file_count,
        v.verified + v.unverifiable AS size_verified_count,
        v.verified AS checksum_verified_count,
        v.unverifiable AS size_only_count,
        v.bytes AS total_bytes_verified,
        coalesce(r.started, k.created) AS created_at, r.updated AS updated_at
    FROM counted c
    LEFT JOIN stepped s USING (bucket)
    LEFT JOIN verified v USING (bucket)
    LEFT JOIN catalogues k USING (bucket)
    LEFT JOIN runs r ON r.command = 'apply'
    ORDER BY bucket
"""

_METADATA = """
    SELECT key, value, updated AS updated_at FROM (
        SELECT unnest(['current_phase', 'run', 'plan', 'outcome', 'endpoint', 'account', 'tool'])
                AS key,
            unnest([phase, run, digest, outcome, endpoint, account, tool]) AS value, updated
        FROM runs WHERE command = 'apply')
    WHERE value IS NOT NULL
"""

VIEWS = {
    "items": _ITEMS,
    "objects": _OBJECTS,
    "restore_status": _RESTORE_STATUS,
    "files": _FILES,
    "bucket_status": _BUCKET_STATUS,
    "migration_metadata": _METADATA,
    **ARCHIVE_VIEWS,
}
"""The views by name; each may use those before it. ``files``, ``bucket_status`` and
``migration_metadata`` have the columns of the replaced bucket migrator."""
