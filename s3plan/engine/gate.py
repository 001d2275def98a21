"""The verification gate's comparison: a fresh listing, the plan and the local tree."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from itertools import islice

from msgspec import Struct

from s3plan.engine.context import Context, Destination
from s3plan.inventory.catalogue import observe_catalogue
from s3plan.inventory.extras import extra_files
from s3plan.inventory.local import observe_tree
from s3plan.inventory.s3 import observe_bucket
from s3plan.inventory.selection import narrow
from s3plan.model.steps import Item, Step, Verify
from s3plan.rules.versioning import same_entry, versions_root
from s3plan.tables import ITEMS, Database
from s3plan.tables.database import Value

SHOWN = 10
"""Names that a finding lists; the figures count all."""

_BATCH = 2_000

# Each query gives the keys (or paths) that break one promise. They see one bucket: the database is
# made for one comparison. A path that ends in "/" is a folder marker, looked at one by one; an
# empty one says that nothing is to be on disk, but a delete marker must have been written down.
_FINDINGS = {
    "gone": """
        SELECT i.key FROM items i ANTI JOIN listing l ON {i_l} ORDER BY i.n""",
    "changed": """
        SELECT i.key FROM items i JOIN listing l ON {i_l}
        WHERE (i.size, i.etag, i.modified, i.version_id)
            IS DISTINCT FROM (l.size, l.etag, l.modified, l.version_id)
        ORDER BY i.n""",
    "appeared": """
        SELECT l.key FROM listing l ANTI JOIN items i ON {l_i} ORDER BY l.key""",
    "missing": """
        SELECT i.key FROM items i
        LEFT JOIN tree t ON t.path = i.path LEFT JOIN catalogue c ON {i_c}
        WHERE i.step = '{step}' AND CASE WHEN i.path = '' THEN i.marker AND c.key IS NULL
            ELSE c.key IS NULL OR c.path IS DISTINCT FROM i.path
                OR (c.size, c.etag, c.modified) IS DISTINCT FROM (i.size, i.etag, i.modified)
                OR (t.path IS NULL AND NOT ends_with(i.path, '/')) END
        ORDER BY i.n""",
    "retained_missing": """
        SELECT c.key FROM catalogue c ANTI JOIN items i ON {i_c} AND i.path <> ''
        LEFT JOIN tree t ON t.path = c.path
        WHERE t.path IS NULL AND NOT ends_with(c.path, '/') ORDER BY c.key""",
}

_WORDS = {
    "gone": "gone from S3 since the plan",
    "changed": "changed in S3 since the plan",
    "appeared": "in S3 but not in the plan",
    "missing": "not in the destination as downloaded",
    "retained_missing": "in the catalogue but not on disk",
    "extra": "in the destination but of no object",
}


class Findings(Struct, frozen=True):
    """What the comparison found: counts by kind, and the first names of each as sentences."""

    figures: dict[str, int]
    problems: tuple[str, ...]

    @property
    def passes(self) -> bool:
        """Whether nothing is missing, extra or changed."""
        return not self.problems


async def look(context: Context, step: Step, action: Verify, database: Database) -> Findings:
    """Fill ``database`` with a fresh listing, the local tree, the catalogue and the worklist of a
    verify step, and compare them. A listing that fails anywhere raises: it is no listing.
    """
    destination = context.destination(action.destination)
    bucket = context.bucket(step)
    prefix = action.select.prefix if action.select else ""
    # The disk is read while S3 lists; both are waited for, since both use the database.
    seen = await asyncio.gather(
        context.in_thread(_look_at_disk, step, action, database, destination),
        observe_bucket(
            bucket,
            database,
            prefix=prefix,
            observer=lambda _: None,
            versions=bool(action.versions),
        ),
        return_exceptions=True,
    )
    for result in seen:
        if isinstance(result, BaseException):
            raise result
    return await context.in_thread(_compare, context, step, action, database, destination)


def _look_at_disk(step: Step, action: Verify, database: Database, destination: Destination) -> None:
    # Each table is compacted before the next comes: memory is highest here.
    observe_catalogue(destination.tree, step.subject, database)
    database.compact()
    observe_tree(destination.tree, action.root, database)
    observe_tree(destination.tree, versions_root(step.subject), database)
    database.compact()


def _compare(
    context: Context, step: Step, action: Verify, database: Database, destination: Destination
) -> Findings:
    database.compact()
    load_items(context, step, database)
    narrow(database, step.subject, action.select, step.id)
    for losing in lost_on(context.plan.steps, step):
        load_items(context, losing, database)
    database.compact()
    figures: dict[str, int] = {}
    problems: list[str] = []
    for name, query in _findings(step, versions=bool(action.versions)):
        found = (text for (text,) in database.rows(query))
        _find(name, found, figures, problems)
    if action.inventory == "exact":
        _find("extra", extra_files(database, action.ignore), figures, problems)
    lost = [
        path
        for (path,) in database.rows("SELECT path FROM items WHERE ends_with(path, '/')")
        if not destination.tree.is_marker(path)
    ]
    if lost:
        figures["missing"] += len(lost)
        problems.append(_sentence(len(lost), "missing", lost))
    (skipped,) = database.row(
        "SELECT count(*) FROM items WHERE step = ? AND path = '' AND NOT coalesce(marker, false)",
        [step.id],
    )
    if skipped:
        figures["folder_markers_skipped"] = skipped
    return Findings(figures, tuple(problems))


def lost_on(steps: Iterable[Step], verify: Step) -> list[Step]:
    """The steps that take away, on this evidence, what has no copy."""
    return [
        step
        for step in steps
        if step.gate is not None
        and (step.gate.kind, step.gate.evidence) == ("approve-loss", verify.id)
    ]


def _findings(step: Step, *, versions: bool) -> Iterator[tuple[str, str]]:
    """Each comparison by its name. A step's id is its verb and hex digits: no SQL hides in it."""
    joins = {
        f"{left}_{right}": same_entry(left, right, versions=versions)
        for left, right in (("i", "l"), ("l", "i"), ("i", "c"))
    }
    for name, query in _FINDINGS.items():
        yield name, query.format(step=step.id, **joins)


def _find(name: str, found: Iterator[str], figures: dict[str, int], problems: list[str]) -> None:
    count = 0
    first: list[str] = []
    for text in found:
        count += 1
        if len(first) < SHOWN:
            first.append(text)
    figures[name] = count
    if count:
        problems.append(_sentence(count, name, first))


def _sentence(count: int, name: str, first: list[str]) -> str:
    more = f", and {count - len(first):,} more" if count > len(first) else ""
    return f"{count:,} {_WORDS[name]}: {', '.join(first[:SHOWN])}{more}"


def load_items(context: Context, step: Step, database: Database) -> None:
    """The worklist of a step as rows of ``items``."""
    load_rows(context.plan.items(step.id), step.id, database)


def load_rows(items: Iterable[Item], step: str, database: Database) -> None:
    """Items as rows of ``items`` under the id ``step``."""
    rows = iter(items)
    while batch := list(islice(rows, _BATCH)):
        columns: dict[str, list[Value]] = {
            "n": [item.n for item in batch],
            "key": [item.key for item in batch],
            "path": [item.path for item in batch],
            "size": [item.size for item in batch],
            "etag": [item.etag for item in batch],
            "modified": [item.modified for item in batch],
        }
        if any(item.version_id is not None for item in batch):
            columns |= {
                "version_id": [item.version_id for item in batch],
                "newer": [item.newer for item in batch],
                "marker": [item.marker for item in batch],
                "beneath": [item.beneath for item in batch],
                "history": [item.history for item in batch],
            }
        if any(item.label is not None for item in batch):
            columns["label"] = [item.label for item in batch]
        database.append(ITEMS, columns, {"step": step})
