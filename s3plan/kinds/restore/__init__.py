"""``kind: ArchiveRestore``: archives in S3, or files of them, back on a disk."""

from s3plan.kinds.restore.planner import ArchiveRestore

KIND = ArchiveRestore()

__all__ = ["KIND"]
