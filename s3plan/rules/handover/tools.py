"""The programs that steps may be given to. Nothing else is here, so that --help is quick."""

from __future__ import annotations

from typing import Final, Literal, get_args

Tool = Literal["s3-batch", "rclone", "s5cmd"]
"""S3 Batch Operations, which is AWS's own service; rclone and s5cmd, which run anywhere."""

TOOLS: Final[tuple[Tool, ...]] = get_args(Tool)
