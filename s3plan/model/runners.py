"""Who sends the requests of a step: this process, or something larger that it hands the work to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

RunnerName = Literal["local", "s3-batch"]
"""``local`` is this process; ``s3-batch`` is S3 Batch Operations, AWS's own service."""

RUNNERS: Final[tuple[RunnerName, ...]] = get_args(RunnerName)
"""The name of every runner."""


@dataclass(frozen=True, slots=True)
class RunnerChoice:
    """Which runner the steps of each verb go to, as far as it carries them; ``every`` is for verbs
    that ``by_verb`` does not name. No part of a plan, nor of its digest.
    """

    every: RunnerName = "local"
    by_verb: Mapping[str, RunnerName] = field(default_factory=dict)

    def of(self, verb: str) -> RunnerName:
        """The runner for a verb."""
        return self.by_verb.get(verb, self.every)
