"""All cases, in the order of the page."""

from __future__ import annotations

from benchmarks import (
    archives,
    copies,
    deletes,
    downloads,
    listing,
    planning,
    resuming,
    starting,
    uploads,
)

CASES = (
    *starting.CASES,
    *listing.CASES,
    *planning.CASES,
    *downloads.CASES,
    *copies.CASES,
    *uploads.CASES,
    *archives.CASES,
    *deletes.CASES,
    *resuming.CASES,
)
