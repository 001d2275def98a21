"""The kind as the rest of s3plan sees it: what to look at, and bucket by bucket what may go."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from msgspec import UNSET

from s3plan.errors import PlanningError
from s3plan.inventory.selection import matches_any
from s3plan.kinds.cleanup.forms import find_forms, steps_of
from s3plan.kinds.cleanup.manifest import CleanupDocument, CleanupSpec
from s3plan.kinds.kind import Manifest, Observed, Scope
from s3plan.kinds.obstacles import refuse, unusable
from s3plan.model.steps import AbortUploads, AnyAction, Purge
from s3plan.plan import StepDraft


class Cleanup:
    """``kind: LayoutCleanup``; see kind.Kind."""

    document = CleanupDocument

    def connection(self, manifest: Manifest) -> str | None:
        """The name of the connection that the manifest asks for."""
        return _spec(manifest).connection

    def scope(self, manifest: Manifest) -> Scope:
        """Whole buckets: a form may go only where its object is there."""
        return Scope(
            include=(_spec(manifest).select.bucket,),
            bodies=False,
            documents=(),
            versions=True,
            deletes=True,
            layouts=True,
            filters=manifest.filters,
        )

    def uses(self, manifest: Manifest) -> Iterator[tuple[str, AnyAction]]:
        """Deletions of forms, by key and by version, and of uploads that nobody finished."""
        spec = _spec(manifest)
        yield spec.select.bucket, Purge("", versions=True)
        yield spec.select.bucket, Purge("", versions=UNSET)
        if spec.what != "superseded":
            yield spec.select.bucket, AbortUploads("")

    def has_items(self, manifest: Manifest, buckets: Collection[str]) -> bool:
        """Whether one of them is meant; see kind.TakesItems."""
        return any(matches_any([_spec(manifest).select.bucket], name) for name in buckets)

    def plan(self, manifest: Manifest, observed: Observed) -> list[StepDraft]:
        """What may go of every bucket, in byte order; every problem of every bucket together."""
        spec = _spec(manifest)
        scope = self.scope(manifest)
        buckets = scope.buckets({*observed.facts, *scope.literals})
        problems: list[PlanningError] = []
        for bucket in buckets:
            problems += unusable(bucket, observed.facts.get(bucket), observed.connection)
        refuse(manifest, problems)
        drafts: list[StepDraft] = []
        for bucket in buckets:
            find_forms(spec, observed, bucket, of_worklist=manifest.filters.items is not None)
            drafts += steps_of(spec, observed, bucket)
        return drafts


def _spec(manifest: Manifest) -> CleanupSpec:
    assert isinstance(manifest.document, CleanupDocument)
    return manifest.document.spec
