"""``kind: BucketAccess``: who may use buckets, as desired state."""

from s3plan.kinds.access.planner import Access

KIND = Access()

__all__ = ["KIND"]
