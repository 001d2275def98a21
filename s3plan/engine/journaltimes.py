"""Where the time of a journal's writer goes: what its share of a run is measured by."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter


@dataclass(slots=True)
class JournalTimes:
    """Where a writer's time went, in seconds, since ``began``; ``--debug`` tells it at the end.

    ``encoding`` is on the loop; ``writing`` and ``syncing`` are on the writer's thread, beside it;
    ``waiting`` is while anything waited for a record to be durable, counted once however many.
    """

    began: float
    records: int = 0
    encoding: float = 0.0
    writing: float = 0.0
    syncing: float = 0.0
    waiting: float = 0.0

    def told(self) -> str:
        """One line of it."""
        return (
            f"records={self.records} open={perf_counter() - self.began:.3f}s"
            f" encoding={self.encoding:.3f}s writing={self.writing:.3f}s"
            f" syncing={self.syncing:.3f}s waiting={self.waiting:.3f}s"
        )
