"""How a run stands, from time to time: a line each in a file of its folder, so that anybody can see
later how it went. The file is written anew as a whole; what earlier sessions wrote stays.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec

from s3plan.engine.report import status_of
from s3plan.engine.runs import Run
from s3plan.engine.state import RunState
from s3plan.model.status import RunStatus, StatusReport
from s3plan.plan.reading import PlanFile
from s3plan.rules.characters import harmless_json
from s3plan.rules.effects import effect_of

_encoder = msgspec.json.Encoder()


class StatusLines:
    """The lines of one run, those of earlier sessions first."""

    def __init__(
        self, run: Run, plan: PlanFile, state: RunState, journal: Path, now: Callable[[], str]
    ) -> None:
        """Reads what is there; the first line that is not whole, and all after it, are dropped."""
        self._run, self._plan, self._state, self._journal = run, plan, state, journal
        self._now = now
        self._lines: list[bytes] = []
        try:
            earlier = run.statuses(journal).read_bytes()
        except OSError:
            return  # none yet; where it cannot be written either, that is told then
        for line in earlier.splitlines(keepends=True):
            if not line.endswith(b"}\n"):
                break
            self._lines.append(line)

    def write(self, file: BinaryIO) -> None:
        """Write all lines, and one of how the run stands now."""
        status = status_of(self._run, self._plan, self._state, self._journal)
        done, items = self._progress(status)
        percent = round(100 * done / items, 1) if items else 100.0
        report = StatusReport(self._now(), percent, done, items, status)
        # People follow such files on terminals.
        self._lines.append(harmless_json(_encoder.encode(report)) + b"\n")
        file.writelines(self._lines)

    def _progress(self, status: RunStatus) -> tuple[int, int]:
        """Items that are done and all items, of steps that do something."""
        things = {
            step.id: step.things for step in self._plan.steps if effect_of(step.action) != "reads"
        }
        steps = [step for bucket in status.buckets for step in bucket.steps if step.id in things]
        return sum(step.counts.done for step in steps), sum(things.values())
