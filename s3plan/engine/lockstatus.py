"""Locks and leases seen from outside: who holds them, and taking one from a holder that is gone.

A lock of this machine is free as soon as its process ends, and a lease soon after its machine is
gone; so there is little to break: a lock that a network filesystem still holds for a machine that
vanished, or a lease that nobody wants to wait for.
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from s3plan.engine import lease, runs
from s3plan.engine.holding import LOCK
from s3plan.engine.surroundings import Surroundings
from s3plan.errors import LockedError, S3PlanError, UsageError
from s3plan.localfs.locks import Holder, break_lock, holder_of
from s3plan.localfs.marker import KnownDestinations
from s3plan.model.status import LockStatus
from s3plan.plan.reading import PlanFile
from s3plan.store import LeaseObject


async def held_locks(around: Surroundings, plan: PlanFile | None) -> tuple[LockStatus, ...]:
    """Every lock of this user's that is held, and the leases of ``plan``.

    Locks of runs are those of the working directory. Leases are asked of S3 where the plan's
    connection names a scratch. Raises a StoreError where they cannot be read.
    """
    found = []
    for path, what in _lock_files(around):
        try:
            holder = holder_of(path)
        except LockedError:
            found.append(LockStatus(str(path), what, "a process that does not say who it is", None))
            continue
        if holder is not None:
            found.append(_status(str(path), what or holder.what, holder, ""))
    async with _leases(around, plan) as leases:
        for subject, at in leases:
            if (known := await lease.lease_holder(at)) is not None:
                holder, age = known
                last = lease.renewed(age)
                found.append(_status(at.address, f"lease of bucket {subject}", holder, last))
    return tuple(found)


async def take_from_holder(address: str, around: Surroundings, plan: PlanFile | None) -> None:
    """Break the lock or lease at ``address``, as :func:`held_locks` named it.

    The holder, if it lives, stops before its next write. Raises UsageError where nobody holds such
    a lock, LockedError where the holder is a living process of this host: that one can be ended.
    """
    for lock in await held_locks(around, plan):
        if lock.address != address:
            continue
        if lock.is_alive:
            raise LockedError(
                "the process that holds this lock is alive",
                address=address,
                found=lock.holder,
                next_step="end it with Ctrl-C or kill -INT, then run the same command again",
            )
        if not address.startswith("s3://"):
            break_lock(address)
            return
        async with _leases(around, plan) as leases:
            for _, at in leases:
                if at.address == address:
                    await lease.break_lease(at)
        return
    raise UsageError(
        "nobody holds such a lock",
        address=address,
        next_step="`s3plan lock status` lists the locks that are held",
    )


def _lock_files(around: Surroundings) -> Iterator[tuple[Path, str]]:
    """Lock files with what they lock, empty where only the holder says it."""
    for path in sorted((around.state_home / "locks").glob("*.lock")):
        yield path, ""
    for known in KnownDestinations(around.state_home / "destinations"):
        yield Path(known.path) / LOCK, f"destination {known.path}"
    for run in runs.runs_in(around.directory):
        yield run.lock, f"run {run.id}"


@asynccontextmanager
async def _leases(
    around: Surroundings, plan: PlanFile | None
) -> AsyncIterator[list[tuple[str, LeaseObject]]]:
    scratch = plan.header.connection.scratch if plan else None
    if plan is None or scratch is None:
        yield []
        return
    endpoint = plan.header.target.endpoint
    subjects = sorted({step.subject for step in plan.steps})
    async with around.open_store(plan.header.connection) as store:
        yield [(name, lease.lease_object(store, scratch, endpoint, name)) for name in subjects]


def _status(address: str, what: str, holder: Holder, more: str) -> LockStatus:
    alive = _is_alive(holder.pid) if holder.host == socket.gethostname() else None
    return LockStatus(address, what, f"{holder}{more}", alive)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def plan_of_latest(directory: Path) -> PlanFile | None:
    """The plan of the latest run here, or else the plan that would be applied; None without."""
    try:
        return PlanFile.open(runs.run_of(directory / runs.JOURNAL_LINK).plan)
    except S3PlanError:
        path = directory / "plan.json"
        return PlanFile.open(path) if path.exists() else None
