"""The table of URLs: read against the whole mapping when planning, and its steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from msgspec import UNSET

from s3plan.errors import PlanningError
from s3plan.inventory.tablerows import GROUPED, Buckets, CsvError, LocalTable, TableRows
from s3plan.kinds.grouping.manifest import CatalogFields, catalog_path
from s3plan.kinds.grouping.mapping import Mapping
from s3plan.kinds.kind import Observed
from s3plan.model.steps import BackupFile, Need, RewriteFile
from s3plan.plan import StepDraft
from s3plan.rules.grouping.rewriting import Columns
from s3plan.rules.parts import LARGEST_PUT

# What is at its new key, or will be: the rows of conflicts that are skipped keep their old URLs.
_GROUPED = """
    INSERT INTO grouped SELECT row_id, key, new_key, type FROM grouping_copies
    WHERE state = 'mapped' AND ($conflicts OR standing <> 'conflict')"""

_ITEMS = """
    INSERT INTO items (step, n, key, path, size, etag, modified, storage_class, checksum, label)
    SELECT $step, row_number() OVER () - 1, * FROM (
        SELECT key, new_key, size, etag, modified, storage_class, checksum, label
        FROM grouping_copies
        WHERE state = 'mapped' AND standing <> 'conflict' ORDER BY key
    )"""


@dataclass(frozen=True, slots=True)
class Table:
    """The table as it was found. ``sha256`` is None where there is no file."""

    path: str
    fields: CatalogFields
    sha256: str | None
    changed: bool = False
    size: int = 0
    wrong: int = 0
    problems: tuple[str, ...] = ()


def look_at_table(work: Mapping, directory: Path, observed: Observed) -> Table | None:
    """Read the table of the manifest as the rewrite will; None where it names none."""
    path, fields = catalog_path(work.spec, directory), work.spec.catalog
    if path is None or fields is None:
        return None
    seen = observed.files[path]
    if seen.sha256 is None:
        return Table(path, fields, None)
    reading = table_rows(work, fields, seen, observed.target.endpoint)
    try:
        for _ in reading.rewritten():
            pass
    except CsvError as error:
        return Table(path, fields, seen.sha256, wrong=1, problems=(str(error),))
    return Table(
        path, fields, seen.sha256, reading.changed, seen.size, reading.wrong,
        tuple(reading.problems),
    )  # fmt: skip


def table_rows(
    work: Mapping,
    fields: CatalogFields,
    seen: LocalTable,
    endpoint: str,
    *,
    conflicts: bool = False,
) -> TableRows:
    """The table read against everything that is at its new key, or will be.

    With ``conflicts`` also against what is not, since another object is there.
    """
    work.database.execute(f"DROP TABLE IF EXISTS {GROUPED.name}")
    work.database.execute(GROUPED.ddl())
    work.execute(_GROUPED, conflicts=conflicts)
    return TableRows(
        work.database,
        seen.lines,
        _columns(fields),
        Buckets(work.spec.source.bucket, work.spec.target_bucket, endpoint),
        delimiter=fields.delimiter,
        keep_unresolved=fields.unresolved == "keep",
    )


def table_obstacles(table: Table | None) -> Iterator[PlanningError]:
    """What keeps the table from being rewritten without losing something."""
    if table is None:
        return
    if table.sha256 is None:
        yield PlanningError(
            "there is no such table",
            address=table.path,
            next_step="check catalog.file; a relative path starts at the manifest",
        )
    elif table.wrong:
        more = table.wrong - len(table.problems)
        yield PlanningError(
            f"{table.wrong:,} rows of the table cannot be rewritten",
            address=table.path,
            expected="whole rows of CSV (RFC 4180), and in the mapped columns URLs of objects that"
            " are regrouped",
            found="; ".join(table.problems) + (f", and {more:,} more" if more > 0 else ""),
            next_step="correct them, or set catalog.unresolved: keep for URLs of other objects",
        )
    backup = table.fields.backup
    if backup.upload and not backup.gzip and table.size > LARGEST_PUT:
        yield PlanningError(
            "the backup of the table is too large for one upload",
            address=table.path,
            expected=f"at most {LARGEST_PUT:,} bytes",
            found=f"{table.size:,}",
            next_step="set catalog.backup.gzip: true, or leave catalog.backup.upload out and upload"
            " the backup yourself",
        )


def table_backup(work: Mapping, table: Table) -> StepDraft:
    """The table kept aside before anything else happens."""
    path, backup = Path(table.path), table.fields.backup
    assert table.sha256 is not None
    return StepDraft(
        BackupFile(
            file=table.path,
            sha256=table.sha256,
            folder=_folder(table),
            name=backup.name.replace("{stem}", path.stem).replace("{ext}", path.suffix),
            gzip=backup.gzip,
            upload=backup.upload or UNSET,
        ),
        work.spec.target_bucket,
        reversibility="free",
        undo="Backups stay.",
        reason="The table as it is now, with its MD5 and SHA-256, before anything else happens.",
        warnings=(
            "The table holds personal data: keep backups out of version control, which needs only"
            " their digests.",
        ),
    )


def table_rewrite(work: Mapping, table: Table, needs: tuple[Need, ...]) -> StepDraft:
    """The table with the new URLs, once every copy is verified."""
    spec, fields, path = work.spec, table.fields, Path(table.path)
    assert table.sha256 is not None
    action = RewriteFile(
        file=table.path,
        sha256=table.sha256,
        folder=_folder(table),
        name=f"{path.stem}_pre_url_update{path.suffix}",
        source=spec.source.bucket,
        prefix=spec.source.prefix,
        pattern=spec.source.pattern,
        rules=work.rules.rules,
        default=spec.default,
        row=fields.row,
        columns=_columns(fields).mapped,
        added=fields.add,
        separator=fields.separator,
        delimiter=fields.delimiter,
        unresolved=fields.unresolved,
    )
    draft = StepDraft(action, spec.target_bucket, "free", "", "")
    work.execute(_ITEMS, step=draft.id)
    return StepDraft(
        action,
        spec.target_bucket,
        reversibility="free",
        undo="The backup is put back, if the table is still as the run left it.",
        reason="The table still names the old keys.",
        needs=needs,
        worklist=draft.id,
    )


def _columns(fields: CatalogFields) -> Columns:
    return Columns(
        fields.row,
        {name: column.type for name, column in fields.columns.items()},
        fields.add,
        fields.separator,
    )


def _folder(table: Table) -> str:
    return str(Path(table.path).parent / table.fields.backup.dir)
