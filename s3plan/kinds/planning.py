"""All manifests of a plan together: who claims what, and the steps of every one in order."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import get_args

from s3plan.errors import ManifestError, PlanningError, ProblemsError, S3PlanError
from s3plan.kinds.commands import missing_commands
from s3plan.kinds.kind import Observed, Rendered, Renders, Scope
from s3plan.kinds.loading import Loaded
from s3plan.kinds.registry import kind_named
from s3plan.model.buckets import DocumentName
from s3plan.model.steps import Verify
from s3plan.plan import StepDraft
from s3plan.rules.naming import fold
from s3plan.rules.permissions import (
    Permission,
    Phase,
    jobs,
    looking,
    looking_at_versions,
    looking_for_obstructions,
    permissions_of,
    scratch,
    undone_by,
)


def scopes(loaded: Loaded) -> tuple[Scope, ...]:
    """What must be looked at, manifest by manifest."""
    return tuple(kind_named(manifest.kind).scope(manifest) for manifest in loaded.manifests)


def parallel_buckets(loaded: Loaded) -> int:
    """How many buckets every manifest that has a say allows to be worked on side by side."""
    said = [scope.parallel for scope in scopes(loaded) if scope.parallel is not None]
    return min(said, default=1)


def shared_destinations(loaded: Loaded) -> tuple[str, ...]:
    """The destinations that the workers of a cluster are said to have, too."""
    found = scopes(loaded)
    return tuple(sorted({one.destination for one in found if one.shared and one.destination}))


def plan_all(loaded: Loaded, observed: Observed) -> list[StepDraft]:
    """Every difference as steps, their worklists in the ``items`` table; none: no changes.

    Raises ProblemsError with everything that keeps any manifest from being planned.
    """
    problems: list[S3PlanError] = [
        *_claimed_twice(loaded, observed),
        *_shared_directories(loaded, observed),
        *_shared_libraries(loaded),
    ]
    missing = list(missing_commands(loaded.manifests, observed.commands))
    if missing:
        raise ProblemsError("this cannot be planned", [*problems, *missing])
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


def render_all(loaded: Loaded, observed: Observed) -> list[Rendered]:
    """Every document that the manifests mean, as the buckets shall have it.

    Raises ProblemsError with everything that cannot be rendered.
    """
    problems: list[S3PlanError] = []
    rendered: list[Rendered] = []
    for manifest in loaded.manifests:
        kind = kind_named(manifest.kind)
        if not isinstance(kind, Renders):
            continue
        try:
            rendered += kind.render(manifest, observed)
        except ProblemsError as error:
            problems += error.problems
        except (ManifestError, PlanningError) as error:
            problems.append(error)
    if problems:
        raise ProblemsError("this cannot be rendered", problems)
    return rendered


def permissions(loaded: Loaded, phases: Collection[Phase]) -> tuple[Permission, ...]:
    """What IAM must allow whoever plans, applies and rolls back these manifests; in order."""
    found: set[Permission] = set()
    for manifest in loaded.manifests:
        kind = kind_named(manifest.kind)
        scope = kind.scope(manifest)
        uses = tuple(kind.uses(manifest))
        if "plan" in phases:
            by_versions = any(isinstance(a, Verify) and a.versions for _, a in uses)
            found |= set(_looking(scope, by_versions=by_versions))
        if "apply" in phases:
            found |= {one for bucket, action in uses for one in permissions_of(bucket, action)}
        if "rollback" in phases:
            found |= {
                one
                for bucket, action in uses
                for undo in undone_by(action)
                for one in permissions_of(bucket, undo)
            }
    place = loaded.connection.scratch
    if place is not None and set(phases) & {"apply", "rollback"}:
        found |= set(scratch(place.removeprefix("s3://").partition("/")[0]))
        if loaded.connection.batch is not None:
            found |= set(jobs())
    return tuple(sorted(found))


def _looking(scope: Scope, *, by_versions: bool) -> Iterator[Permission]:
    if scope.has_globs:
        yield Permission("", "account", "s3:ListAllMyBuckets")
    if scope.caller:
        yield Permission("", "role", "iam:GetRole")
    named = get_args(DocumentName) if scope.documents is None else scope.documents
    documents = {*named, "request-payment", "versioning"}
    for bucket in scope.include:
        asks = scope.inquiry.about if scope.inquiry is not None else ()
        tags = scope.tag_sample > 0 or "tags" in asks or "tagged-forms" in asks
        reads = scope.bodies or bool(asks) or scope.library is not None
        bodies = scope.listing and reads
        yield from looking(bucket, documents, bodies=bodies, tags=tags)
        if scope.deletes:
            yield from looking_for_obstructions(bucket)
        if by_versions:
            yield from looking_at_versions(bucket)
    for report in scope.reports:
        yield Permission(report.removeprefix("s3://").partition("/")[0], "object", "s3:GetObject")


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


def _shared_libraries(loaded: Loaded) -> Iterator[PlanningError]:
    """The files of a library are looked at once, and are sessions in one way."""
    owners: dict[str, str] = {}
    for manifest, scope in zip(loaded.manifests, scopes(loaded), strict=True):
        if scope.library is None:
            continue
        name = f"{manifest.kind} {manifest.name}"
        other = owners.setdefault(scope.library.path, name)
        if other != name:
            yield PlanningError(
                "two manifests archive the same library",
                address=manifest.address,
                found=f"{other} and {name}: {scope.library.path}",
                next_step="plan and apply one after the other; replica: names a second bucket",
            )


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
