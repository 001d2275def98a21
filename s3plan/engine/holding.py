"""What a session takes hold of before it writes anything: locks, destinations, leases."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from s3plan.engine import lease, runs
from s3plan.engine.destination import check_marker
from s3plan.engine.lease import Leases
from s3plan.engine.runs import Run, timestamp
from s3plan.engine.state import RunState
from s3plan.engine.surroundings import Surroundings
from s3plan.localfs.locks import Holder, Lock, hold, hold_in
from s3plan.localfs.marker import FORMAT as MARKER_FORMAT
from s3plan.localfs.marker import KnownDestinations, Marker, make_marker, read_marker
from s3plan.localfs.tree import Tree
from s3plan.model.events import Warned
from s3plan.model.steps import (
    Archive,
    Copy,
    Delete,
    DeleteBucket,
    DeleteSource,
    Download,
    Extract,
    RemoveArchive,
    RemoveCopy,
    RemoveExtracted,
    Verify,
    VerifyCopies,
)
from s3plan.plan.reading import PlanFile
from s3plan.store import Store

LOCK = f"{runs.STATE_DIRECTORY}/lock"
"""The lock in a destination."""

LINGER = 5.0
"""Seconds after the last record of a process that was killed in which nobody relies on what S3
shows: a server that is busy may not have come to a deletion yet that it has, and does it after we
looked. S3 names no bound; this is beyond what was seen of servers that are starved.
"""


def holder_for(
    around: Surroundings, journal: Path, what: str = "", outlives: float = 0.0
) -> Holder:
    return Holder(
        host=socket.gethostname(),
        pid=os.getpid(),
        since=timestamp(around.clock()),
        journal=str(journal.absolute()),
        what=what,
        outlives=outlives,
    )


@dataclass(frozen=True, slots=True)
class Held:
    """What a session holds: ``destinations`` are marker ids by path."""

    locks: tuple[Lock, ...]
    leases: Leases | None
    destinations: dict[str, str]
    mirror: str | None = None

    def with_lock(self, lock: Lock, mirror: str | None) -> Held:
        return replace(self, locks=(*self.locks, lock), mirror=mirror)


@asynccontextmanager
async def locked(
    around: Surroundings,
    plan: PlanFile,
    run: Run | None,
    state: RunState,
    store: Store,
    *,
    outlives: float = 0.0,
) -> AsyncIterator[Held]:
    """Hold every destination and bucket of the plan against other runs.

    Those of this user and host, and those of other machines where the connection names a scratch.
    In one order (sorted), so that two runs never wait for each other; nobody waits anyway, but for
    the workers of a process that was killed. ``outlives`` is for how long those of this one go on.
    """
    endpoint = plan.header.target.endpoint
    subjects = {step.subject for step in plan.steps}
    # What is copied must not be deleted meanwhile by another run.
    subjects |= {
        step.action.source
        for step in plan.steps
        if isinstance(step.action, Copy | VerifyCopies | RemoveCopy)
    }
    subjects |= {step.action.copies for step in plan.steps if isinstance(step.action, DeleteSource)}
    paths = {
        step.action.destination
        for step in plan.steps
        if isinstance(
            step.action, Download | Verify | Delete | DeleteBucket | Extract | RemoveExtracted
        )
    }
    paths |= {
        step.action.keep
        for step in plan.steps
        if isinstance(step.action, Archive | RemoveArchive) and step.action.keep is not None
    }
    journal = run.journal if run else around.directory / runs.JOURNAL_LINK
    recorded = state.header.destinations if state.header else {}
    known = KnownDestinations(around.state_home / "destinations")
    locks: list[Lock] = []
    destinations: dict[str, str] = {}

    def holder(what: str) -> Holder:
        return holder_for(around, journal, what, outlives)

    with ExitStack() as stack:
        for subject in sorted(subjects):
            name = hashlib.sha256(f"{endpoint}\n{subject}".encode()).hexdigest()[:24]
            path = around.state_home / "locks" / f"{name}.lock"
            locks.append(stack.enter_context(hold(path, holder(f"bucket {subject}"))))
        for destination in sorted(paths):
            root = Path(destination)
            known.check(root)
            # The tree first: making the lock's directory on an empty mount point would make the
            # mount point look like the destination.
            tree = stack.enter_context(Tree.open(root, create=destination not in recorded))
            abandon = f", or give the run up: s3plan runs abandon {run.id}" if run else ""
            check_marker(
                tree, recorded.get(destination), f"mount the disk that the run began with{abandon}"
            )
            lock = hold_in(tree, LOCK, holder(f"destination {destination}"))
            locks.append(stack.enter_context(lock))
            destinations[destination] = _marked(tree, known, around)
        await _outlive(locks, around)
        async with lease.held(
            store,
            plan.header.connection.scratch,
            subjects,
            lambda subject: holder(f"bucket {subject}"),
            lambda sentence: around.observer(Warned(sentence)),
        ) as leases:
            yield Held(tuple(locks), leases, destinations)


async def _outlive(locks: Sequence[Lock], around: Surroundings) -> None:
    """Wait until nobody can write any more for processes that were killed."""
    left = [lock.left for lock in locks if lock.left is not None]
    for seconds, what in (
        (max((holder.outlives for holder in left), default=0.0), "its workers may go on"),
        (max(map(_lingers, left), default=0.0), "what it had sent may still be done"),
    ):
        if seconds > 0:
            around.observer(
                Warned(
                    f"the last run here was killed, and {what} for {ceil(seconds)} s; "
                    "waiting for that"
                )
            )
            await asyncio.sleep(seconds)
            return


def _lingers(holder: Holder) -> float:
    """Seconds for which a server may still be at what a killed process sent last."""
    try:
        # Of an apply or of its rollback: both lie there.
        logs = Path(holder.journal).resolve(strict=True).parent.glob("*.json")
        written = max(log.stat().st_mtime for log in logs)
    except (OSError, ValueError):
        return LINGER  # of another machine
    return min(LINGER, written + LINGER - time.time())


def _marked(tree: Tree, known: KnownDestinations, around: Surroundings) -> str:
    """The id of the destination's marker, which is made where there is none, and remembered."""
    marker = read_marker(tree)
    if marker is None:
        now = around.clock()
        new = Marker(MARKER_FORMAT, secrets.token_hex(8), timestamp(now))
        marker = make_marker(tree, new, int(now.timestamp()) * 1_000_000_000)
    known.remember(tree.root, marker)
    return marker.id
