"""What is where: listing, catalogue and tree of one bucket, joined into a state per object."""

from __future__ import annotations

from s3plan.inventory.selection import narrow
from s3plan.kinds.evacuation.paths import assign_paths
from s3plan.kinds.evacuation.workspace import Workspace
from s3plan.model.steps import Select
from s3plan.rules.classes import ARCHIVED_CLASSES
from s3plan.rules.naming import PLAIN_PATTERN
from s3plan.tables import directory_of

# A file is as its catalogue row left it. Device and inode are not asked for: a disk gets another
# device number when it is plugged in again, and what matters is read again before any deletion.
# A folder marker is there when anything at all stands under it.
_PRESENT = """
    CASE WHEN ends_with(c.path, '/') THEN
        t.path IS NOT NULL OR d.path IS NOT NULL
    ELSE coalesce(t.size = c.size AND t.mtime_ns = c.mtime_ns, false) END
"""

_GRANDPARENT = r"regexp_extract({path}, '^(.*/)[^/]+/$', 1, 's')"

# Ancestors of everything in the bucket's directory on disk.
_TREE_DIRECTORIES = f"""
    WITH RECURSIVE found(path) AS (
        SELECT DISTINCT {directory_of("path")} FROM tree
        WHERE destination = $destination AND starts_with(path, $root)
        UNION
        SELECT {_GRANDPARENT.format(path="path")} FROM found WHERE path <> ''
    )
    SELECT path, NULL::VARCHAR AS folded, 'tree' AS source FROM found WHERE path <> ''
"""  # noqa: S608 - made of this module's constants; values are bound

# Rows whose key, or version, has left S3: their files are all that there is of them. Delete markers
# have no file. Where only objects were listed, nothing tells which versions are still there.
_RETAINED = f"""
    SELECT c.key, c.path, c.size, t.size AS found_size, t.path IS NOT NULL AS found,
        {_PRESENT} AS present
    FROM catalogue c
    LEFT JOIN tree t ON t.destination = c.destination AND t.path = c.path
    LEFT JOIN evacuation_directories d ON d.source = 'tree' AND d.path = c.path
    WHERE c.destination = $destination AND c.bucket = $bucket AND starts_with(c.key, $prefix)
      AND c.path IS NOT NULL AND (c.history IS NULL OR $versions)
      AND NOT EXISTS (SELECT 1 FROM listing l WHERE l.bucket = $bucket AND {{same}})
"""  # noqa: S608 - as above

_OBJECTS = f"""
    SELECT l.key, l.size, l.etag, l.modified, l.storage_class, l.checksum,
        CASE WHEN list_contains($archives, l.storage_class) THEN l.storage_class ELSE a.tier END
            AS archived,
        l.version_id, coalesce(l.newer, 0) AS newer, coalesce(l.marker, false) AS marker, l.history,
        c.key IS NOT NULL AS known,
        c.path AS known_path,
        coalesce(c.verdict <> 'mismatched' AND c.size = l.size AND c.etag = l.etag, false)
            AS same_content,
        coalesce(c.modified = l.modified, false) AS same_time,
        c.verdict = 'mismatched' AS mismatched,
        {_PRESENT} AS present,
        CASE WHEN l.marker THEN ''
            WHEN $skip AND c.key IS NULL AND l.size = 0 AND ends_with(l.key, '/') THEN ''
            WHEN c.path IS NOT NULL THEN c.path
            WHEN l.history IS NULL AND regexp_full_match(l.key, $plain) THEN $root || l.key
            END AS path
    FROM listing l
    LEFT JOIN catalogue c
        ON c.destination = $destination AND c.bucket = $bucket AND {{same}}
    LEFT JOIN tree t ON t.destination = c.destination AND t.path = c.path
    LEFT JOIN evacuation_directories d ON d.source = 'tree' AND d.path = c.path
    LEFT JOIN archive_tiers a ON a.bucket = l.bucket AND a.key = l.key
        AND a.history IS NOT DISTINCT FROM l.history
    WHERE l.bucket = $bucket
"""  # noqa: S608 - as above

# ``here``: the catalogue row is of this very object, and the file is as the row left it.
# ``changed``: the file is of an earlier object, and a download would have to replace it.
# ``download``: nothing is there, or something of the right size, which the download step compares
# and adopts. An object written again with the same size and ETag is compared too.
# ``occupied``: something else stands there.
# ``skipped``: a folder marker that the manifest leaves out.
# A delete marker has no file; to download it is to write it down.
_STATES = """
    SELECT o.* EXCLUDE (known, known_path, same_content, same_time, mismatched, present),
        t.size AS found_size,
        CASE
            WHEN marker THEN CASE WHEN known THEN 'here' ELSE 'download' END
            WHEN o.path = '' THEN 'skipped'
            WHEN same_content AND same_time AND present THEN 'here'
            WHEN t.path IS NULL THEN 'download'
            WHEN known_path IS NOT NULL AND NOT same_content AND NOT mismatched THEN 'changed'
            WHEN t.size = o.size THEN 'download'
            ELSE 'occupied'
        END AS state
    FROM evacuation_placed o
    LEFT JOIN tree t ON t.destination = $destination AND t.path = o.path
"""


_LOST = """
    SELECT key, size, etag, modified, storage_class, checksum, version_id, newer, marker, history
    FROM listing WHERE bucket = $bucket AND history IS NOT NULL AND NOT $all
"""


def find_retained(work: Workspace) -> None:
    """Fill ``evacuation_retained``: catalogue rows whose key is not in the whole listing."""
    work.create("evacuation_directories", _TREE_DIRECTORIES)
    work.create(
        "evacuation_retained", _RETAINED.format(same=work.same("l", "c")), versions=work.versions
    )


def find_differences(
    work: Workspace, select: Select | None, *, all_versions: bool, skip_markers: bool
) -> None:
    """Fill ``evacuation_objects``: every selected object with its path and state.

    With ``all_versions`` that is every version and delete marker; without, what a listing of
    versions shows besides the objects goes to ``evacuation_lost``. The listing is narrowed to what
    ``select`` chooses, so retained rows must be found before.
    """
    narrow(work.database, work.bucket, select)
    work.create("evacuation_lost", _LOST, all=all_versions)
    if not all_versions:
        work.execute("DELETE FROM listing WHERE bucket = $bucket AND history IS NOT NULL")
    work.create(
        "evacuation_placed",
        _OBJECTS.format(same=work.same("l", "c")),
        archives=sorted(ARCHIVED_CLASSES),
        skip=skip_markers,
        plain=PLAIN_PATTERN,
    )
    assign_paths(work)
    work.create("evacuation_objects", _STATES)
    for table in ("evacuation_placed", "evacuation_colliding"):
        work.execute(f"DROP TABLE IF EXISTS {table}")
