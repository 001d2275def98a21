"""Approvals of whole plans, given by people elsewhere than at the prompt."""

from __future__ import annotations

from msgspec import Struct


class PlanApproval(Struct, frozen=True):
    """Somebody approved the plan of that digest (``sha256:`` and 64 hex digits) at that time."""

    name: str
    digest: str
    time: str
    note: str = ""
