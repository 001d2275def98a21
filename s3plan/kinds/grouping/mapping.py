"""Every source key with its type, its group and its new key: one query over the listing.

The query says the same as ``rules.grouping`` does for one key. Patterns, literals and lists are
bound; only positions and column names are put into the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from s3plan.inventory.selection import glob_pattern
from s3plan.kinds.grouping.manifest import GroupingSpec, regrouping
from s3plan.rules.grouping import INCOMPLETE, Regrouping, TypeRule
from s3plan.rules.grouping.keys import SANITIZE
from s3plan.tables import Database

_EXTENSION = r"lower(regexp_extract(base, '[^/](\.[^./]+)$', 1))"


class Mapping:
    """The tables that planning one manifest works in, and its names for values."""

    def __init__(self, database: Database, spec: GroupingSpec) -> None:
        self.database = database
        self.spec = spec
        self.rules: Regrouping = regrouping(spec)
        self.values: dict[str, object] = {
            "source": spec.source.bucket,
            "target": spec.target_bucket,
            "prefix": spec.source.prefix,
            "pattern": self.rules.pattern.regex,
            "incomplete": list(INCOMPLETE),
            "default": spec.default,
        }

    def create(self, table: str, query: str, **values: object) -> None:
        """Make ``table`` of a query's rows, the manifest's values bound."""
        query = f"CREATE OR REPLACE TABLE {table} AS {query}"
        self.database.execute(query, self._bound(query, values))

    def execute(self, query: str, **values: object) -> None:
        """Run one statement, the manifest's values bound."""
        self.database.execute(query, self._bound(query, values))

    def rows(self, query: str, **values: object) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, the manifest's values bound."""
        return self.database.rows(query, self._bound(query, values))

    def bind(self, value: object) -> str:
        """A name under which ``value`` is bound from now on."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f"${name}"

    def _bound(self, query: str, values: dict[str, object]) -> dict[str, object]:
        # DuckDB refuses values that a statement does not name. "$v1" is in "$v12" too.
        known = self.values | values
        return {name: value for name, value in known.items() if _names(query, name)}


def _names(query: str, name: str) -> bool:
    place = query.find(f"${name}")
    while place >= 0:
        after = query[place + len(name) + 1 : place + len(name) + 2]
        if not (after.isalnum() or after == "_"):
            return True
        place = query.find(f"${name}", place + 1)
    return False


def map_sources(work: Mapping) -> None:
    """Fill ``grouping_sources``: every object below the prefix with its state and new key.

    States: ``folder`` (an empty object whose key ends in a slash), ``copy`` (its key is one that
    this grouping gives, or in its backup), ``orphan``, ``incomplete``, ``mapped``.
    """
    rules = work.rules
    names = rules.pattern.names
    columns = ", ".join(
        f"regexp_extract(rest, $pattern, {place}, 's') AS part_{name}"
        for place, name in enumerate(names, 1)
    )
    row = "part_row_id" if "row_id" in names else "''"
    groups = " || chr(0) || ".join([f"part_{name}" for name in rules.pattern.groups] or ["''"])
    ours = rules.template.regex(rules.types)
    if work.spec.orphans == "unknown":
        ours += f"|{re.escape(rules.default)}/.+"
    in_layout = work.bind(ours)
    backup = work.spec.backup
    backed_up = backup.prefix if backup and backup.bucket == work.spec.source.bucket else ""
    work.create(
        "grouping_sources",
        f"""
        WITH below AS (
            SELECT key, size, etag, modified, storage_class, checksum,
                substr(key, length($prefix) + 1) AS rest,
                regexp_extract(key, '([^/]*)$', 1, 's') AS base
            FROM listing WHERE bucket = $source AND starts_with(key, $prefix)
        ), taken_apart AS (
            SELECT *, {_EXTENSION} AS ext, regexp_full_match(rest, $pattern, 's') AS fits, {columns}
            FROM below
        ), typed AS (
            SELECT *, substr(base, 1, length(base) - length(ext)) AS stem,
                {_types(work, rules)} AS type,
                CASE
                    WHEN size = 0 AND ends_with(key, '/') THEN 'folder'
                    WHEN NOT fits AND $source = $target
                        AND regexp_full_match(key, {in_layout}, 's') THEN 'copy'
                    WHEN $backed_up <> '' AND starts_with(key, $backed_up) THEN 'copy'
                    WHEN list_contains($incomplete, ext) THEN 'incomplete'
                    WHEN NOT fits THEN 'orphan'
                    ELSE 'mapped'
                END AS state
            FROM taken_apart
        )
        SELECT key, size, etag, modified, storage_class, checksum, base, type, state,
            {row} AS row_id, CASE WHEN state = 'mapped' THEN {groups} END AS person,
            CASE WHEN state = 'mapped' THEN {_new_key(work, rules)}
                 WHEN state = 'orphan' THEN $default || '/' || rest END AS new_key
        FROM typed""",  # noqa: S608 - made of this module's constants; values are bound
        backed_up=backed_up,
    )


def _types(work: Mapping, rules: Regrouping) -> str:
    cases = "".join(
        f" WHEN {_condition(work, rule)} THEN {work.bind(rule.type)}" for rule in rules.rules
    )
    return f"CASE{cases} ELSE $default END"


def _condition(work: Mapping, rule: TypeRule) -> str:
    conditions = []
    if rule.extensions:
        conditions.append(f"list_contains({work.bind(list(rule.extensions))}, ext)")
    if rule.globs:
        globs = "|".join(f"(?:{glob_pattern(glob)})" for glob in rule.globs)
        conditions.append(f"regexp_full_match(base, {work.bind(globs)}, 's')")
    if rule.regex is not None:
        conditions.append(f"regexp_full_match(base, {work.bind(rule.regex)}, 's')")
    if rule.min_size is not None:
        conditions.append(f"size >= {work.bind(rule.min_size)}")
    if rule.max_size is not None:
        conditions.append(f"size <= {work.bind(rule.max_size)}")
    return " AND ".join(conditions)


def _new_key(work: Mapping, rules: Regrouping) -> str:
    """The template as an expression."""
    pieces = []
    for name, literal in rules.template.pieces:
        if not name:
            pieces.append(work.bind(literal))
            continue
        column = name if name in ("type", "ext", "stem") else f"part_{name}"
        if rules.sanitize:
            column = f"regexp_replace({column}, {work.bind(SANITIZE)}, '_', 'g')"
        pieces.append(column)
    return " || ".join(pieces)


def place_copies(work: Mapping) -> None:
    """Fill ``grouping_copies``: what is to be at each new key, and what is there now.

    ``here``: an object of that size and, where both ETags tell of content, that ETag.
    ``unproven``: of that size, and the ETags tell nothing (one is of a multipart upload).
    ``conflict``: another object. ``missing``: nothing.
    """
    orphans = work.spec.orphans == "unknown"
    work.create(
        "grouping_copies",
        """
        SELECT s.*, t.key IS NOT NULL AS found, t.size AS found_size, t.etag AS found_etag, CASE
            WHEN t.key IS NULL THEN 'missing'
            WHEN t.size <> s.size THEN 'conflict'
            WHEN t.etag = s.etag THEN 'here'
            WHEN contains(t.etag, '-') OR contains(s.etag, '-') THEN 'unproven'
            ELSE 'conflict' END AS standing
        FROM grouping_sources s
        LEFT JOIN listing t ON t.bucket = $target AND t.key = s.new_key
        WHERE s.state = 'mapped' OR ($orphans AND s.state = 'orphan')""",
        orphans=orphans,
    )


def place_backup(work: Mapping) -> None:
    """Fill ``grouping_backup``: the key of each source in the backup, and what is there now."""
    backup = work.spec.backup
    work.create(
        "grouping_backup",
        """
        SELECT s.*, $place || s.key AS backup_key, CASE
            WHEN t.key IS NULL THEN 'missing'
            WHEN t.size = s.size AND (t.etag = s.etag OR contains(t.etag || s.etag, '-'))
                THEN 'here'
            ELSE 'conflict' END AS standing
        FROM grouping_copies s
        LEFT JOIN listing t ON t.bucket = $place_bucket AND t.key = $place || s.key
        WHERE $place_bucket IS NOT NULL""",
        place=backup.prefix if backup else "",
        place_bucket=backup.bucket if backup else None,
    )
