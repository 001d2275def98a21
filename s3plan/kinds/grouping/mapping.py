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
from s3plan.rules.grouping.filetypes import content_type_pattern
from s3plan.rules.grouping.keys import SANITIZE
from s3plan.rules.grouping.tags import TagTemplate
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
        self.database.execute(query, self.bound(query, values))

    def execute(self, query: str, **values: object) -> None:
        """Run one statement, the manifest's values bound."""
        self.database.execute(query, self.bound(query, values))

    def rows(self, query: str, **values: object) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, the manifest's values bound."""
        return self.database.rows(query, self.bound(query, values))

    def bind(self, value: object) -> str:
        """A name under which ``value`` is bound from now on."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f"${name}"

    def bound(self, query: str, values: dict[str, object]) -> dict[str, object]:
        """Those of the values that a query names."""
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
    this grouping gives, or in its backup), ``orphan``, ``incomplete``, ``mapped``. A new key that
    is made of a digest is NULL where the digest is not known. ``asks`` says that the type depends
    on the content type; ``label`` is the type where it does of any object.
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
            SELECT b.*, {_EXTENSION} AS ext, regexp_full_match(rest, $pattern, 's') AS fits,
                {columns}, {_told(rules)}
            FROM below b {_TELLING if _is_told(rules) else ""}
        ), typed AS (
            SELECT *, substr(base, 1, length(base) - length(ext)) AS stem,
                {_types(work, rules)} AS type, {_asking(work, rules)} AS asks,
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
        SELECT key, size, etag, modified, storage_class, checksum, base, type, state, asks, sha256,
            {"type" if rules.is_about_content_types else "NULL"} AS label,
            {row} AS row_id, CASE WHEN state = 'mapped' THEN {groups} END AS person,
            CASE WHEN state = 'mapped' THEN {_new_key(work, rules)}
                 WHEN state = 'orphan' THEN $default || '/' || rest END AS new_key
        FROM typed""",  # noqa: S608 - made of this module's constants; values are bound
        backed_up=backed_up,
        digest=rules.template.regex(rules.types),
    )


_TELLING = """
    LEFT JOIN heads h ON h.bucket = $source AND h.key = b.key
    LEFT JOIN digests d ON d.bucket = $source AND d.key = b.key
    LEFT JOIN (
        SELECT size, etag, min(regexp_extract(key, $digest, 1, 's')) AS sha256 FROM listing
        WHERE bucket = $target AND regexp_full_match(key, $digest, 's')
            AND regexp_full_match(etag, '[0-9a-f]{32}')
        GROUP BY size, etag
    ) c ON c.size = b.size AND c.etag = b.etag"""
# The last is what a copy that is there says of the content of its source: nothing is read twice.


def _is_told(rules: Regrouping) -> bool:
    return rules.is_about_content_types or rules.template.by_digest


def _told(rules: Regrouping) -> str:
    """What is known of an object besides its listing, where it matters."""
    content_type = sha256 = "NULL::VARCHAR"
    if rules.is_about_content_types:
        content_type = "lower(trim(split_part(h.content_type, ';', 1)))"
    if rules.template.by_digest:
        sha256 = "coalesce(d.sha256, c.sha256)"
    return f"{content_type} AS content_type, {sha256} AS sha256"


def _types(work: Mapping, rules: Regrouping) -> str:
    cases = ""
    for rule in rules.rules:
        conditions = _conditions(work, rule)
        if rule.content_types:
            pattern = work.bind(content_type_pattern(rule.content_types))
            conditions.append(f"coalesce(regexp_full_match(content_type, {pattern}, 's'), false)")
        cases += f" WHEN {' AND '.join(conditions)} THEN {work.bind(rule.type)}"
    return f"CASE{cases} ELSE $default END"


def _asking(work: Mapping, rules: Regrouping) -> str:
    """Whether the first rule that name and size fit is about the content type."""
    cases = "".join(
        f" WHEN {' AND '.join(_conditions(work, rule)) or 'true'}"
        f" THEN {'true' if rule.content_types else 'false'}"
        for rule in rules.rules
    )
    return f"CASE{cases} ELSE false END"


def _conditions(work: Mapping, rule: TypeRule) -> list[str]:
    """What a listing tells."""
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
    return conditions


def _new_key(work: Mapping, rules: Regrouping) -> str:
    """The template as an expression."""
    pieces = []
    for name, literal in rules.template.pieces:
        if not name:
            pieces.append(work.bind(literal))
        elif name == "uuid":
            pieces.append(_UUID)
        else:
            column = name if name in ("type", "ext", "stem", "sha256") else f"part_{name}"
            if rules.sanitize:
                column = f"regexp_replace({column}, {work.bind(SANITIZE)}, '_', 'g')"
            pieces.append(column)
    return " || ".join(pieces)


def tag_value(work: Mapping, text: str) -> str:
    """A tag's template as an expression over ``grouping_sources``, as long as the value will be."""
    names = work.rules.pattern.names
    pieces = []
    for name, literal in TagTemplate.parse(text, names).pieces:
        if name in names:
            place = names.index(name) + 1
            rest = "substr(key, length($prefix) + 1)"
            pieces.append(f"regexp_extract({rest}, $pattern, {place}, 's')")
        else:
            pieces.append(_FILLED.get(name) or work.bind(literal))
    return " || ".join(pieces)


_FILLED = {
    "type": "type",
    "source": "regexp_extract(key, '^(.*)/[^/]*$', 1, 's')",
    "date": "'0000-00-00'",
}

# As rules.grouping.keys.uuid_of: version 5 of RFC 9562 in the namespace of URLs (6.6).
_UUID = """(
    SELECT substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-5' || substr(h, 14, 3) || '-'
        || substr('89ab', (instr('0123456789abcdef', substr(h, 17, 1)) - 1) % 4 + 1, 1)
        || substr(h, 18, 3) || '-' || substr(h, 21, 12)
    FROM (SELECT sha1(unhex('6ba7b8119dad11d180b400c04fd430c8')
        || encode('s3://' || $source || '/' || key)) AS h))"""

# Of s, an object that is to be, and t, what is at its place. Equal ETags are of equal content;
# others prove nothing where one is of a multipart upload or of what KMS encrypted. What S3 stored
# of the content of both decides then, where it was asked and there is something of one kind.
_EQUAL = """
    list_bool_and([
        json_extract_string(a.checksums, '$.' || k) = json_extract_string(b.checksums, '$.' || k)
        FOR k IN list_intersect(json_keys(a.checksums), json_keys(b.checksums))])"""

_STANDING = f"""
    CASE WHEN t.key IS NULL THEN 'missing'
        WHEN t.size <> s.size THEN 'conflict'
        WHEN t.etag = s.etag OR {_EQUAL} THEN 'here'
        WHEN NOT {_EQUAL} THEN 'conflict'
        WHEN contains(t.etag, '-') OR contains(s.etag, '-')
            OR contains(a.encryption || b.encryption, 'kms') THEN 'unproven'
        ELSE 'conflict' END"""

_HEADS = """
    LEFT JOIN heads a ON a.bucket = $source AND a.key = s.key
    LEFT JOIN heads b ON b.bucket = t.bucket AND b.key = t.key"""


def place_copies(work: Mapping) -> None:
    """Fill ``grouping_copies``: what is to be at each new key, and what is there now.

    ``here``: an object of that size and that content, as ETags or stored checksums tell.
    ``unproven``: of that size, and nothing tells of its content. ``conflict``: another object.
    ``missing``: nothing. ``shared``: nothing, and another source of the same content is copied
    there. ``no digest``: it has no new key, since nobody knows its digest.
    """
    orphans = work.spec.orphans == "unknown"
    work.create(
        "grouping_copies",
        f"""
        SELECT * REPLACE (CASE
            WHEN new_key IS NULL THEN 'no digest'
            WHEN standing = 'missing' AND $by_digest
                AND row_number() OVER (PARTITION BY new_key ORDER BY key) > 1 THEN 'shared'
            ELSE standing END AS standing)
        FROM (
            SELECT s.*, t.key IS NOT NULL AS found, t.size AS found_size, t.etag AS found_etag,
                {_STANDING} AS standing
            FROM grouping_sources s
            LEFT JOIN listing t ON t.bucket = $target AND t.key = s.new_key
            {_HEADS}
            WHERE s.state = 'mapped' OR ($orphans AND s.state = 'orphan'))""",  # noqa: S608
        orphans=orphans,
        by_digest=work.rules.template.by_digest,
    )


def place_backup(work: Mapping) -> None:
    """Fill ``grouping_backup``: the key of each source in the backup, and what is there now."""
    backup = work.spec.backup
    work.create(
        "grouping_backup",
        f"""
        SELECT s.* EXCLUDE (standing, found_size, found_etag), $place || s.key AS backup_key,
            t.size AS found_size, t.etag AS found_etag, {_STANDING} AS standing
        FROM grouping_copies s
        LEFT JOIN listing t ON t.bucket = $place_bucket AND t.key = $place || s.key
        {_HEADS}
        WHERE $place_bucket IS NOT NULL""",  # noqa: S608
        place=backup.prefix if backup else "",
        place_bucket=backup.bucket if backup else None,
    )
