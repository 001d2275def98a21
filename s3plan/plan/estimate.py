"""How long a step may take: rough rates, all in one place, so that a plan can say hours or minutes.

The rates are what one ordinary machine gets from an endpoint that is near: 1,500 small requests
and 100 MB a second (a gigabit line is full at 117). They are shown, never acted upon.
"""

from __future__ import annotations

import math

from s3plan.model.connection import Limits
from s3plan.model.steps import Totals

OBJECTS_PER_SECOND = 1_500
"""Requests for one object each (GET, PUT) that end in a second."""

BYTES_PER_SECOND = 100e6
"""Bytes of bodies in a second, down or up."""

DISK_BYTES_PER_SECOND = 200e6
"""Bytes read back from a disk and hashed in a second."""

BATCHED_OBJECTS_PER_SECOND = 10_000
"""Objects listed or deleted in a second, 1,000 a request."""


def download_seconds(totals: Totals, limits: Limits) -> float:
    """Seconds to download objects within a connection's limits, a request each."""
    requests = min(OBJECTS_PER_SECOND, limits.requests or math.inf)
    volume = min(BYTES_PER_SECOND, limits.bandwidth or math.inf)
    return round(totals.items / requests + totals.bytes / volume, 1)


def transfer_seconds(totals: Totals) -> float:
    """Seconds to move objects one request each, and their bytes."""
    return round(totals.items / OBJECTS_PER_SECOND + totals.bytes / BYTES_PER_SECOND, 1)


def verify_seconds(totals: Totals, *, read_back: bool) -> float:
    """Seconds to list the objects again and, with ``read_back``, to read every file."""
    reading = totals.bytes / DISK_BYTES_PER_SECOND if read_back else 0.0
    return round(totals.items / BATCHED_OBJECTS_PER_SECOND + reading, 1)


def delete_seconds(totals: Totals) -> float:
    """Seconds to look at every object again and delete it, in batches."""
    return round(2 * totals.items / BATCHED_OBJECTS_PER_SECOND, 1)
