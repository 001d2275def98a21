"""What ``s3plan doctor`` found: is everything here that a run will need."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from s3plan.model.capabilities import Capabilities

Health = Literal["ok", "warning", "problem"]
"""``warning``: a run works, with less safety; ``problem``: a run would fail."""


class Finding(Struct, frozen=True):
    """One thing that was looked at. ``next_step`` is what a person can do about it."""

    subject: str
    health: Health
    what: str
    next_step: str | None = None


class Diagnosis(Struct, frozen=True):
    """All findings, and what is known of the endpoint's capabilities, now or from before."""

    findings: tuple[Finding, ...]
    capabilities: Capabilities

    @property
    def healthy(self) -> bool:
        """Whether no finding is a problem."""
        return all(finding.health != "problem" for finding in self.findings)
