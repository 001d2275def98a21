"""The kind as the rest of s3plan sees it: what to look at, and what follows from what was seen."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from os.path import commonprefix

from s3plan.errors import PlanningError
from s3plan.inventory.selection import matches_any
from s3plan.kinds.kind import Manifest, Observed, Scope
from s3plan.kinds.layout.asking import inquiry_of
from s3plan.kinds.layout.eligible import Found
from s3plan.kinds.layout.manifest import LayoutDocument, LayoutSpec
from s3plan.kinds.layout.steps import actions, is_key_only, steps_of
from s3plan.kinds.obstacles import refuse, unusable
from s3plan.model.steps import AnyAction, Reencrypt
from s3plan.plan import StepDraft

NO_SCRATCH = "a scratch in the Connection, where the endpoint's conditional writes can be probed"


class Layout:
    """``kind: ObjectLayout``; see kind.Kind."""

    document = LayoutDocument

    def connection(self, manifest: Manifest) -> str | None:
        """The name of the connection that the manifest asks for."""
        return _spec(manifest).connection

    def scope(self, manifest: Manifest) -> Scope:
        """The buckets, and every object whose head matters."""
        spec = _spec(manifest)
        select = spec.select
        return Scope(
            include=(select.bucket,),
            # Keys are compared by character: that is what a listing's prefix is.
            prefix=commonprefix(select.keys) if select.keys else select.prefix,  # noqa: RUF071
            inquiry=inquiry_of(spec, of_worklist=manifest.filters.items is not None),
            bodies=False,
            repeats=True,
            documents=("ownership",),
            filters=manifest.filters,
            reports=spec.inventory.reports if spec.inventory else (),
        )

    def uses(self, manifest: Manifest) -> Iterator[tuple[str, AnyAction]]:
        """Staging, its verification and the swap, as for a bucket with versions and without."""
        spec = _spec(manifest)
        recipe = spec.target.recipe(manifest.directory)
        if is_key_only(recipe):  # at AWS it is done in place; elsewhere by copies
            yield spec.select.bucket, Reencrypt(recipe.kms_key or "", recipe.kms_key)
        for keeps_old in (True, False):
            for action in actions(spec, recipe, spec.select.bucket, keeps_old=keeps_old):
                yield spec.select.bucket, action

    def has_items(self, manifest: Manifest, buckets: Collection[str]) -> bool:
        """Whether one of them is meant; see kind.TakesItems."""
        return any(matches_any([_spec(manifest).select.bucket], name) for name in buckets)

    def plan(self, manifest: Manifest, observed: Observed) -> list[StepDraft]:
        """Three steps for every bucket that has objects to change."""
        spec = _spec(manifest)
        recipe = spec.target.recipe(manifest.directory)
        scope = self.scope(manifest)
        buckets = scope.buckets({*observed.facts, *scope.literals})
        problems: list[PlanningError] = []
        for bucket in buckets:
            problems += unusable(bucket, observed.facts.get(bucket), observed.connection)
        problems += _too_large(spec, observed)
        refuse(manifest, problems)
        drafts: list[StepDraft] = []
        for bucket in buckets:
            made, found = steps_of(
                spec, recipe, observed, bucket, of_worklist=manifest.filters.items is not None
            )
            problems += _cutover_obstacles(spec, observed, bucket, found)
            drafts += made
        refuse(manifest, problems)
        return drafts


def _too_large(spec: LayoutSpec, observed: Observed) -> Iterator[PlanningError]:
    """A form that is sent again by PUT is held in memory as a whole."""
    largest, memory = spec.cutover.largest_put, observed.connection.limits.memory
    if largest > memory:
        yield PlanningError(
            "cutover.largestPut does not fit into limits.memory",
            expected=f"at most {memory:,} bytes, which the Connection allows",
            found=f"{largest:,} bytes",
            next_step="lower the one, or raise the other",
        )


def _cutover_obstacles(
    spec: LayoutSpec, observed: Observed, bucket: str, found: Found
) -> Iterator[PlanningError]:
    """Objects that nothing at this endpoint can swap without a window, unless that is accepted."""
    if spec.cutover.window == "accept" or not found.items:
        return
    if observed.connection.scratch is None:
        yield PlanningError(
            "nothing is known of conditional writes at this endpoint",
            address=f"s3://{bucket}",
            expected=NO_SCRATCH,
            found="no scratch",
            next_step="set scratch, or accept with cutover.window: accept that what is written at"
            " the moment of a swap is lost",
        )
    elif found.unheld_count:
        more = found.unheld_count - len(found.unheld)
        yield PlanningError(
            f"no conditional write was seen to hold for {found.unheld_count:,} objects",
            address=f"s3://{bucket}",
            expected="If-Match that holds between two writers, on PUT up to cutover.largestPut,"
            " on CopyObject, or on the completion of an upload",
            found=", ".join(found.unheld) + (f", and {more:,} more" if more else ""),
            next_step="see `s3plan doctor --probe`; raise cutover.largestPut, leave them out, or"
            " accept with cutover.window: accept that what is written at the moment of a swap is"
            " lost",
        )


def _spec(manifest: Manifest) -> LayoutSpec:
    assert isinstance(manifest.document, LayoutDocument)
    return manifest.document.spec
