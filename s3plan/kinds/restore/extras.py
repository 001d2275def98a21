"""Versions of extras that a manifest means, how each stands on disk, and the steps that fetch them.

An extra is an object as it is, so it is downloaded as any other: compared with what S3 stored of
it, written down in the destination's catalogue, and adopted where the file is there already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from msgspec.structs import replace

from s3plan.errors import PlanningError
from s3plan.inventory.selection import any_of
from s3plan.kinds.extras import find_versions
from s3plan.kinds.kind import Observed
from s3plan.kinds.obstacles import catalogue_obstacles
from s3plan.kinds.restore.manifest import ArchiveRestoreSpec, ExtrasFields
from s3plan.model.steps import Download, Need, Totals
from s3plan.plan import StepDraft
from s3plan.plan.estimate import download_seconds
from s3plan.rules.braces import pieces_of
from s3plan.rules.classes import ARCHIVED_CLASSES
from s3plan.rules.counting import counted
from s3plan.rules.naming import encode_key, fold
from s3plan.tables import Column, Database, TableDef

_BATCH = 1_000

_PATHS = TableDef("restore_extra_paths", (Column("key"), Column("path"), Column("folded")))
"""Paths that Python worked out, of the versions that are meant."""

_CHOSEN = """
    SELECT key, file, version FROM restore_versions
    WHERE regexp_full_match(file, $names, 's')
        AND CASE WHEN $versions = '' THEN newest ELSE regexp_full_match(version, $versions, 's') END
    ORDER BY key"""

# As of a bucket that is evacuated: a file is here where the catalogue's row is of this very object,
# and the file is as the row left it. One of its size the download compares, and adopts.
_EXTRAS = """
    CREATE OR REPLACE TABLE restore_extras AS
    SELECT v.key, p.path, p.folded, v.size, v.etag, v.modified, v.storage_class, v.checksum,
        CASE WHEN list_contains($cold, v.storage_class) THEN v.storage_class ELSE a.tier END
            AS cold,
        CASE WHEN t.path IS NULL THEN 'missing'
            WHEN t.size <> v.size THEN 'occupied'
            WHEN coalesce(c.path = p.path AND c.etag = v.etag AND c.modified = v.modified
                AND c.verdict <> 'mismatched' AND c.size = t.size AND c.mtime_ns = t.mtime_ns,
                false) THEN 'here'
            ELSE 'missing' END AS state
    FROM restore_versions v
    JOIN restore_extra_paths p ON p.key = v.key
    LEFT JOIN archive_tiers a ON a.bucket = $bucket AND a.key = v.key AND a.history IS NULL
    LEFT JOIN tree t ON t.destination = $destination AND t.path = p.path
    LEFT JOIN catalogue c ON c.destination = $destination AND c.bucket = $bucket
        AND c.key = v.key AND c.history IS NULL"""

_NONE = """
    CREATE OR REPLACE TABLE restore_versions AS
    SELECT key, '' AS file, '' AS version, size, etag, modified, storage_class, checksum, false AS
        newest FROM listing WHERE false"""

_MISSING = """
    SELECT cold IS NOT NULL, count(*), CAST(sum(size) AS BIGINT) FROM restore_extras
    WHERE state = 'missing' GROUP BY ALL ORDER BY ALL"""

_ITEMS = """
    INSERT INTO items BY NAME
    SELECT $step AS step, row_number() OVER (ORDER BY key) - 1 AS n, key, path, size, etag,
        modified, storage_class, checksum
    FROM restore_extras WHERE state = 'missing' AND (cold IS NOT NULL) = $cold"""


def find_extras(observed: Observed, spec: ArchiveRestoreSpec, destination: str) -> None:
    """Make ``restore_versions`` of all that there are, and ``restore_extras`` of those that are
    meant; without rows where the manifest means none.
    """
    database, bucket, said = observed.database, spec.source.bucket, spec.extras
    database.execute(f"DROP TABLE IF EXISTS {_PATHS.name}")
    database.execute(_PATHS.ddl())
    if said is None:
        database.execute(_NONE)
    else:
        find_versions(database, bucket, said.key, "restore_versions")
        _place(database, said)
    values = {"bucket": bucket, "destination": destination, "cold": sorted(ARCHIVED_CLASSES)}
    database.execute(_EXTRAS, values)


def extra_problems(
    observed: Observed, spec: ArchiveRestoreSpec, destination: str
) -> Iterator[PlanningError]:
    """What keeps them from being fetched, besides files that are in the way."""
    if spec.extras is None:
        return
    known = observed.catalogues.get(destination, {}).get(spec.source.bucket)
    if known is not None:
        yield from catalogue_obstacles(known.header, observed.target, destination)
    (count,) = observed.database.row("SELECT count(*) FROM restore_extras")
    if not count:
        (there,) = observed.database.row("SELECT count(*) FROM restore_versions")
        yield PlanningError(
            "no version of an extra is meant",
            address=f"s3://{spec.source.bucket}",
            expected=f"objects with keys like {spec.extras.key}",
            found=f"{counted(there, 'version')} with such keys, none of them named by extras.names"
            " and extras.versions"
            if there
            else "none",
            next_step="look at s3plan list extras MANIFEST of the SessionArchive, which shows keys,"
            " names and versions",
        )


def extra_steps(
    observed: Observed, spec: ArchiveRestoreSpec, destination: str, needs: Iterable[Need]
) -> tuple[list[StepDraft], list[StepDraft]]:
    """The step for what can be read, and the one for what ``needs`` a restore before."""
    bucket, limits = spec.source.bucket, observed.connection.limits
    readable: list[StepDraft] = []
    asleep: list[StepDraft] = []
    for cold, items, size in list(observed.database.rows(_MISSING)):
        draft = StepDraft(
            Download(destination, restored=True) if cold else Download(destination),
            bucket,
            reversibility="free",
            undo="Files that are still as written are removed, where their objects are still in"
            " S3.",
            reason=f"{counted(items, 'version')} of extras"
            f" {'is' if items == 1 else 'are'} not in the destination.",
            needs=tuple(needs) if cold else (),
            seconds=download_seconds(Totals(items, size), limits),
        )
        observed.database.execute(_ITEMS, {"step": draft.id, "cold": cold})
        (asleep if cold else readable).append(replace(draft, worklist=draft.id))
    return readable, asleep


def _place(database: Database, said: ExtrasFields) -> None:
    """Work out the path of every version that is meant."""
    latest = said.versions == "latest"
    globs = ("*",) if isinstance(said.versions, str) else said.versions
    chosen = database.rows(
        _CHOSEN, {"names": any_of(said.names), "versions": "" if latest else any_of(globs)}
    )
    while batch := list(islice(chosen, _BATCH)):
        paths = [_path(said.where, file, version) for _, file, version in batch]
        columns = {
            "key": [key for key, _, _ in batch],
            "path": paths,
            "folded": [fold(path) for path in paths],
        }
        database.append(_PATHS, columns)


def _path(template: str, file: str, version: str) -> str:
    """Where a version goes; what no file name can hold is encoded."""
    parts = {"file": file, "version": version}
    text = "".join(parts[name] if name else literal for name, literal in pieces_of(template))
    return encode_key(text, marker=False)
