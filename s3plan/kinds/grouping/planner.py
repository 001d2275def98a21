"""The kind as the rest of s3plan sees it: what to look at, and what follows from the mapping."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from s3plan.errors import PlanningError
from s3plan.kinds.grouping.artifacts import put_away
from s3plan.kinds.grouping.asking import inquiry_of, what_was_asked
from s3plan.kinds.grouping.catalog import look_at_table, table_obstacles
from s3plan.kinds.grouping.manifest import GroupingDocument, GroupingSpec, catalog_path
from s3plan.kinds.grouping.mapping import Mapping, map_sources, place_backup, place_copies
from s3plan.kinds.grouping.obstacles import (
    backup_obstacles,
    digest_obstacles,
    key_obstacles,
    source_obstacles,
    tag_obstacles,
)
from s3plan.kinds.grouping.soaked import add_cleaned, after_soak
from s3plan.kinds.grouping.steps import steps_of
from s3plan.kinds.kind import Manifest, Observed, Scope
from s3plan.kinds.obstacles import refuse, sealed, unusable
from s3plan.model.soak import SoakTerms
from s3plan.model.steps import AnyAction, Archive, BackupFile, Copy, DeleteSource, VerifyCopies
from s3plan.plan import StepDraft


class Grouping:
    """``kind: ObjectGrouping``; see kind.Kind."""

    document = GroupingDocument

    def connection(self, manifest: Manifest) -> str | None:
        """The name of the connection that the manifest asks for."""
        return _spec(manifest).connection

    def scope(self, manifest: Manifest) -> Scope:
        """The buckets, and what every key that matters in any of them starts with."""
        spec = _spec(manifest)
        table = catalog_path(spec, manifest.directory)
        return Scope(
            include=_buckets(spec),
            prefix=_common_prefix(spec),
            filters=manifest.filters.of_buckets(),
            files=(table,) if table is not None else (),
            earlier=spec.sources == "deleteAfterSoak" or spec.artifacts is not None,
            inquiry=inquiry_of(spec),
            reports=spec.inventory.reports if spec.inventory else (),
        )

    def uses(self, manifest: Manifest) -> Iterator[tuple[str, AnyAction]]:
        """Copies, of the sources and into the backup, and their verification."""
        spec = _spec(manifest)
        source = spec.source.bucket
        yield spec.target_bucket, Copy(source, acl=spec.target.acl)
        yield spec.target_bucket, VerifyCopies(source, "")
        if spec.catalog is not None and (place := spec.catalog.backup.upload) is not None:
            bucket = place.removeprefix("s3://").partition("/")[0]
            yield bucket, BackupFile("", "", "", "", upload=place)
        if spec.backup is not None:
            yield spec.backup.bucket or source, Copy(source)
            yield spec.backup.bucket or source, VerifyCopies(source, "")
        if spec.sources == "deleteAfterSoak":
            yield source, DeleteSource(spec.target_bucket, (), SoakTerms())
        if spec.artifacts is not None:
            yield spec.artifacts.bucket, Archive("", "", "", "", 0)

    def has_items(self, manifest: Manifest, buckets: Collection[str]) -> bool:
        """Whether the source is one of them; see kind.TakesItems."""
        return _spec(manifest).source.bucket in buckets

    def plan(self, manifest: Manifest, observed: Observed) -> list[StepDraft]:
        """Backup, copies and their verification; every problem of the whole mapping together."""
        spec = _spec(manifest)
        if not all(manifest.filters.of_buckets().keeps(name) for name in _buckets(spec)):
            return []  # a plan for other buckets
        problems: list[PlanningError] = []
        for name in _buckets(spec):
            problems += unusable(name, observed.facts.get(name), observed.connection)
        refuse(manifest, problems)
        work = Mapping(observed.database, spec)
        map_sources(work)
        place_copies(work)
        place_backup(work)
        keys = observed.sealed.get(spec.source.bucket, ())
        problems += sealed(spec.source.bucket, keys, next_step="regroup another prefix")
        observed.notes.extend(what_was_asked(work))
        problems += [*source_obstacles(work), *digest_obstacles(work), *tag_obstacles(work)]
        problems += [*key_obstacles(work), *backup_obstacles(work)]
        add_cleaned(work)
        table = (
            None if _is_empty(work, observed) else look_at_table(work, manifest.directory, observed)
        )
        problems += table_obstacles(table)
        refuse(manifest, problems)
        facts = dict(observed.facts)
        drafts = steps_of(work, facts, manifest.filters, table, observed.commands)
        # A plan that is narrowed does not show that nothing else is left to do.
        narrowed = manifest.filters.groups is not None or manifest.filters.items is not None
        if drafts or narrowed:
            return drafts
        # Only once nothing is left to delete: the archive is of all that was done.
        return after_soak(work, observed) or put_away(work, observed)


def _is_empty(work: Mapping, observed: Observed) -> bool:
    """Whether there is nothing that a table could be about: an empty prefix, or a wrong one, must
    not empty the table's columns.
    """
    ((count,),) = work.rows("SELECT count(*) FROM grouping_copies")
    if count == 0 and work.spec.catalog is not None:
        observed.notes.append(
            f"s3://{work.spec.source.bucket}/{work.spec.source.prefix} holds nothing to regroup;"
            f" {work.spec.catalog.file} is not looked at"
        )
    return bool(count == 0)


def _buckets(spec: GroupingSpec) -> tuple[str, ...]:
    places = [spec.source.bucket, spec.target_bucket]
    places += [place.bucket for place in (spec.backup, spec.artifacts) if place is not None]
    return tuple(dict.fromkeys(places))


def _common_prefix(spec: GroupingSpec) -> str:
    """Listings of all buckets start with it: sources, copies and the backup are below it."""
    heads = [spec.source.prefix, spec.target.key.partition("{")[0]]
    if spec.orphans == "unknown":
        heads.append(spec.default)
    heads += [place.prefix for place in (spec.backup, spec.artifacts) if place is not None]
    # Keys are compared by character, not by path component: that is what is wanted.
    return os.path.commonprefix(heads)  # noqa: RUF071


def _spec(manifest: Manifest) -> GroupingSpec:
    assert isinstance(manifest.document, GroupingDocument)
    return manifest.document.spec
