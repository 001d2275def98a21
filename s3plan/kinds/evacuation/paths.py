"""Where each object's file goes: the catalogue's path, else the key's own, no two of them alike.

Plain keys are mapped by one query. Only keys that must be encoded, and paths that collide, pass
through Python (``rules.naming``, ``rules.collisions``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from s3plan.errors import PlanningError
from s3plan.kinds.evacuation.workspace import (
    DIRECTORIES,
    FOLDS,
    PATHS,
    VERSION_PATHS,
    Workspace,
)
from s3plan.rules.collisions import resolve_collisions
from s3plan.rules.naming import encode_key, fold
from s3plan.rules.versioning import version_path
from s3plan.tables import TableDef

_BATCH = 10_000
_PASSES = 10
_ASCII = r"'[\x00-\x7f]*'"

# Every path that this bucket has, or is to have, in the destination.
_NAMES = f"""
    SELECT key, path, known, CASE WHEN regexp_full_match(path, {_ASCII}) THEN lower(path) END
        AS folded
    FROM (
        SELECT key, path, known_path IS NOT NULL AS known FROM evacuation_placed
        WHERE history IS NULL AND path <> ''
        UNION ALL
        SELECT c.key, c.path, true FROM catalogue c
        WHERE c.destination = $destination AND c.bucket = $bucket AND c.history IS NULL
          AND NOT EXISTS (
            SELECT 1 FROM evacuation_placed o WHERE o.key = c.key AND o.history IS NULL)
    )
"""  # noqa: S608 - made of this module's constants; values are bound

_NAME_DIRECTORIES = f"""
    WITH RECURSIVE found(path) AS (
        SELECT DISTINCT regexp_extract(path, '^(.*/)[^/]*$', 1, 's') FROM evacuation_names
        UNION
        SELECT regexp_extract(path, '^(.*/)[^/]+/$', 1, 's') FROM found WHERE path <> ''
    )
    INSERT INTO evacuation_directories
    SELECT path, CASE WHEN regexp_full_match(path, {_ASCII}) THEN lower(path) END, 'name'
    FROM found WHERE path <> ''
"""  # noqa: S608 - as above

_TWINS = """
    SELECT folded FROM evacuation_directories WHERE source = 'name'
    GROUP BY folded HAVING count(*) > 1
"""

# Files of the same name; files where a directory must be, with one key (new, and known) below that
# directory; and everything below directories that move: those of the same name as another, and
# those that give way to a file that is there already.
_COLLIDING = f"""
    WITH wanted AS (
        SELECT d.path, d.folded FROM evacuation_directories d WHERE d.source = 'name'
    ), clashing AS (
        SELECT n.key, n.known, w.path AS directory FROM evacuation_names n
        JOIN wanted w ON w.folded = n.folded || '/'
    ), moving AS (
        SELECT w.path FROM wanted w JOIN ({_TWINS}) USING (folded)
        UNION SELECT directory FROM clashing WHERE known
    )
    SELECT key, path, known FROM evacuation_names WHERE key IN (
        SELECT key FROM evacuation_names
        WHERE folded IN (SELECT folded FROM evacuation_names GROUP BY folded HAVING count(*) > 1)
        UNION SELECT key FROM clashing
        UNION SELECT min(n.key) FROM evacuation_names n
            JOIN (SELECT DISTINCT directory FROM clashing) c ON starts_with(n.path, c.directory)
            GROUP BY c.directory, n.known
        UNION SELECT n.key FROM evacuation_names n JOIN moving m ON starts_with(n.path, m.path)
    )
"""  # noqa: S608 - as above


def assign_paths(work: Workspace) -> None:
    """Fill the ``path`` of every row of ``evacuation_placed`` that has none."""
    if work.versions:
        _place_versions(work)
    root = f"{work.root}/" if work.root else ""
    awkward = work.rows("SELECT key, size FROM evacuation_placed WHERE path IS NULL")
    _place(work, ((key, root + encode_key(key, marker=size == 0)) for key, size in awkward))
    # A name that gives way may meet one that gave way in an earlier plan: then once more.
    for _ in range(_PASSES):
        if not _colliding(work):
            return
        pairs = []
        taken = {}
        for key, path, known in work.rows("SELECT * FROM evacuation_colliding"):
            if known:
                taken[path] = key
            else:
                pairs.append((key, path))
        _place(work, resolve_collisions(pairs, taken).items())
    names = [key for (key,) in work.rows("SELECT key FROM evacuation_colliding LIMIT 10")]
    raise PlanningError(
        "keys cannot be given paths of their own",
        address=f"s3://{work.bucket}",
        found=", ".join(map(repr, names)),
        next_step="leave these keys out with select, and report this as a bug of s3plan",
    )


def _place(work: Workspace, pairs: Iterable[tuple[str, str]]) -> None:
    """Give keys their paths."""
    work.empty(PATHS)
    _fill(work, PATHS, pairs)
    work.execute(
        """
        UPDATE evacuation_placed SET path = p.path FROM evacuation_paths p
        WHERE evacuation_placed.key = p.key AND evacuation_placed.history IS NULL
        """
    )


def _place_versions(work: Workspace) -> None:
    """Give noncurrent versions their paths, which collide with nothing (rules.versioning)."""
    rows = work.rows(
        "SELECT key, history FROM evacuation_placed WHERE path IS NULL AND history IS NOT NULL"
    )
    work.empty(VERSION_PATHS)
    _fill(
        work,
        VERSION_PATHS,
        ((key, version, version_path(work.bucket, key, version)) for key, version in rows),
    )
    work.execute(
        """
        UPDATE evacuation_placed SET path = p.path FROM evacuation_version_paths p
        WHERE evacuation_placed.key = p.key AND evacuation_placed.history = p.history
        """
    )


def _colliding(work: Workspace) -> bool:
    """Fill ``evacuation_colliding`` with what cannot stand as it is, and whom it collides with."""
    work.create("evacuation_names", _NAMES)
    work.execute("DELETE FROM evacuation_directories WHERE source = 'name'")
    work.execute(_NAME_DIRECTORIES)
    for table in ("evacuation_names", DIRECTORIES.name):
        # Case folding beyond ASCII is Python's: DuckDB's lower() leaves more letters alone.
        unfolded = work.rows(f"SELECT DISTINCT path FROM {table} WHERE folded IS NULL")  # noqa: S608 - constants
        work.empty(FOLDS)
        _fill(work, FOLDS, ((path, fold(path)) for (path,) in unfolded))
        work.execute(
            f"""
            UPDATE {table} SET folded = f.folded FROM evacuation_folds f
            WHERE {table}.path = f.path AND {table}.folded IS NULL
            """  # noqa: S608 - constants
        )
    work.create("evacuation_colliding", _COLLIDING)
    # Directories that share a fold collide until they are apart, except where the catalogue
    # already has files in both: these stay, and were told apart by whoever made them.
    (count,) = work.row("SELECT count(*) FROM evacuation_colliding WHERE NOT known")
    return bool(count)


def _fill(work: Workspace, table: TableDef, rows: Iterable[tuple[str, ...]]) -> None:
    iterator: Iterator[tuple[str, ...]] = iter(rows)
    names = [column.name for column in table.columns]
    while batch := list(islice(iterator, _BATCH)):
        work.database.append(table, dict(zip(names, zip(*batch, strict=True), strict=True)))
