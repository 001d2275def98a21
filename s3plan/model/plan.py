"""The records of a plan file: header, steps, items or the parts they stand in, asked, end.

``s3plan.plan/1`` is one file. In ``s3plan.plan/2`` large worklists stand in Parquet files beside
it, each a ``part`` record; it is written only where there is such a worklist, so that older readers
refuse what they could not read whole, and read everything else.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from s3plan.model.commands import CommandRef
from s3plan.model.connection import Connection
from s3plan.model.cost import PlanCost
from s3plan.model.limits import Limits
from s3plan.model.objects import Count
from s3plan.model.steps import Item, Step, Totals
from s3plan.model.worklist import Asked

PLAN_FORMAT = "s3plan.plan/1"

PARTED_FORMAT = "s3plan.plan/2"
"""A plan with worklists in files beside it."""

Stage = Literal["catalog", "copies", "backup", "sources"]
"""What of a grouping can be taken back alone: the table of URLs, the copies, their backup, or the
deletion of the sources."""


class Target(Struct, frozen=True):
    """Which S3 a plan is for. ``account`` is None where the endpoint has no way to tell."""

    endpoint: str
    region: str
    account: str | None = None


class ManifestRef(Struct, frozen=True):
    """Where a plan came from. ``sha256`` is of the file's bytes."""

    path: str
    kind: str
    name: str
    sha256: str


class PlanHeader(Struct, frozen=True, tag_field="type", tag="header"):
    """First line of a plan file. Only ``target``, ``limits`` and ``notify`` are covered by
    the digest.

    ``host`` made the plan; a plan with a local destination is applied there. ``rollback_of`` is
    the id of the run a rollback plan takes back. ``cost`` is an estimate, left out where prices are
    not known. ``parallel_buckets`` is how many buckets may be worked on side by side, left out
    where it is one. ``limits`` are those of the manifests. ``held`` is, by bucket, everything that
    was listed when the plan was made, whether the plan is about it or not. ``notify`` are commands
    of the project file that are told how a run ended. ``status_every`` is in seconds, how often it
    is noted how a run stands. ``only`` is the stage that a rollback plan
    takes back, left out where it is the whole run. ``shared`` are destinations that the manifests
    say are the same directory on the workers of a cluster.
    """

    format: str
    tool: str
    created: str
    host: str
    target: Target
    connection: Connection
    manifests: tuple[ManifestRef, ...] = ()
    totals: Totals = Totals()
    notes: tuple[str, ...] = ()
    rollback_of: str | None = None
    cost: PlanCost | UnsetType = UNSET
    parallel_buckets: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    limits: tuple[Limits, ...] | UnsetType = UNSET
    held: dict[str, Totals] | UnsetType = UNSET
    notify: tuple[CommandRef, ...] | UnsetType = UNSET
    status_every: float | UnsetType = UNSET
    only: Stage | UnsetType = UNSET
    shared: tuple[str, ...] | UnsetType = UNSET

    @property
    def stage(self) -> Stage | None:
        """The stage of a run that a rollback plan takes back; None is the whole."""
        return None if isinstance(self.only, UnsetType) else self.only

    @property
    def known_cost(self) -> PlanCost | None:
        """The estimate; None where prices are not known."""
        return None if isinstance(self.cost, UnsetType) else self.cost

    @property
    def own_limits(self) -> tuple[Limits, ...]:
        """The limits that the plan carries."""
        return () if isinstance(self.limits, UnsetType) else self.limits

    @property
    def status_interval(self) -> float | None:
        """Seconds after which it is noted again how the run stands; None where it is not."""
        return None if isinstance(self.status_every, UnsetType) else self.status_every

    @property
    def notified(self) -> tuple[CommandRef, ...]:
        """The commands that are told how a run ended."""
        return () if isinstance(self.notify, UnsetType) else self.notify

    @property
    def shared_destinations(self) -> tuple[str, ...]:
        """Destinations that workers are said to have, too."""
        return () if isinstance(self.shared, UnsetType) else self.shared

    def held_in(self, bucket: str) -> Totals | None:
        """What a bucket held when the plan was made; None where that was not noted."""
        return None if isinstance(self.held, UnsetType) else self.held.get(bucket)

    @property
    def side_by_side(self) -> int:
        """How many buckets may be worked on at once."""
        return 1 if isinstance(self.parallel_buckets, UnsetType) else self.parallel_buckets


class PlanPart(Struct, frozen=True, tag_field="type", tag="part"):
    """Items of a step from ``first`` on, which stand in a Parquet file beside the plan.

    ``digest`` is of the items (:mod:`s3plan.plan.columns`), whatever wrote the file, and the plan's
    digest covers it. ``file`` is the SHA-256 of the file's bytes in hex, of which there are
    ``size``: that finds damage without reading an item.
    """

    step: str
    first: Count
    items: Annotated[int, Meta(ge=1)]
    digest: str
    file: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    size: Count


class PlanEnd(Struct, frozen=True, tag_field="type", tag="end"):
    """Last line: the count of all lines, this one included, and the digest ``sha256:<hex>``."""

    lines: int
    digest: str


PlanRecord = PlanHeader | Step | Item | PlanPart | Asked | PlanEnd
