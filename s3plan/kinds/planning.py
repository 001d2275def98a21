"""All manifests of a plan together: who claims what, and the steps of every one in order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from s3plan.errors import PlanningError, ProblemsError, S3PlanError
from s3plan.kinds.kind import Observed, Scope
from s3plan.kinds.loading import Loaded
from s3plan.kinds.registry import kind_named
from s3plan.plan import StepDraft
from s3plan.rules.naming import fold


def scopes(loaded: Loaded) -> tuple[Scope, ...]:
    """What must be looked at, manifest by manifest."""
    return tuple(kind_named(manifest.kind).scope(manifest) for manifest in loaded.manifests)


def parallel_buckets(loaded: Loaded) -> int:
    """How many buckets every manifest that has a say allows to be worked on side by side."""
    said = [scope.parallel for scope in scopes(loaded) if scope.parallel is not None]
    return min(said, default=1)


def plan_all(loaded: Loaded, observed: Observed) -> list[StepDraft]:
    """Every difference as steps, their worklists in the ``items`` table; none: no changes.

    Raises ProblemsError with everything that keeps any manifest from being planned.
    """
    problems: list[S3PlanError] = [
        *_claimed_twice(loaded, observed),
        *_shared_directories(loaded, observed),
    ]
    drafts: list[StepDraft] = []
    for manifest in loaded.manifests:
        try:
            drafts += kind_named(manifest.kind).plan(manifest, observed)
        except ProblemsError as error:
            problems += error.problems
    if problems:
        raise ProblemsError(
            "this cannot be planned",
            problems,
            next_step="nothing was changed; settle these and plan again",
        )
    return drafts


def _claimed_twice(loaded: Loaded, observed: Observed) -> list[PlanningError]:
    """A bucket belongs to one manifest of a kind: two would take turns undoing each other.

    Its objects belong to one manifest of any kind: what one moves, the other has planned for.
    """
    problems = []
    owners: dict[tuple[str, str], str] = {}
    for manifest, scope in zip(loaded.manifests, scopes(loaded), strict=True):
        name = f"{manifest.kind} {manifest.name}"
        claims = (manifest.kind, "objects") if scope.listing else (manifest.kind,)
        for bucket in scope.buckets({*observed.facts, *scope.literals}):
            # Two of one kind are told once, not as owners of the objects again.
            others = {owners.setdefault((claim, bucket), name) for claim in claims} - {name}
            if others:
                problems.append(
                    PlanningError(
                        f"two manifests claim the bucket {bucket}",
                        address=manifest.address,
                        found=f"{' and '.join(sorted(others))} and {name}",
                        next_step="leave it out of one of them with buckets.exclude, or plan and"
                        " apply one after the other",
                    )
                )
    return problems


def _shared_directories(loaded: Loaded, observed: Observed) -> Iterator[PlanningError]:
    """Buckets must not write into each other's directories, whichever manifests name them."""
    directories: dict[tuple[str, str], Scope] = {}
    for scope in scopes(loaded):
        if scope.destination is None:
            continue
        catalogued = observed.catalogues.get(scope.destination, {})
        for bucket in scope.buckets({*observed.facts, *catalogued, *scope.literals}):
            path = fold(f"{scope.destination}/{scope.root(bucket)}").rstrip("/") + "/"
            directories[path, bucket] = scope
    # Sorted, everything below a directory comes right after it.
    for ((outer, one), _), ((inner, other), scope) in pairwise(
        sorted(directories.items(), key=lambda entry: entry[0])
    ):
        if inner.startswith(outer) and one != other:
            yield PlanningError(
                f"the buckets {one} and {other} would share a directory",
                address=scope.destination,
                expected="a directory of its own for every bucket",
                found=f"layout {scope.layout}",
                next_step="put {bucket}/ into destination.layout, or use another destination.path",
            )
