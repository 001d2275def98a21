"""``kind: SessionArchive``: imaging sessions, or other sets of files, each as one archive in S3."""

from s3plan.kinds.sessions.planner import Sessions

KIND = Sessions()

__all__ = ["KIND"]
