"""Leases: one run at a time on a bucket, across machines that share nothing but S3.

Optional: where the connection names a ``scratch``. One object a bucket, written only over what was
read (If-None-Match, If-Match), renewed while the run works, stale ``STALE`` seconds after its last
renewal by S3's own clock. It is never deleted: a lease that is given back is written as free.

A holder stops trusting its lease ``TRUSTED`` seconds after the last renewal began, and no request
that writes outlives that moment. Where an endpoint ignores the conditions two runs may both write
the object; each reads it before it renews, so one of them finds out after ``RENEWED`` seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from s3plan.errors import (
    LockedError,
    LockLostError,
    OutcomeUnknownError,
    PreconditionFailedError,
    StoreError,
    UsageError,
)
from s3plan.localfs.locks import Holder
from s3plan.store import LeaseObject, Store

FORMAT = "s3plan.lease/1"

STALE = 120.0
"""Seconds without a renewal, by S3's clock, after which anybody may take a lease over."""

RENEWED = 20.0
"""Seconds between renewals."""

TRUSTED = 90.0
"""Seconds after the last renewal began that its holder still writes."""

PATIENCE = 15.0
"""Seconds that one renewal may take before it is tried anew."""


class LeaseRecord(msgspec.Struct, frozen=True):
    """What a lease object holds. ``holder`` is None while nobody has it.

    ``nonce`` is made anew by every session; ``turn`` makes each renewal another object.
    ``machine`` tells processes of one kernel and one process table from all others.
    """

    format: str
    nonce: str
    turn: int
    machine: str
    holder: Holder | None


class Lease:
    """One bucket's lease. ``write`` and the look before it are not one step: see the module."""

    def __init__(self, at: LeaseObject, holder: Holder) -> None:
        self._at = at
        self._holder = holder
        self._nonce = secrets.token_hex(8)
        self._turn = 0
        self.trusted_until = -math.inf

    async def take(self) -> LeaseRecord | None:
        """Make the lease ours; the dead holder it was taken from, if there was one.

        Raises LockedError, which names the holder and how long it may still take.
        """
        began = _now()
        seen = await self._at.read()
        record = _decode(seen.body) if seen else None
        if record is not None and record.holder is not None:
            gone = seen is not None and seen.age is not None and seen.age >= STALE
            if not gone and not _is_dead(record):
                raise self._locked(record, seen.age if seen else None)
        # Whether it was lost, or won and its answer lost: settled by looking.
        with contextlib.suppress(PreconditionFailedError, OutcomeUnknownError):
            await self._write(over=seen.etag if seen else None)
        found = await self._look()
        if found is None or found.nonce != self._nonce:
            raise self._locked(found, 0.0)
        self.trusted_until = began + TRUSTED
        return record if record is not None and record.holder is not None else None

    async def renew(self) -> None:
        """Keep it. Raises LockLostError where it is another's, StoreError where S3 fails."""
        began = _now()
        seen = await self._at.read()
        record = _decode(seen.body) if seen else None
        if seen is None or record is None or record.nonce != self._nonce:
            raise self._lost(record)
        try:
            await self._write(over=seen.etag)
        except PreconditionFailedError as error:
            raise self._lost(await self._look()) from error
        self.trusted_until = began + TRUSTED

    async def give_back(self) -> None:
        """Write it as free, if it is still ours."""
        seen = await self._at.read()
        record = _decode(seen.body) if seen else None
        if seen is not None and record is not None and record.nonce == self._nonce:
            await self._write(over=seen.etag, free=True)

    async def _write(self, *, over: str | None, free: bool = False) -> None:
        self._turn += 1
        record = LeaseRecord(
            format=FORMAT,
            nonce=self._nonce,
            turn=self._turn,
            machine=_machine(),
            holder=None if free else self._holder,
        )
        await self._at.write(msgspec.json.encode(record), over=over)

    async def _look(self) -> LeaseRecord | None:
        seen = await self._at.read()
        return _decode(seen.body) if seen else None

    def _locked(self, record: LeaseRecord | None, age: float | None) -> LockedError:
        return LockedError(
            "another run holds the lease of this bucket",
            address=self._at.address,
            expected=f"a free lease of {self._holder.what}",
            found=_described(record, age),
            next_step=f"wait for it to end; {STALE:.0f} seconds after a machine vanished its lease "
            "is free, or `s3plan lock break`",
        )

    def _lost(self, record: LeaseRecord | None) -> LockLostError:
        return LockLostError(
            "the lease of the bucket was lost in the middle of the run",
            address=self._at.address,
            expected=f"the lease of {self._holder.what}, held by this run",
            found=_described(record, None),
            next_step="`s3plan lock status` tells who has it",
        )


class Leases:
    """All leases of a session, renewed in the background."""

    def __init__(self, leases: Sequence[Lease]) -> None:
        self._leases = leases
        self._lost: LockLostError | None = None
        self.on_lost: Callable[[], None] = lambda: None
        """Called once, as soon as a loss is known."""

    def seconds_left(self) -> float:
        """How long requests that write may still take; at most 0 where a lease is lost."""
        if self._lost is not None:
            return 0.0
        return min((lease.trusted_until for lease in self._leases), default=math.inf) - _now()

    def check(self) -> None:
        """Raise LockLostError unless every lease is held and can be trusted."""
        if self._lost is None and self.seconds_left() <= 0:
            self._lost = LockLostError(
                "the lease could not be renewed in time",
                expected=f"a renewal within {TRUSTED:.0f} seconds",
                found="none: no answer from S3, or this machine slept",
                next_step="check the network, then run the same command again",
            )
        if self._lost is not None:
            raise self._lost

    async def renew_regularly(self) -> None:
        """Renew until cancelled; after a loss tell it and end."""
        while True:
            await asyncio.sleep(RENEWED)
            try:
                for lease in self._leases:
                    # What S3 does not answer is tried again, until the lease is not trusted.
                    with contextlib.suppress(StoreError, TimeoutError):
                        await asyncio.wait_for(lease.renew(), PATIENCE)
                self.check()
            except LockLostError as error:
                self._lost = error
                self.on_lost()
                return


@asynccontextmanager
async def held(
    store: Store,
    scratch: str | None,
    buckets: Iterable[str],
    holder: Callable[[str], Holder],
    on_takeover: Callable[[str], None],
) -> AsyncIterator[Leases | None]:
    """Hold the lease of every bucket while the block runs; None where there is no scratch.

    ``holder`` makes the record for a bucket, ``on_takeover`` is told of dead holders in words.
    Raises LockedError, and UsageError where the scratch is in one of the buckets.
    """
    if scratch is None:
        yield None
        return
    endpoint = store.target.endpoint
    taken: list[Lease] = []
    try:
        # In one order, so that two runs never hold what the other waits for; nobody waits anyway.
        for bucket in sorted(set(buckets)):
            lease = Lease(lease_object(store, scratch, endpoint, bucket), holder(bucket))
            if (dead := await lease.take()) is not None:
                on_takeover(f"took over the lease of {bucket} from {dead.holder}, who is gone")
            taken.append(lease)
        leases = Leases(taken)
        store.fence(leases.seconds_left)
        renewing = asyncio.create_task(leases.renew_regularly())
        try:
            yield leases
        finally:
            renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewing
    finally:
        store.fence(None)
        for lease in taken:
            # Best effort: a lease that stays is stale soon.
            with contextlib.suppress(StoreError, TimeoutError):
                await asyncio.wait_for(lease.give_back(), PATIENCE)


def lease_object(store: Store, scratch: str, endpoint: str, bucket: str) -> LeaseObject:
    """Where the lease of ``bucket`` is. Raises UsageError where that is in the bucket itself."""
    place, prefix = split(scratch)
    if place == bucket:
        raise UsageError(
            "the connection's scratch is in a bucket that the plan works on",
            address=scratch,
            expected="a bucket of its own for probes and leases",
            next_step="name another place as scratch in the Connection, then plan again",
        )
    name = hashlib.sha256(f"{endpoint}\n{bucket}".encode()).hexdigest()[:24]
    return store.lease_object(place, f"{prefix}leases/{name}.json")


def split(address: str) -> tuple[str, str]:
    """``s3://bucket/prefix`` as bucket and prefix, which ends in ``/`` unless it is empty."""
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    prefix = prefix.strip("/")
    return bucket, f"{prefix}/" if prefix else ""


async def lease_holder(at: LeaseObject) -> tuple[Holder, float | None] | None:
    """Who holds a lease and its age in seconds; None where nobody does."""
    seen = await at.read()
    record = _decode(seen.body) if seen else None
    if seen is None or record is None or record.holder is None:
        return None
    return record.holder, seen.age


async def break_lease(at: LeaseObject) -> None:
    """Write a lease as free, whoever holds it; the holder stops at its next renewal."""
    seen = await at.read()
    if seen is None:
        return
    record = LeaseRecord(FORMAT, secrets.token_hex(8), 0, _machine(), None)
    await at.write(msgspec.json.encode(record), over=seen.etag)


def _decode(body: bytes) -> LeaseRecord | None:
    """The record; None for what is none, which nobody of us can hold."""
    try:
        return msgspec.json.decode(body, type=LeaseRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _described(record: LeaseRecord | None, age: float | None) -> str:
    if record is None or record.holder is None:
        return "nobody, or a run that does not say who it is"
    return f"{record.holder}{renewed(age)}"


def renewed(age: float | None) -> str:
    """When a lease was renewed last, as the end of a sentence; ``age`` is in seconds."""
    return f", renewed {age:.0f} s ago" if age is not None else ""


def _is_dead(record: LeaseRecord) -> bool:
    """Whether the holder was a process of this very machine that is gone.

    So is an earlier session of this process: whoever asks holds the bucket's lock on this machine.
    """
    if record.holder is None or record.machine != _machine() or not record.machine:
        return False
    if record.holder.pid == os.getpid():
        return True
    try:
        os.kill(record.holder.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _machine() -> str:
    """One boot of one kernel, and one process table in it; empty where that cannot be told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _now() -> float:
    """Seconds that also pass while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
