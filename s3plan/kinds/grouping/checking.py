"""The table of a grouping as it is to be verified: its rows, and what a row's keys are like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from s3plan.errors import UsageError
from s3plan.inventory.tablerows import TableRows
from s3plan.inventory.tableurls import Batch, GroupedTable
from s3plan.kinds.grouping.catalog import table_rows
from s3plan.kinds.grouping.manifest import GroupingDocument, catalog_path
from s3plan.kinds.grouping.mapping import Mapping, map_sources, place_copies
from s3plan.kinds.kind import Manifest, Observed
from s3plan.rules.grouping.placing import key_of_group

_PEOPLE = """
    SELECT DISTINCT row_id, person FROM grouping_sources
    WHERE person IS NOT NULL AND row_id IN (SELECT unnest($ids::VARCHAR[])) ORDER BY ALL"""


def grouped_table(manifest: Manifest, observed: Observed) -> GroupedTable:
    """The table of a manifest, with everything that was listed.

    Raises UsageError where the manifest names no table, or there is none.
    """
    document = manifest.document
    assert isinstance(document, GroupingDocument)
    spec = document.spec
    path = catalog_path(spec, manifest.directory)
    if path is None or spec.catalog is None:
        raise UsageError(
            "there is no table whose URLs could be verified",
            address=manifest.address,
            expected="spec.catalog",
            next_step="name the manifest that has one",
        )
    seen = observed.files[path]
    if seen.sha256 is None:
        raise UsageError(
            "there is no such table",
            address=path,
            next_step="check catalog.file; a relative path starts at the manifest",
        )
    work = Mapping(observed.database, spec)
    map_sources(work)
    place_copies(work)
    # Where conflicts are skipped, their rows keep the old URLs.
    conflicts = spec.on_conflict == "block"
    rows = table_rows(work, spec.catalog, seen, observed.target.endpoint, conflicts=conflicts)
    sources, copies = rows.readers()
    return GroupedTable(
        path=path,
        sha256=seen.sha256,
        source=spec.source.bucket,
        target=spec.target_bucket,
        sources=sources,
        copies=copies,
        keeps_others=spec.catalog.unresolved == "keep",
        batches=_batches(work, rows),
    )


def _batches(work: Mapping, rows: TableRows) -> Iterator[Batch]:
    for batch, known in rows.read():
        yield Batch(batch, known, _likeness(work, {row.row_id for row in batch}))


def _likeness(work: Mapping, ids: Iterable[str]) -> dict[str, list[re.Pattern[str]]]:
    """Patterns of the keys of each row: of its groups, or where none is known of its id."""
    names = work.rules.pattern.groups
    groups: dict[str, list[dict[str, str]]] = {row_id: [] for row_id in ids}
    for row_id, person in work.rows(_PEOPLE, ids=sorted(groups)):
        groups[row_id].append(dict(zip(names, person.split("\0"), strict=True)))
    found: dict[str, list[re.Pattern[str]]] = {}
    for row_id, people in groups.items():
        for parts in people or [{"row_id": row_id}]:
            like = key_of_group(
                work.rules.template, work.rules.types, parts, sanitize=work.rules.sanitize
            )
            if like is not None:
                found.setdefault(row_id, []).append(like)
    return found
