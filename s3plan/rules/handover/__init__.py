"""Worklists in the formats of other programs, and what these programs tell of their work. Pure.

No format says everything that a plan says. What one cannot say exactly is refused, item by item,
with the reason: it stays with s3plan.
"""

from __future__ import annotations
