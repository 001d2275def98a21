"""Which objects are to change, and why others are left out: one pass over what was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec

from s3plan.inventory.forms import Asked, read_form
from s3plan.inventory.selection import conditions
from s3plan.kinds.kind import Observed
from s3plan.kinds.layout.manifest import LayoutSpec, WhereFields, selection
from s3plan.model.layout import Recipe
from s3plan.model.objects import ListedObject, ObjectHead
from s3plan.rules.classes import ARCHIVED_CLASSES
from s3plan.rules.codecs import codecs_of
from s3plan.rules.cutover import CONDITIONS, way_of
from s3plan.rules.parts import count_of_parts, cut
from s3plan.rules.recipes import algorithms, differences, layout_version
from s3plan.rules.restores import ONGOING, restore_of
from s3plan.rules.shadow import Shadow, token_of
from s3plan.tables import ITEMS, Database

LONGEST_KEY = 1024
"""Bytes of a key (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html)."""

NAMED = 5
"""Keys that a sentence names; it counts all."""

_BATCH = 5_000

LeftOut = Literal[
    "duplicate",
    "not-found",
    "changed",
    "sealed",
    "archived",
    "locked",
    "version-unreadable",
    "key-too-long",
    "checksum-of-parts",
    "coding-unknown",
    "encrypted",
    "encryption",
]
"""Why an object that is selected is not in the plan."""

WORDS: dict[LeftOut, str] = {
    "duplicate": "skipped as duplicate, named more than once",
    "not-found": "skipped as not found in the bucket",
    "changed": "left out, changed while they were looked at",
    "sealed": "not eligible, encrypted with a key of the customer's own (SSE-C)",
    "archived": "not eligible, archived: restore them first",
    "locked": "not eligible, under a retention or a legal hold, which only the old form would have",
    "version-unreadable": "not eligible, with a layout-version that is no number",
    "key-too-long": f"not eligible, without a shadow key of at most {LONGEST_KEY} bytes",
    "coding-unknown": "not eligible, with a Content-Encoding that is not known here",
    "encrypted": "not eligible, encrypted by their owner: say clientEncryption as well",
    "encryption": "not eligible, of an encryption that S3 changes in no object in place",
    "checksum-of-parts": "not eligible, in parts, of which there is no SHA checksum of the whole",
}
"""What is said of them, after their number."""


@dataclass
class Found:
    """What one bucket holds: the worklist is in ``items``, everything else is counted here.

    ``differs`` counts what differs, in the manifest's words; ``unheld`` are objects for which no
    conditional write was seen to hold, ``as_wanted`` those that are in the layout already.
    ``ambiguous`` are items that fail, since their keys came twice in the listing.
    """

    items: int = 0
    as_wanted: int = 0
    differs: Counter[str] = field(default_factory=Counter)
    left_out: dict[LeftOut, list[str]] = field(default_factory=dict)
    counts: Counter[LeftOut] = field(default_factory=Counter)
    unheld: list[str] = field(default_factory=list)
    unheld_count: int = 0
    ambiguous: list[str] = field(default_factory=list)
    ambiguous_count: int = 0

    def leave_out(self, why: LeftOut, key: str) -> None:
        """Count and, while there is room, name it."""
        self.counts[why] += 1
        names = self.left_out.setdefault(why, [])
        if len(names) < NAMED:
            names.append(key)


class _Chosen(NamedTuple):
    """An object for the worklist; ``twice``: its key came more than once in the listing."""

    listed: ListedObject
    head: ObjectHead
    twice: bool


class Chooser:
    """Fills the worklist of one bucket."""

    def __init__(
        self,
        spec: LayoutSpec,
        recipe: Recipe,
        observed: Observed,
        bucket: str,
        *,
        of_worklist: bool,
        in_place: bool = False,
    ) -> None:
        """``in_place``: no new form is built, S3 changes the objects as they are."""
        self._in_place = in_place
        self._spec = spec
        self._observed = observed
        self._bucket = bucket
        self._select = selection(spec, observed.now, of_worklist=of_worklist)
        self._versioned = observed.facts[bucket].versioning == "enabled"
        self._recipe = recipe
        self._told = msgspec.to_builtins(self._recipe)

    def fill(self, step: str) -> Found:
        """Put every object that is to change into ``items`` under ``step``, in key order."""
        found = Found()
        batch: list[_Chosen] = []
        for listed, asked, twice in self._rows(found):
            head = self._chosen(listed, asked, found, twice=twice)
            if head is not None:
                batch.append(_Chosen(listed, head, twice))
            if len(batch) >= _BATCH:
                self._append(step, batch, found)
                batch.clear()
        self._append(step, batch, found)
        return found

    def fill_by_key(
        self, step_of: Callable[[str | None], str]
    ) -> tuple[dict[str | None, Found], Found]:
        """The same in a worklist for each KMS key that objects have today (None is S3's own), and
        what was left out.
        """
        rest = Found()
        worklists: dict[str | None, Found] = {}
        batches: dict[str | None, list[_Chosen]] = {}
        for listed, asked, twice in self._rows(rest):
            head = self._chosen(listed, asked, rest, twice=twice)
            if head is None:
                continue
            key = head.attributes.kms_key
            batch = batches.setdefault(key, [])
            batch.append(_Chosen(listed, head, twice))
            if len(batch) >= _BATCH:
                self._append(step_of(key), batch, worklists.setdefault(key, Found()))
                batch.clear()
        for key, batch in batches.items():
            self._append(step_of(key), batch, worklists.setdefault(key, Found()))
        return worklists, rest

    def _rows(self, found: Found) -> Iterator[tuple[ListedObject, Asked | None, bool]]:
        """Every object that is meant, what it answered, and whether its key came twice."""
        clauses, values = conditions(self._bucket, self._select)
        named = self._spec.select.keys
        if named:
            clauses.append("list_contains(?::VARCHAR[], key)")
        where = " AND ".join(clauses)
        rows = self._database.rows(
            "SELECT key, size, etag, modified, storage_class, checksum, asked,"  # noqa: S608
            " again IS NOT NULL FROM"
            f" (SELECT * FROM listing WHERE {where}) LEFT JOIN"
            " (SELECT key AS asked_of, asked FROM forms WHERE bucket = ?) ON asked_of = key"
            " LEFT JOIN (SELECT key AS again FROM repeated WHERE bucket = ?) ON again = key"
            " ORDER BY key",
            [*values, *([list(named)] if named else []), self._bucket, self._bucket],
        )
        there: set[str] = set()
        for *columns, asked, twice in rows:
            listed = ListedObject(*columns)
            if named:
                there.add(listed.key)
            yield listed, read_form(asked) if asked is not None else None, twice
        for key, times in Counter(named).items():
            if times > 1:
                found.leave_out("duplicate", key)
            if key not in there:
                found.leave_out("not-found", key)

    @property
    def _database(self) -> Database:
        return self._observed.database

    def _chosen(
        self, listed: ListedObject, asked: Asked | None, found: Found, *, twice: bool
    ) -> ObjectHead | None:
        """The head of an object that is to change; None for every other, which is counted."""
        if asked is None:
            found.leave_out("not-found", listed.key)
            return None
        head = asked.head
        if head is None:
            found.leave_out("sealed", listed.key)
            return None
        if not twice and (head.size, head.etag) != (listed.size, listed.etag):
            found.leave_out("changed", listed.key)
            return None
        if not _is_meant(self._spec.select.where, head, asked.first_part):
            return None
        tags = head.attributes.tags
        differs = tuple(differences(self._recipe, head, tags, asked.first_part))
        if differs and twice:
            found.ambiguous_count += 1
            if len(found.ambiguous) < NAMED:
                found.ambiguous.append(listed.key)
            return head
        why = next(self._obstacles(head, listed, differs), None)
        if why is not None:
            found.leave_out(why, listed.key)
            return None
        if not differs:
            found.as_wanted += 1
            return None
        if not self._in_place:
            self._judge_cutover(head, found)
        found.differs.update(differs)
        return head

    def _obstacles(
        self, head: ObjectHead, listed: ListedObject, differs: tuple[str, ...]
    ) -> Iterator[LeftOut]:
        """What keeps the object from being changed, or from knowing whether it has to be."""
        recipe, known = self._recipe, head.attributes
        if self._in_place:
            if differs and known.encryption not in ("AES256", "aws:kms"):
                yield "encryption"
            return
        by_version = recipe.layout_version or self._spec.select.where.layout_version
        if by_version and layout_version(known.metadata, known.tags) is None:
            yield "version-unreadable"
        codecs = codecs_of(known)
        if codecs is None and (recipe.codec or recipe.recipients is not None):
            yield "coding-unknown"
        if not differs:
            return
        if "age" in (codecs or ()) and "codec" in differs and recipe.identity is None:
            yield "encrypted"
        if _is_archived(head):
            yield "archived"
        if head.lock_mode or head.legal_hold:
            yield "locked"
        if len(self._path(listed, head).encode()) > LONGEST_KEY:
            yield "key-too-long"
        if (recipe.checksum or "").startswith("SHA") and _parts(recipe, head):
            yield "checksum-of-parts"

    def _judge_cutover(self, head: ObjectHead, found: Found) -> None:
        known = self._observed.capabilities
        if any(known.get(name).standing == "not-tried" for name in CONDITIONS.values()):
            return  # a probe tells, before anything is staged
        parts = _parts(self._recipe, head)
        largest = self._spec.cutover.largest_put
        if not way_of(known, size=head.size, parts=parts, largest_put=largest).held:
            found.unheld_count += 1
            if len(found.unheld) < NAMED:
                found.unheld.append(head.key)

    def _path(self, listed: ListedObject, head: ObjectHead) -> str:
        version = head.version_id if self._versioned else None
        token = token_of(listed.etag, listed.size, listed.modified, version, self._told)
        return Shadow(self._spec.staging.prefix, "new", listed.key, token).name

    def _place(self, one: _Chosen) -> str:
        """Where its new form is built; nowhere, where none is built."""
        return "" if self._in_place or one.twice else self._path(one.listed, one.head)

    def _append(self, step: str, batch: list[_Chosen], found: Found) -> None:
        if not batch:
            return
        names = ("key", "size", "etag", "modified", "storage_class", "checksum")
        columns = {name: [getattr(one.listed, name) for one in batch] for name in names}
        self._database.append(
            ITEMS,
            {
                "n": list(range(found.items, found.items + len(batch))),
                "path": [self._place(one) for one in batch],
                "version_id": [one.head.version_id if self._versioned else None for one in batch],
                "ambiguous": [one.twice for one in batch],
                **columns,
            },
            {"step": step},
        )
        found.items += len(batch)


def _is_archived(head: ObjectHead) -> bool:
    """Whether the object cannot be read now."""
    if head.archive_status is not None:
        return True
    if head.attributes.storage_class not in ARCHIVED_CLASSES:
        return False
    return restore_of(head.restore) in (None, ONGOING)


def _parts(recipe: Recipe, head: ObjectHead) -> int:
    """How many parts the new form is put together from; 0 where it is in one piece."""
    if recipe.part_size is not None:
        return len(cut(head.size, recipe.part_size))
    count = count_of_parts(head.etag) or 1
    return count if count > 1 else 0


def _is_meant(where: WhereFields, head: ObjectHead, first_part: int | None) -> bool:
    """Whether what only a HEAD tells is as the manifest selects."""
    known = head.attributes
    version = layout_version(known.metadata, known.tags)
    if where.layout_version is not None and (version or 0) >= where.layout_version.below:
        return False
    if where.storage_class not in (None, known.storage_class):
        return False
    if where.encryption not in (None, known.encryption or "none"):
        return False
    kept = algorithms(head) or ("none",)
    if where.checksum_algorithm is not None and where.checksum_algorithm not in kept:
        return False
    return where.part_size in (None, first_part)
