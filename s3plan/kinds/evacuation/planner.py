"""The kind as the rest of s3plan sees it: what to look at, and bucket by bucket what follows."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import cast

from msgspec import UNSET, UnsetType

from s3plan.errors import PlanningError, ProblemsError
from s3plan.kinds.evacuation.difference import find_differences, find_retained
from s3plan.kinds.evacuation.freeze import freeze_obstacles
from s3plan.kinds.evacuation.manifest import (
    EvacuationDocument,
    EvacuationSpec,
    destination_path,
    selection,
)
from s3plan.kinds.evacuation.obstacles import (
    bucket_obstacles,
    history_obstacles,
    lock_obstacles,
    no_such_bucket,
    object_obstacles,
    retained_obstacles,
    sealed_obstacles,
    shadow_obstacles,
    stack_obstacles,
)
from s3plan.kinds.evacuation.steps import steps_of
from s3plan.kinds.evacuation.workspace import Workspace
from s3plan.kinds.kind import Manifest, Observed, Scope
from s3plan.kinds.obstacles import catalogue_obstacles, refuse
from s3plan.model.steps import (
    AbortUploads,
    AnyAction,
    Attribute,
    Configure,
    Delete,
    DeleteBucket,
    Download,
    Kept,
    Restore,
    Verify,
)
from s3plan.plan import StepDraft


class Evacuation:
    """``kind: BucketEvacuation``; see kind.Kind."""

    document = EvacuationDocument

    def connection(self, manifest: Manifest) -> str | None:
        """The name of the connection that the manifest asks for."""
        return _spec(manifest).connection

    def scope(self, manifest: Manifest) -> Scope:
        """The buckets, the listing's prefix, and the destination."""
        spec = _spec(manifest)
        return Scope(
            include=spec.buckets.include,
            exclude=spec.buckets.exclude,
            destination=destination_path(spec, manifest.directory),
            layout=spec.destination.layout,
            prefix=spec.select.prefix if spec.select else "",
            versions=_asks_for_versions(spec),
            deletes=spec.delete == "afterVerification",
            filters=manifest.filters,
            inventory=spec.verify.inventory,
            ignore=spec.verify.ignore,
            parallel=spec.parallel_buckets,
            shared=spec.destination.shared,
            reports=spec.inventory.reports if spec.inventory else (),
        )

    def uses(self, manifest: Manifest) -> Iterator[tuple[str, AnyAction]]:
        """Copies to the disk and, where asked for, deletions."""
        spec = _spec(manifest)
        delete = spec.delete == "afterVerification"
        # Which buckets have ACLs or annotations is not known here: any may.
        attributes: tuple[Attribute, ...] | UnsetType = ("acl", "annotations") if delete else UNSET
        actions: list[AnyAction] = [Restore(0, {}, 0), Download("")]
        if spec.freeze == "policy":
            actions.append(Configure("policy", probe=("list",), temporary=True))
        for versions in _kept(spec):
            actions.append(Verify("", "", versions=versions, attributes=attributes))
            if delete:
                actions.append(Delete("", versions=versions))
            if spec.delete_bucket:
                actions += [AbortUploads(""), DeleteBucket("", ".", versions=versions)]
        yield from ((bucket, action) for bucket in spec.buckets.include for action in actions)

    def has_items(self, manifest: Manifest, buckets: Collection[str]) -> bool:
        """Whether one of the buckets is meant; see kind.TakesItems."""
        return bool(self.scope(manifest).buckets(buckets))

    def plan(self, manifest: Manifest, observed: Observed) -> list[StepDraft]:
        """Buckets one after the other in byte order; every problem of every bucket together."""
        spec = _spec(manifest)
        if manifest.filters.items is not None and spec.delete_bucket:
            spec = spec.model_copy(update={"delete_bucket": False})
            observed.notes.append(
                f"{manifest.kind} {manifest.name} says deleteBucket: true; a plan for a worklist"
                " leaves the bucket, a plan without one deletes it."
            )
        scope, destination = self.scope(manifest), destination_path(spec, manifest.directory)
        catalogued = observed.catalogues.get(destination, {})
        buckets = scope.buckets({*observed.facts, *catalogued, *scope.literals})
        problems: list[PlanningError] = []
        drafts: list[StepDraft] = []
        for bucket in buckets:
            try:
                drafts += self._plan_bucket(spec, scope, destination, bucket, observed)
            except ProblemsError as error:
                problems += cast("tuple[PlanningError, ...]", error.problems)
        refuse(manifest, problems)
        return drafts

    def _plan_bucket(
        self,
        spec: EvacuationSpec,
        scope: Scope,
        destination: str,
        bucket: str,
        observed: Observed,
    ) -> list[StepDraft]:
        facts = observed.facts.get(bucket)
        work = Workspace(
            observed.database,
            destination,
            scope.root(bucket),
            bucket,
            scope.prefix,
            # A bucket that is gone has no versions left that a listing could tell of.
            versions=facts is None or (scope.versions and facts.versioning != "never"),
        )
        catalogue = observed.catalogues.get(destination, {}).get(bucket)
        foreign = (
            list(catalogue_obstacles(catalogue.header, observed.target, destination))
            if catalogue
            else []
        )
        if facts is None:
            if foreign and bucket not in scope.literals:
                return []  # a glob met the catalogue of a bucket at another endpoint
            problems = foreign
            if catalogue is None or catalogue.bucket != "deleted":
                problems.append(no_such_bucket(bucket, observed.target, destination))
            find_retained(work)
            _refuse(bucket, [*problems, *retained_obstacles(work)])
            return []
        delete = spec.delete == "afterVerification"
        problems = [*foreign, *bucket_obstacles(facts, observed.connection, delete=delete)]
        if spec.freeze == "policy":
            problems += freeze_obstacles(facts)
        problems += sealed_obstacles(bucket, observed.sealed.get(bucket, ()))
        if spec.delete_bucket:
            problems += shadow_obstacles(work)
        # Retained rows first: narrowing forgets which keys are in S3 but not selected.
        find_retained(work)
        problems += retained_obstacles(work)
        select = selection(spec, observed.now, of_worklist=scope.filters.items is not None)
        try:
            find_differences(
                work,
                select,
                all_versions=spec.versions == "all",
                skip_markers=spec.markers == "skip",
            )
            problems += object_obstacles(work)
            if spec.versions == "refuse" and delete:
                problems += history_obstacles(work)
            if work.versions and delete:
                problems += stack_obstacles(work)
            problems += lock_obstacles(work)
        except PlanningError as error:
            problems.append(error)
        _refuse(bucket, problems)
        drafts = steps_of(work, spec, select, facts, observed)
        # Worklists stand in ``items`` by now: what they were made of takes no room beside them.
        work.execute("DROP TABLE evacuation_objects")
        return drafts


def _kept(spec: EvacuationSpec) -> tuple[Kept | UnsetType, ...]:
    """What a bucket may keep beside its objects, as far as steps differ by it.

    Under ``refuse`` a bucket that keeps versions, and has no older ones, goes by its version ids.
    """
    if spec.versions != "refuse":
        return ("enabled",)
    return (UNSET, "enabled") if spec.delete == "afterVerification" else (UNSET,)


def _asks_for_versions(spec: EvacuationSpec) -> bool:
    """Deleting an object says nothing of its versions; a copy of objects alone needs none."""
    return spec.delete == "afterVerification" or spec.versions == "all"


def _refuse(bucket: str, problems: list[PlanningError]) -> None:
    if problems:
        raise ProblemsError(f"s3://{bucket} cannot be planned", problems)


def _spec(manifest: Manifest) -> EvacuationSpec:
    assert isinstance(manifest.document, EvacuationDocument)
    return manifest.document.spec
