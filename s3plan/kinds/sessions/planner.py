"""The kind as the rest of s3plan sees it: what to look at, and what follows session by session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from s3plan.errors import PlanningError, ProblemsError
from s3plan.kinds.buckets import missing_bucket
from s3plan.kinds.kind import Manifest, Observed, Scope
from s3plan.kinds.obstacles import unserved
from s3plan.kinds.quantities import format_moment
from s3plan.kinds.sessions.files import put_steps, watched_files
from s3plan.kinds.sessions.manifest import (
    ArchiveDocument,
    ArchiveSpec,
    TargetFields,
    keep_of,
    library_of,
)
from s3plan.kinds.sessions.obstacles import archive_obstacles, file_obstacles, name_obstacles
from s3plan.kinds.sessions.standing import Session, name_sessions, sessions_in
from s3plan.kinds.sessions.steps import adopt_step, archive_steps, bucket_steps
from s3plan.kinds.sessions.tagging import tag_inquiry, tag_steps
from s3plan.kinds.sessions.telling import remarks
from s3plan.model.archivesteps import Adopt, Tag, VerifyReplacement
from s3plan.model.steps import AnyAction, Archive, Configure, CreateBucket, PutFiles
from s3plan.plan import StepDraft
from s3plan.rules.classes import ARCHIVED_CLASSES


class Sessions:
    """``kind: SessionArchive``; see kind.Kind."""

    document = ArchiveDocument

    def connection(self, manifest: Manifest) -> str | None:
        """The name of the connection that the manifest asks for."""
        return _spec(manifest).connection

    def scope(self, manifest: Manifest) -> Scope:
        """The buckets, the indexes of their archives, and the library."""
        spec = _spec(manifest)
        if not spec.enabled:
            return Scope(include=(), listing=False)
        return Scope(
            include=tuple(target.bucket for target in spec.targets()),
            prefix=spec.prefix,
            files=watched_files(spec, manifest.directory),
            bodies=False,
            documents=("lifecycle",),
            filters=manifest.filters,
            library=library_of(spec, manifest.directory),
            keeps=keep_of(spec, manifest.directory),
            inquiry=tag_inquiry(spec),
        )

    def uses(self, manifest: Manifest) -> Iterator[tuple[str, AnyAction]]:
        """Archives, and what is said of the buckets themselves."""
        spec = _spec(manifest)
        for target in spec.targets():
            tags = {**spec.tags(), **target.tags}
            yield target.bucket, Archive("", "", "", "", 0, kms_key=target.kms_key, tags=tags)
            if spec.changed == "replace":
                yield target.bucket, VerifyReplacement("", "", "", 0, "")
            if spec.adopted == "index":
                yield target.bucket, Adopt("", "", "", "", "", 0, kms_key=target.kms_key)
            if spec.lifecycle is not None and spec.other_tags == "replace":
                yield target.bucket, Tag({}, tags)
            if (spec.notes or spec.extras) and target is spec.target:
                yield target.bucket, PutFiles("", kms_key=target.kms_key)
            if spec.policies():
                yield target.bucket, Configure("lifecycle")
            if spec.bucket is not None and spec.bucket.create:
                yield target.bucket, CreateBucket("", "")
                yield target.bucket, Configure("public-access-block")
            if spec.bucket is not None and spec.bucket.versioning is not None:
                yield target.bucket, Configure("versioning")

    def plan(self, manifest: Manifest, observed: Observed) -> list[StepDraft]:
        """Buckets first, then sessions in the order asked for; every problem together."""
        spec = _spec(manifest)
        if not spec.enabled:
            observed.notes.append(f"{manifest.kind} {manifest.name} is not enabled")
            return []
        library = library_of(spec, manifest.directory)
        lacking, twice = name_sessions(observed.database, library.path, spec.key)
        problems = list(name_obstacles(library, spec, lacking, twice))
        drafts: list[StepDraft] = []
        todo: list[Session] = []
        for target in spec.targets():
            if not manifest.filters.keeps(target.bucket):
                continue
            facts = observed.facts.get(target.bucket)
            if facts is None and not (spec.bucket is not None and spec.bucket.create):
                problems.append(missing_bucket(target.bucket, observed.target))
                continue
            if facts is not None:
                problems += unserved(facts, observed.connection, otherwise="name another bucket")
            try:
                first = list(bucket_steps(spec, target.bucket, observed))
                found = list(sessions_in(observed.database, library.path, target.bucket))
                chosen = _chosen(spec, found, manifest, observed)
                problems += _archive_problems(spec, found, chosen, observed)
                todo += chosen
                drafts += first
                drafts += _archives(spec, manifest, target, chosen, first, observed)
                adopting = _indexed(spec, found, chosen, manifest)
                drafts += [
                    adopt_step(one, target, library, observed.database, first) for one in adopting
                ]
                replaced = [one.key for one in chosen]
                tags, wrong = tag_steps(spec, manifest, target, replaced, first, observed)
                drafts += tags
                problems += wrong
                if target is spec.target:
                    puts, wrong = put_steps(spec, manifest, observed, first)
                    drafts += puts
                    problems += wrong
                planned = [*chosen, *adopting]
                observed.notes.extend(remarks(manifest, observed.database, library, found, planned))
            except PlanningError as error:
                problems.append(error)
        problems += file_obstacles(observed.database, library, spec, todo)
        if problems:
            raise ProblemsError(f"{manifest.kind} {manifest.name} cannot be planned", problems)
        return drafts


def _chosen(
    spec: ArchiveSpec, found: Sequence[Session], manifest: Manifest, observed: Observed
) -> list[Session]:
    """What is archived by this plan, in its order."""
    filters = manifest.filters
    written_before = format_moment(observed.now - timedelta(seconds=spec.sessions.min_age))
    wanted = {"new"} | ({"changed"} if spec.changed == "replace" else set())
    if filters.sessions.replace:
        wanted |= {"same", "changed", "adopted", "other"}
    chosen = [
        one
        for one in found
        if one.state in wanted and one.kept_by(filters) and one.latest < written_before
    ]
    if spec.order == "newest":
        chosen.reverse()
    return chosen[: filters.sessions.limit]


def _indexed(
    spec: ArchiveSpec, found: Sequence[Session], chosen: Sequence[Session], manifest: Manifest
) -> list[Session]:
    """Adopted archives that are read and get an index: none that is asleep, or has a broken one."""
    if spec.adopted != "index":
        return []
    archived_again = {one.key for one in chosen}
    return [
        one
        for one in found
        if one.state == "adopted"
        and one.index_etag is None
        and one.key not in archived_again
        and one.storage_class not in ARCHIVED_CLASSES
        and one.kept_by(manifest.filters)
    ]


def _archive_problems(
    spec: ArchiveSpec, found: Sequence[Session], chosen: Sequence[Session], observed: Observed
) -> Iterator[PlanningError]:
    """What cannot be replaced; and indexes without archives, whichever sessions are chosen."""
    orphans = [one for one in found if one.state == "unindexed"]
    facts = observed.facts.get(found[0].bucket) if found else None
    enabled = spec.bucket is not None and spec.bucket.versioning == "enabled"
    versioned = enabled or (facts is not None and facts.versioning == "enabled")
    yield from archive_obstacles(orphans, chosen, versioned=versioned)


def _archives(
    spec: ArchiveSpec,
    manifest: Manifest,
    target: TargetFields,
    chosen: Sequence[Session],
    first: Sequence[StepDraft],
    observed: Observed,
) -> Iterator[StepDraft]:
    library = library_of(spec, manifest.directory)
    keep = keep_of(spec, manifest.directory)
    for session in chosen:
        yield from archive_steps(session, spec, target, library, observed.database, first, keep)


def _spec(manifest: Manifest) -> ArchiveSpec:
    assert isinstance(manifest.document, ArchiveDocument)
    return manifest.document.spec
