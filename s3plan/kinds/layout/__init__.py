"""``kind: ObjectLayout``: objects moved to a new storage layout, cut over by compare-and-swap."""

from s3plan.kinds.layout.planner import Layout

KIND = Layout()

__all__ = ["KIND"]
