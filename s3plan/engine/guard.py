"""What must still hold whenever something is about to be written: locks, lease, journal, place.

Locks are taken once, and a run lasts for days: somebody may break a lock, archive the run's folder
or pull out the disk meanwhile. Asked before every intent; a few system calls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from s3plan.engine.journal import JournalWriter
from s3plan.engine.lease import Leases
from s3plan.errors import LockLostError
from s3plan.localfs.locks import Lock


class Leave(Protocol):
    """Whether this process may write."""

    def check(self) -> None:
        """Raise LockLostError unless it may."""

    def seconds_left(self) -> float:
        """How long it may at least, as far as is known; infinite where nothing ends it."""


class Guard:
    """The leave of the process that has the run: for one session."""

    def __init__(
        self, locks: Sequence[Lock], leases: Leases | None, journal: JournalWriter
    ) -> None:
        """``leases`` is None where the connection names no scratch."""
        self._locks = locks
        self._leases = leases
        self._journal = journal

    def check(self) -> None:
        """Raise LockLostError unless this run may still write."""
        for lock in self._locks:
            if not lock.is_held():
                raise LockLostError(
                    "a lock of this run was broken, or its directory moved",
                    address=lock.path,
                    expected="the file that this run locked",
                    found="another file, or none",
                    next_step="`s3plan lock status` tells who has it now",
                )
        if not self._journal.is_ours():
            raise LockLostError(
                "the run's journal was moved, or another process wrote to it",
                expected="the journal as this run left it",
                found="another file, or a longer one",
                next_step="`s3plan runs list` shows the runs of this directory",
            )
        if self._leases is not None:
            self._leases.check()

    def seconds_left(self) -> float:
        """How long the leases are trusted, where there are any."""
        return math.inf if self._leases is None else self._leases.seconds_left()
