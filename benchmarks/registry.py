"""All cases, in the order of the page."""

from __future__ import annotations

from benchmarks import archives, copies, downloads, listing, planning

CASES = (
    *listing.CASES,
    *planning.CASES,
    *downloads.CASES,
    *copies.CASES,
    *archives.CASES,
)
