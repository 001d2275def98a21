"""What a plan may do at most, as manifests and the project file say."""

from __future__ import annotations

from msgspec import Struct


class Limits(Struct, frozen=True, omit_defaults=True):
    """Ceilings over a whole plan. None is no ceiling; ``source`` is the file that says so.

    ``max_deletes`` and ``max_delete_bytes`` count objects that are deleted from S3,
    ``max_delete_percent`` those of each bucket, of all that it holds. ``max_cost`` is US dollars,
    once, compared with the upper bound of the estimate. ``protected`` are buckets (``photos-*``),
    in which nothing is changed or removed, or prefixes in them (``photos/originals/``), below which
    no object is deleted. ``accounts``, where there are any, are the only ones to work in.
    """

    source: str
    max_deletes: int | None = None
    max_delete_bytes: int | None = None
    max_delete_percent: float | None = None
    max_cost: float | None = None
    protected: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
