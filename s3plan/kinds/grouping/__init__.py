"""``kind: ObjectGrouping``: objects copied to new keys by type, verified, the old ones kept."""

from s3plan.kinds.grouping.planner import Grouping

KIND = Grouping()

__all__ = ["KIND"]
