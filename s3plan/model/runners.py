"""Who sends the requests of a step: this process, or something larger that it hands the work to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

RunnerName = Literal["local", "dask", "s3-batch"]
"""``local`` is this process, ``dask`` are the workers of a Dask cluster, ``s3-batch`` is S3 Batch
Operations, AWS's own service.
"""

RUNNERS: Final[tuple[RunnerName, ...]] = get_args(RunnerName)
"""The name of every runner."""


SCHEDULER: Final = r"^(local:[1-9][0-9]{0,2}|(tcp|tls)://[^\s/]+:[0-9]+)$"
"""What a scheduler is named by."""


@dataclass(frozen=True, slots=True)
class DaskSettings:
    """Which cluster, and how it is used.

    ``scheduler`` is its address (``tcp://host:8786``), or ``local:N`` for N processes on this host
    that live as long as the run. ``workers`` is how many are waited for before the first step;
    None waits for one. ``partition`` is how many items one task is for at the most. For ``trust``
    seconds a worker goes on without a word from this process; no request that writes lasts longer.
    """

    scheduler: str = "local:2"
    workers: int | None = None
    partition: int = 10_000
    trust: float = 60.0


@dataclass(frozen=True, slots=True)
class RunnerChoice:
    """Which runner the steps of each verb go to, as far as it carries them; ``every`` is for verbs
    that ``by_verb`` does not name. No part of a plan, nor of its digest.
    """

    every: RunnerName = "local"
    by_verb: Mapping[str, RunnerName] = field(default_factory=dict)
    dask: DaskSettings = field(default_factory=DaskSettings)

    def of(self, verb: str) -> RunnerName:
        """The runner for a verb."""
        return self.by_verb.get(verb, self.every)

    @property
    def outlives(self) -> float:
        """Seconds that requests may still be sent for a session whose process is gone."""
        return self.dask.trust if "dask" in {self.every, *self.by_verb.values()} else 0.0


ALL_HERE: Final = RunnerChoice()
"""This process sends everything."""
