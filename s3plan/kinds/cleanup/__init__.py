"""``kind: LayoutCleanup``: what changes of layout left beside objects, removed for good."""

from s3plan.kinds.cleanup.planner import Cleanup

KIND = Cleanup()

__all__ = ["KIND"]
