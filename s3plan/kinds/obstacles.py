"""Problems that kinds share: what a query finds, named and counted, and what a bucket forbids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from s3plan.errors import PlanningError, ProblemsError, S3PlanError
from s3plan.kinds.kind import Manifest
from s3plan.model.buckets import BucketFacts
from s3plan.model.connection import Connection
from s3plan.model.local import CatalogueHeader
from s3plan.model.plan import Target
from s3plan.rules.classes import is_directory_bucket

NAMED = 10
"""Keys that one problem names; it counts all."""


def found(
    rows: Iterable[tuple[Any, ...]], *, what: str, address: str, expected: str, next_step: str
) -> Iterator[PlanningError]:
    """A problem if there are rows; it names the first and counts all. A row is one name."""
    names: list[str] = []
    count = 0
    for (name,) in rows:
        count += 1
        if len(names) < NAMED:
            names.append(name)
    if count:
        more = f", and {count - len(names):,} more" if count > len(names) else ""
        yield PlanningError(
            f"{count:,} {what}",
            address=address,
            expected=expected,
            found=", ".join(names) + more,
            next_step=next_step,
        )


def no_such_bucket(name: str) -> PlanningError:
    """A bucket that is named and not there."""
    return PlanningError(
        "there is no such bucket",
        address=f"s3://{name}",
        next_step="check its name, the region and the credentials",
    )


def unusable(
    name: str, facts: BucketFacts | None, connection: Connection
) -> Iterator[PlanningError]:
    """What keeps a bucket that another could take the place of from being used at all."""
    if facts is None:
        yield no_such_bucket(name)
    else:
        yield from unserved(facts, connection, otherwise="name another bucket")


def refuse(manifest: Manifest, problems: Sequence[S3PlanError]) -> None:
    """Raise ProblemsError with all of them, if there are any."""
    if problems:
        raise ProblemsError(
            f"{manifest.kind} {manifest.name} cannot be planned",
            problems,
            next_step="nothing was changed; settle these and plan again",
        )


def unserved(
    facts: BucketFacts, connection: Connection, *, otherwise: str
) -> Iterator[PlanningError]:
    """What keeps s3plan from a bucket altogether; ``otherwise`` is what else to do about it."""
    address = f"s3://{facts.name}"
    if is_directory_bucket(facts.name):
        yield PlanningError(
            "directory buckets are not served",
            address=address,
            expected="a general purpose bucket",
            next_step=otherwise,
        )
    if facts.requester_pays and not connection.requester_pays:
        yield PlanningError(
            "the bucket charges whoever asks",
            address=address,
            expected="requesterPays: true in the Connection, to accept the charges",
            found="a requester-pays bucket",
            next_step=f"set it, or {otherwise}",
        )


def sealed(bucket: str, keys: tuple[str, ...], *, next_step: str) -> Iterator[PlanningError]:
    """Objects that nobody but the holder of their key can read."""
    if keys:
        yield PlanningError(
            "objects are encrypted with keys of the customer's own (SSE-C), which s3plan never has",
            address=f"s3://{bucket}",
            expected="objects that the credentials alone can read",
            found=", ".join(keys[:NAMED]),
            next_step=next_step,
        )


def catalogue_obstacles(
    header: CatalogueHeader, target: Target, destination: str
) -> Iterator[PlanningError]:
    """The catalogue must be of this bucket, not of one of the same name elsewhere."""
    found = (header.endpoint, header.account)
    expected = (target.endpoint, target.account)
    if found != expected:
        yield PlanningError(
            "the destination holds a bucket of the same name from another S3",
            address=destination,
            expected=identity_text(expected),
            found=f"{identity_text(found)} in the catalogue of {header.bucket}",
            next_step="use another destination.path, or the connection it was made with",
        )


def identity_text(identity: tuple[str, str | None]) -> str:
    """An endpoint and the account there, where one is known."""
    endpoint, account = identity
    return f"{endpoint}, account {account}" if account else endpoint
