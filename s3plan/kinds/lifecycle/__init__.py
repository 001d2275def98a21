"""``kind: BucketLifecycle``: which objects move to cheaper classes, or go, and when."""

from s3plan.kinds.lifecycle.planner import Lifecycle

KIND = Lifecycle()

__all__ = ["KIND"]
