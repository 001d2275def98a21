"""What a grouping makes of single keys: a preview of all of them, and the key of a new upload."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Parts
from typing import cast

from s3plan.errors import UsageError
from s3plan.kinds.grouping.manifest import GroupingDocument, regrouping
from s3plan.kinds.grouping.mapping import Mapping, map_sources, place_copies
from s3plan.kinds.kind import Manifest
from s3plan.model.grouping import ResolvedKey, Standing
from s3plan.rules.grouping import asks_for_content_type
from s3plan.rules.grouping.keys import SHA256, UUID, uuid_of
from s3plan.tables import Database

ROW = "row_id"

_ALL = """
    SELECT s.key, CASE WHEN s.state IN ('mapped', 'orphan') THEN c.new_key END, s.type, CASE
        WHEN c.standing IS NOT NULL
            THEN CASE c.standing WHEN 'missing' THEN 'to copy' ELSE c.standing END
        WHEN s.state = 'copy' THEN 'in the new layout'
        ELSE s.state END
    FROM grouping_sources s LEFT JOIN grouping_copies c USING (key) ORDER BY s.key"""


def only_grouping(manifests: Sequence[Manifest], address: str) -> Manifest:
    """The one ObjectGrouping of a file. Raises UsageError where it holds none or several."""
    found = [one for one in manifests if isinstance(one.document, GroupingDocument)]
    if len(found) != 1:
        raise UsageError(
            "keys are resolved for one grouping",
            address=address,
            expected="one document of kind ObjectGrouping",
            found=", ".join(one.name for one in found) or "none",
            next_step="name the file that holds just that one",
        )
    return found[0]


def preview(manifest: Manifest, database: Database) -> Iterator[ResolvedKey]:
    """Every key below the prefix, from the listings in ``database``."""
    work = _mapped(manifest, database)
    for key, new_key, kind, standing in work.rows(_ALL):
        yield ResolvedKey(key, new_key, kind, cast("Standing", standing))


def _people(manifest: Manifest, database: Database, row: str) -> list[dict[str, str]]:
    """The parts of every group whose ``row_id`` is ``row``."""
    work = _mapped(manifest, database)
    names = work.rules.pattern.groups
    found = work.rows("SELECT DISTINCT person FROM grouping_sources WHERE person IS NOT NULL")
    groups = [dict(zip(names, person.split("\0"), strict=True)) for (person,) in found]
    return sorted(
        (parts for parts in groups if parts.get(ROW) == row), key=lambda parts: [*parts.values()]
    )


def row_parts(manifest: Manifest, database: Database, row: str) -> dict[str, str]:
    """The parts of the one group whose ``row_id`` is ``row``. Raises UsageError for several."""
    found = _people(manifest, database, row)
    if len(found) == 1:
        return found[0]
    raise UsageError(
        f"{'several groups have' if found else 'no group has'} the row {row}",
        address=manifest.address,
        found=", ".join("/".join(parts.values()) for parts in found[:10]) or None,
        next_step="say the other parts with --part NAME=TEXT",
    )


def missing_parts(manifest: Manifest, parts: Parts[str, str]) -> tuple[str, ...]:
    """The parts that a new key is made of and that nobody has given.

    Raises UsageError for parts that the manifest does not know.
    """
    rules = regrouping(_document(manifest).spec)
    sayable = [*rules.pattern.groups, *([SHA256] if rules.template.by_digest else [])]
    unknown = set(parts) - set(sayable)
    if unknown:
        raise UsageError(
            f"the pattern has no part {', '.join(sorted(unknown))}",
            address=manifest.address,
            expected="one of " + ", ".join(sayable),
            next_step="name the parts as source.pattern does",
        )
    used = rules.template.names
    # The name of a place is made of all of its parts.
    return tuple(
        name
        for name in rules.pattern.groups
        if (name in used or UUID in used) and name not in parts
    )


def upload_key(
    manifest: Manifest, parts: Parts[str, str], file: str, content_type: str | None
) -> ResolvedKey:
    """The key that a new file of this group must be uploaded to.

    Raises UsageError where that depends on what nobody said: the content type, the digest.
    """
    spec = _document(manifest).spec
    rules = regrouping(spec)
    if content_type is None and asks_for_content_type(rules.rules, file, 0):
        raise UsageError(
            "the type of this file depends on its content type",
            address=manifest.address,
            next_step="say it with --content-type",
        )
    if rules.template.by_digest and not re.fullmatch("[0-9a-f]{64}", parts.get(SHA256, "")):
        raise UsageError(
            "the key is made of the content's SHA-256",
            address=manifest.address,
            expected="--part sha256= and 64 hex digits in lower case",
            found=parts.get(SHA256) or None,
            next_step="compute it with sha256sum",
        )
    known = {**parts, rules.pattern.names[-1]: file}
    if UUID in rules.template.names:
        known[UUID] = uuid_of(spec.source.bucket, rules.prefix + rules.pattern.key(known))
    kind = rules.type_of(file, 0, content_type)
    key = rules.template.key(known, kind, sanitize=rules.sanitize)
    return ResolvedKey(file, key, kind, "to copy")


def _mapped(manifest: Manifest, database: Database) -> Mapping:
    work = Mapping(database, _document(manifest).spec)
    map_sources(work)
    place_copies(work)
    return work


def _document(manifest: Manifest) -> GroupingDocument:
    assert isinstance(manifest.document, GroupingDocument)
    return manifest.document
