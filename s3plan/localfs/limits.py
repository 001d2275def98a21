"""What the system lets this process have open, asked before work starts.

Running out of descriptors in the middle is survived; but any library may then fail in its own way,
so that it is better told before.
"""

from __future__ import annotations

import contextlib
import resource

from s3plan.errors import S3PlanError

_BASE = 48
"""Descriptors besides connections: journal, catalogues, temporary files, tables, libraries."""


def ensure_descriptors(connections: int) -> None:
    """Raise the limit of open files as far as it is needed and allowed (getrlimit(2)).

    Raises S3PlanError where the hard limit is lower than that.
    """
    needed = _BASE + connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    most = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    if soft < needed:
        raise S3PlanError(
            "this process may not open enough files",
            expected=f"a limit of at least {needed} with {connections} connections",
            found=f"{soft}",
            next_step=f"raise it (ulimit -n {needed}), or lower limits.connections in the "
            "Connection and plan again",
        )
