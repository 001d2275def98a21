"""Finished runs watched and signed for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from s3plan.api.places import around_here, ignore
from s3plan.model.soak import MonitorResult, NoteKind


def monitor(
    journal: Path,
    *,
    by: str,
    full: bool = False,
    notes: Sequence[tuple[NoteKind, str]] = (),
) -> MonitorResult:
    """Run the check that is due of the copies of a finished run, and record it beside its journal.

    ``notes`` are written down first; ``by`` is who runs it. With ``full`` everything is checked
    now, due or not. Only reads in S3. Raises JournalError where there is no journal, StaleError
    where the run is not finished, was taken back or copied nothing, LockedError while a process
    works on it, and a StoreError where S3 cannot be read: then nothing was checked.
    """
    from s3plan.engine.soak import monitoring

    around = around_here(ignore, None)
    return asyncio.run(monitoring.monitor(journal, around, by=by, full=full, notes=notes))


def sign_off(journal: Path, *, by: str, name: str, role: str, note: str = "") -> MonitorResult:
    """Record that ``name`` signs for a finished run.

    Raises JournalError, StaleError and LockedError as :func:`monitor` does.
    """
    from s3plan.engine.soak import monitoring

    around = around_here(ignore, None)
    return monitoring.sign_off(journal, around, by=by, name=name, role=role, note=note)
