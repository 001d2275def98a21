"""Where each object's file goes: the catalogue's path, else the key's own, no two of them alike.

Plain keys are mapped by one query. Only keys that must be encoded, and paths that collide, pass
through Python (``rules.naming``, ``rules.collisions``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from s3plan.errors import PlanningError
from s3plan.kinds.evacuation.workspace import (
    FOLDS,
    PATHS,
    VERSION_PATHS,
    Workspace,
)
from s3plan.rules.collisions import resolve_collisions
from s3plan.rules.naming import encode_key, fold
from s3plan.rules.versioning import version_path
from s3plan.tables import TableDef, directory_of, is_ascii

_BATCH = 10_000
_PASSES = 10

# Every path that this bucket has, or is to have, in the destination. It is a part of each query
# that asks for it, and no table: writing ten million names takes longer than comparing them.
_NAMES = f"""
    evacuation_names AS NOT MATERIALIZED (
        SELECT p.key, p.path, p.known,
            CASE WHEN {is_ascii("p.path")} THEN lower(p.path) ELSE f.folded END AS folded
        FROM (
            SELECT key, path, known_path IS NOT NULL AS known FROM evacuation_placed
            WHERE history IS NULL AND path <> ''
            UNION ALL
            SELECT c.key, c.path, true FROM catalogue c
            ANTI JOIN (SELECT key FROM evacuation_placed WHERE history IS NULL) o USING (key)
            WHERE c.destination = $destination AND c.bucket = $bucket AND c.history IS NULL
        ) p LEFT JOIN evacuation_folds f ON f.path = p.path
    )
"""  # noqa: S608 - made of constants; values are bound

_NAME_DIRECTORIES = f"""
    INSERT INTO evacuation_directories
    WITH RECURSIVE {_NAMES}, found(path) AS (
        SELECT DISTINCT {directory_of("path")} FROM evacuation_names
        UNION
        SELECT regexp_extract(path, '^(.*/)[^/]+/$', 1, 's') FROM found WHERE path <> ''
    )
    SELECT path, CASE WHEN {is_ascii("path")} THEN lower(path) END, 'name'
    FROM found WHERE path <> ''
"""  # noqa: S608 - as above

# Case folding beyond ASCII is Python's: DuckDB's lower() leaves more letters alone.
_UNFOLDED = f"""
    WITH {_NAMES}
    SELECT path FROM evacuation_names WHERE folded IS NULL
    UNION SELECT path FROM evacuation_directories WHERE source = 'name' AND folded IS NULL
"""  # noqa: S608 - as above

_TWINS = """
    SELECT folded FROM evacuation_directories WHERE source = 'name'
    GROUP BY folded HAVING count(*) > 1
"""

# Files of the same name; files where a directory must be, with one key (new, and known) below that
# directory; and everything below directories that move: those of the same name as another, and
# those that give way to a file that is there already.
_COLLIDING = f"""
    WITH {_NAMES}, wanted AS (
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

# Whether there can be any of these, in two passes instead of six: nearly always there are none.
_CAN_COLLIDE = f"""
    WITH {_NAMES}
    SELECT
        EXISTS (SELECT folded FROM evacuation_names GROUP BY folded HAVING count(*) > 1)
        OR EXISTS ({_TWINS})
        OR EXISTS (SELECT 1 FROM evacuation_names WHERE folded IN (
            SELECT left(folded, -1) FROM evacuation_directories WHERE source = 'name'))
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
    """Whether paths cannot stand as they are; then ``evacuation_colliding`` holds these, and whom
    they collide with.
    """
    work.empty(FOLDS)
    work.execute("DELETE FROM evacuation_directories WHERE source = 'name'")
    work.execute(_NAME_DIRECTORIES)
    _fill(work, FOLDS, ((path, fold(path)) for (path,) in work.rows(_UNFOLDED)))
    work.execute(
        """
        UPDATE evacuation_directories SET folded = f.folded FROM evacuation_folds f
        WHERE evacuation_directories.path = f.path AND evacuation_directories.folded IS NULL
        """
    )
    (possible,) = work.row(_CAN_COLLIDE)
    if not possible:
        return False
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
