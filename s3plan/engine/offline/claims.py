"""Whose files a destination holds: what a verification is about, and what else may stand there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct

from s3plan.errors import CatalogueError, DestinationError, UsageError
from s3plan.inventory.selection import matches_any
from s3plan.localfs.catalogue import PLACE, list_catalogues
from s3plan.localfs.tree import Tree
from s3plan.model.steps import Verify
from s3plan.plan.reading import PlanFile
from s3plan.rules.systemfiles import SYSTEM_FILES


class Claim(Struct, frozen=True):
    """One bucket's part of a destination.

    ``root`` is its directory below the destination; None where its files tell by their paths.
    ``ignore`` are names that do not count as extra; with ``superset`` nothing does.
    """

    destination: str
    bucket: str
    root: str | None = None
    inventory: Literal["exact", "superset"] = "exact"
    ignore: tuple[str, ...] = SYSTEM_FILES


def claims_in(destination: Path) -> tuple[Claim, ...]:
    """A claim for every bucket that has a catalogue in ``destination``.

    Raises DestinationError where there is none: nothing tells then what should be there.
    """
    with Tree.open(destination, create=False) as tree:
        buckets = list_catalogues(tree)
    if not buckets:
        above = next((p for p in destination.absolute().parents if (p / PLACE).is_dir()), None)
        raise DestinationError(
            "there is no catalogue here, so nothing says what the files should be",
            address=str(destination),
            expected=f"catalogues in {PLACE}/",
            next_step=f"name the destination it is in: {above}"
            if above
            else "name the destination.path that the buckets were evacuated to",
        )
    return tuple(Claim(str(destination.absolute()), bucket) for bucket in buckets)


def claims_of(plan: PlanFile) -> tuple[Claim, ...]:
    """A claim for every bucket that a verify step of the plan is about.

    Raises CatalogueError where the plan verifies nothing.
    """
    found = tuple(
        Claim(
            step.action.destination,
            step.subject,
            step.action.root,
            step.action.inventory,
            step.action.ignore,
        )
        for step in plan.steps
        if isinstance(step.action, Verify)
    )
    if not found:
        raise CatalogueError(
            "the run has no step that verifies files, so it left no tree to read again",
            address=str(plan.path),
            next_step="name the destination: s3plan verify DIRECTORY",
        )
    return found


def narrowed(
    claims: Sequence[Claim], only: Sequence[str], exclude: Sequence[str]
) -> tuple[Claim, ...]:
    """Those whose bucket one of ``only`` matches, if any is given, and none of ``exclude``.

    Raises UsageError where none is left.
    """
    left = tuple(
        claim
        for claim in claims
        if (not only or matches_any(only, claim.bucket)) and not matches_any(exclude, claim.bucket)
    )
    if not left:
        raise UsageError(
            "no bucket is left to verify",
            expected="one of " + ", ".join(claim.bucket for claim in claims)
            if claims
            else "a manifest that evacuates buckets to a destination",
            next_step="name other buckets with --only and --exclude",
        )
    return left


def no_catalogue(claim: Claim) -> CatalogueError:
    """The bucket of a claim was never evacuated to its destination, or its catalogue is lost."""
    return CatalogueError(
        f"the destination has no catalogue of {claim.bucket}, so nothing says what its files are",
        address=claim.destination,
        expected=f"a catalogue in {PLACE}/",
        next_step="mount the right disk; if the catalogue is lost, `s3plan plan` and `s3plan apply`"
        " adopt the files whose content is that of the objects",
    )
