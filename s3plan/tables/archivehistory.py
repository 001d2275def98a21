"""The tables of astro_cat, filled from runs: names and columns as its users know them.

What S3 holds at this moment no journal knows: classes and dates are those that follow from the
upload and the lifecycle policy. ``s3plan status MANIFEST`` asks S3.
"""

from __future__ import annotations

from s3plan.tables.definitions import Column, TableDef

ARCHIVED = TableDef(
    "archived",
    (
        Column("run"),
        Column("what"),
        Column("bucket"),
        Column("key"),
        Column("session"),
        Column("session_date"),
        Column("session_year"),
        Column("region"),
        Column("etag"),
        Column("version_id"),
        Column("files", "BIGINT"),
        Column("bytes", "BIGINT"),
        Column("size", "BIGINT"),
        Column("archive_policy"),
        Column("backup_policy"),
        Column("storage_class"),
        Column("moves_to"),
        Column("moves_after", "BIGINT"),
        Column("created"),
        Column("uploaded"),
        Column("rung"),
        Column("camera"),
        Column("telescope"),
        Column("month"),
        Column("rolled_back", "BOOLEAN"),
    ),
)
"""Objects that runs of this directory made of sessions: ``what`` is archive, or file (a note, an
extra). ``month`` is US dollars in the class of the upload, as text."""

ARCHIVE_EVENTS = TableDef(
    "archive_events",
    (
        Column("run"),
        Column("operation"),
        Column("status"),
        Column("bucket"),
        Column("key"),
        Column("session"),
        Column("time"),
        Column("seconds", "BIGINT"),
        Column("bytes", "BIGINT"),
        Column("stage"),
        Column("until"),
        Column("tier"),
        Column("code"),
        Column("message"),
    ),
)
"""Uploads, verifications, restores and removals of these runs."""

# The object that a key holds now, as far as the runs know: the last one that was not taken back.
_LATEST = """
    SELECT * FROM archived WHERE NOT rolled_back
    QUALIFY row_number() OVER (PARTITION BY bucket, key ORDER BY uploaded DESC, run DESC) = 1
"""

_MOVED = """
    CASE WHEN moves_to IS NOT NULL AND CAST(CAST(uploaded AS TIMESTAMP)
        + to_days(CAST(moves_after + 1 AS INTEGER)) AS DATE) <= today()
        THEN moves_to ELSE storage_class END"""

_TRANSITION = """
    CASE WHEN moves_to IS NOT NULL THEN CAST(CAST(CAST(uploaded AS TIMESTAMP)
        + to_days(CAST(moves_after + 1 AS INTEGER)) AS DATE) AS VARCHAR) END"""

_ARCHIVES = f"""
    WITH asked AS (
        SELECT bucket, key, arg_max(stage, time) AS stage, arg_max(until, time) AS until,
            arg_max(tier, time) AS tier, max(time) AS time
        FROM archive_events WHERE operation = 'restore_request' GROUP BY bucket, key
    )
    SELECT session AS session_id, session_date, session_year, a.bucket AS s3_bucket,
        a.key AS s3_key, region AS s3_region, etag AS s3_etag, version_id AS s3_version_id,
        files AS file_count, bytes AS original_size_bytes, size AS compressed_size_bytes,
        round(size / nullif(bytes, 0), 4) AS compression_ratio, archive_policy, backup_policy,
        storage_class AS current_storage_class, {_MOVED} AS expected_storage_class,
        {_TRANSITION} AS transition_date, created AS created_at, uploaded AS uploaded_at,
        CASE WHEN rung <> 'size' THEN uploaded END AS last_verified_at, rung <> 'size' AS verified,
        rung AS verification_method, r.time AS restore_requested_at,
        r.until AS restore_expires_at, r.stage AS restore_status, r.tier AS restore_tier,
        camera AS camera_name, telescope AS telescope_name, NULL::VARCHAR AS notes
    FROM ({_LATEST}) a LEFT JOIN asked r ON r.bucket = a.bucket AND r.key = a.key
    WHERE what = 'archive' ORDER BY session, a.bucket
"""  # noqa: S608 - made of this module's constants

_NOTES = f"""
    SELECT session AS session_id, session_year AS year, bucket AS s3_bucket, key AS s3_key,
        region AS s3_region, etag AS s3_etag, uploaded AS uploaded_at, size AS file_size_bytes,
        archive_policy, backup_policy, storage_class AS current_storage_class,
        uploaded AS last_verified_at, true AS verified
    FROM ({_LATEST}) WHERE what = 'file' ORDER BY session
"""  # noqa: S608 - made of this module's constants

_LOG = """
    SELECT operation AS operation_type, status AS operation_status, key AS archive_id,
        session AS session_id, bucket AS s3_bucket, key AS s3_key, time AS timestamp,
        seconds AS duration_seconds, bytes AS bytes_transferred,
        round(bytes * 8 / 1000000 / nullif(seconds, 0), 3) AS transfer_rate_mbps,
        message AS error_message, code AS error_code, 0 AS retry_count, true AS user_initiated,
        false AS auto_backup, run AS notes
    FROM archive_events ORDER BY time
"""

# Of every period in which something was done: what there was at its end, and what was done in it.
_STATS = """
    WITH kinds AS (
        SELECT unnest(['daily', 'weekly', 'monthly']) AS period_type,
            unnest(['day', 'week', 'month']) AS part
    ), periods AS (
        SELECT DISTINCT period_type, part,
            CAST(date_trunc(part, CAST(time AS TIMESTAMP)) AS DATE) AS stat_date
        FROM archive_events, kinds
    ), held AS (
        SELECT p.stat_date, p.period_type, count(*) AS total_archives,
            count(*) FILTER (a.storage_class = 'STANDARD') AS archives_in_standard,
            count(*) FILTER (a.storage_class = 'GLACIER') AS archives_in_glacier,
            count(*) FILTER (a.storage_class = 'DEEP_ARCHIVE') AS archives_in_deep_archive,
            CAST(sum(a.bytes) AS BIGINT) AS total_original_bytes,
            CAST(sum(a.size) AS BIGINT) AS total_compressed_bytes,
            round(sum(CAST(a.month AS DOUBLE)), 4) AS total_storage_cost_estimate
        FROM periods p JOIN archived a ON a.what = 'archive' AND NOT a.rolled_back
            AND date_trunc(p.part, CAST(a.uploaded AS TIMESTAMP)) <= p.stat_date
        GROUP BY p.stat_date, p.period_type
    ), done AS (
        SELECT p.stat_date, p.period_type,
            count(*) FILTER (e.operation = 'upload') AS uploads_count,
            CAST(coalesce(sum(e.bytes) FILTER (e.operation = 'upload'), 0) AS BIGINT)
                AS uploads_bytes,
            count(*) FILTER (e.operation = 'verify') AS verifications_count,
            count(*) FILTER (e.operation = 'restore_request') AS restores_count
        FROM periods p JOIN archive_events e
            ON date_trunc(p.part, CAST(e.time AS TIMESTAMP)) = p.stat_date
        GROUP BY p.stat_date, p.period_type
    )
    SELECT CAST(d.stat_date AS VARCHAR) AS stat_date, d.period_type,
        coalesce(h.total_archives, 0) AS total_archives,
        coalesce(h.archives_in_standard, 0) AS archives_in_standard,
        coalesce(h.archives_in_glacier, 0) AS archives_in_glacier,
        coalesce(h.archives_in_deep_archive, 0) AS archives_in_deep_archive,
        coalesce(h.total_original_bytes, 0) AS total_original_bytes,
        coalesce(h.total_compressed_bytes, 0) AS total_compressed_bytes,
        h.total_storage_cost_estimate, d.uploads_count, d.uploads_bytes, d.verifications_count,
        d.restores_count
    FROM done d LEFT JOIN held h USING (stat_date, period_type)
    ORDER BY d.period_type, d.stat_date
"""

ARCHIVE_TABLES = (ARCHIVED, ARCHIVE_EVENTS)

ARCHIVE_VIEWS = {
    "s3_backup_archives": _ARCHIVES,
    "s3_backup_session_notes": _NOTES,
    "s3_backup_log": _LOG,
    "s3_backup_stats": _STATS,
}
"""The four tables of astro_cat by their names."""
