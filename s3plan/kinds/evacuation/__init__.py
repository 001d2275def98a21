"""``kind: BucketEvacuation``: buckets copied to a local disk, verified, then deleted if asked."""

from s3plan.kinds.evacuation.planner import Evacuation

KIND = Evacuation()

__all__ = ["KIND"]
