"""Looking before anybody plans: credentials, buckets, destinations, the journal's place, scratch.

Reads only, except for the probe, which writes in the connection's scratch place (and in a bucket of
its own where that is asked for). Every finding is reported; none stops the others.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import get_args

from msgspec.structs import replace

from s3plan.engine.probe import Memory, probed
from s3plan.engine.runs import timestamp
from s3plan.errors import AccessDeniedError, S3PlanError
from s3plan.inventory.caller import observe_caller
from s3plan.localfs.health import VOLATILE, Place, look_at
from s3plan.localfs.tree import Tree
from s3plan.model.capabilities import UNPROBED, Capabilities, CapabilityName
from s3plan.model.diagnosis import Diagnosis, Finding
from s3plan.rules.counting import counted
from s3plan.store import Store
from s3plan.store.bucketprobe import BUCKET_CAPABILITIES, probe_bucket

RACES = 300
"""Races for each condition. (Seen at SeaweedFS: copy against PUT is broken in 3 of 100.)"""

CLOCK_SECONDS = 60
"""A clock that is less off than this is right; answers tell whole seconds and take a while."""

REFUSED_SECONDS = 900
"""S3 refuses requests that were signed by a clock that is further off."""

TEMPORARY_BYTES = 1024**3
"""Room that ten million objects need in tables, roughly."""

SCRATCH_CAPABILITIES: tuple[CapabilityName, ...] = tuple(
    name for name in get_args(CapabilityName) if name not in BUCKET_CAPABILITIES
)


async def diagnose(
    store: Store,
    memory: Memory,
    *,
    buckets: Collection[str],
    destinations: Collection[str],
    directory: Path,
    now: datetime,
    tool: str,
    probe: bool,
    with_bucket: bool,
) -> Diagnosis:
    """Look at everything a run with these buckets and destinations needs.

    ``directory`` is where journals go. Raises nothing that a finding can say.
    """
    findings = [*await _access(store, buckets)]
    for destination in sorted(destinations):
        findings += _destination(Path(destination))
    findings += _journal(directory)
    findings += _temporary(Path(tempfile.gettempdir()))
    scratch, capabilities = await _scratch(store, memory, now, tool, probe=probe)
    findings.append(scratch)
    if with_bucket:
        more, capabilities = await _with_bucket(store, memory, capabilities, now)
        findings += more
    return Diagnosis(tuple(findings), capabilities)


async def _access(store: Store, buckets: Collection[str]) -> Sequence[Finding]:
    try:
        target = await store.identify()
    except S3PlanError as error:
        return [_problem("credentials", error)]
    account = f", account {target.account}" if target.account else ""
    findings = [Finding("endpoint", "ok", f"{target.endpoint}, region {target.region}{account}")]
    try:
        names = await store.list_buckets()
        findings.append(Finding("credentials", "ok", f"accepted; {len(names):,} buckets are seen"))
    except AccessDeniedError:
        findings.append(
            Finding(
                "credentials",
                "warning",
                "accepted, but they may not list buckets",
                "name buckets without globs, or allow s3:ListAllMyBuckets",
            )
        )
    except S3PlanError as error:
        return [*findings, _problem("credentials", error)]
    findings += await _identity(store)
    findings.append(await _clock(store))
    return findings + [await _bucket(store, name) for name in sorted(buckets)]


async def _identity(store: Store) -> Sequence[Finding]:
    """Who the credentials are; nothing where the endpoint has no way to tell."""
    try:
        caller = await observe_caller(store)
    except S3PlanError as error:
        return [_problem("identity", error)]
    return [Finding("identity", "ok", caller.principal.arn)] if caller is not None else []


async def _clock(store: Store) -> Finding:
    """Signatures carry the time: S3 refuses those of a clock that is 15 minutes off.

    https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html (RequestTimeTooSkewed)
    """
    try:
        ahead = await asyncio.to_thread(store.control.clock_ahead)
    except S3PlanError as error:
        return _problem("clock", error)
    if ahead is None:
        return Finding("clock", "warning", "the endpoint does not tell its time")
    if abs(ahead) < CLOCK_SECONDS:
        return Finding("clock", "ok", "agrees with the endpoint's")
    side = "behind" if ahead > 0 else "ahead of"
    return Finding(
        "clock",
        "problem" if abs(ahead) >= REFUSED_SECONDS else "warning",
        f"this machine's is {abs(ahead):,.0f} s {side} the endpoint's; from {REFUSED_SECONDS} s on"
        " requests are refused",
        "set the clock, with NTP for example",
    )


async def _bucket(store: Store, name: str) -> Finding:
    subject = f"bucket {name}"
    try:
        region = await asyncio.to_thread(store.control.region, name)
    except S3PlanError as error:
        return _problem(subject, error)
    return Finding(subject, "ok", f"in region {region}")


def _destination(path: Path) -> Sequence[Finding]:
    subject = f"destination {path}"
    try:
        place = look_at(path)
    except OSError as error:
        return [Finding(subject, "problem", error.strerror or "cannot be opened")]
    findings = [_writable(subject, path, place)]
    inodes = f", {place.space.inodes:,} inodes" if place.space.inodes is not None else ""
    findings.append(
        Finding(
            subject,
            "ok",
            f"{place.space.bytes:,} bytes free{inodes} on {place.filesystem or 'unknown'}",
        )
    )
    if not place.reports_errors:
        findings.append(
            Finding(
                subject,
                "warning",
                f"{place.filesystem or 'its filesystem'} does not report write-back errors for the"
                " whole: every file is synced by itself, which is slower",
            )
        )
    if place.filesystem in VOLATILE:
        findings.append(_volatile(subject, place.filesystem, "copies"))
    if place.exists:
        findings += _leftovers(subject, path)
    return findings


def _leftovers(subject: str, path: Path) -> Sequence[Finding]:
    """What killed runs left below a destination or a directory that keeps archives."""
    try:
        with Tree.open(path, create=False) as tree:
            left = tree.leftovers()
    except S3PlanError as error:
        return [_problem(subject, error)]
    if not left.files:
        return []
    found = (
        f"{counted(left.files, 'unfinished file')} of runs that were killed, {left.bytes:,} bytes"
    )
    return [Finding(subject, "warning", found, "the next `s3plan apply` there removes them")]


def _journal(directory: Path) -> Sequence[Finding]:
    path = directory.absolute()
    subject = f"journal in {path}"
    place = look_at(path)
    findings = [_writable(subject, path, place)]
    if place.filesystem in VOLATILE:
        findings.append(_volatile(subject, place.filesystem, "the journal"))
    return findings


def _temporary(path: Path) -> Sequence[Finding]:
    """Where planning and verifying keep what does not fit into memory."""
    place = look_at(path)
    subject = f"temporary files in {path}"
    if not place.writable:
        return [_writable(subject, path, place)]
    free = f"{place.space.bytes:,} bytes free"
    if place.space.bytes < TEMPORARY_BYTES:
        return [
            Finding(
                subject,
                "warning",
                f"{free}: tables of millions of objects need more",
                "make room there, or set TMPDIR to a directory on a larger disk",
            )
        ]
    return [Finding(subject, "ok", free)]


def _writable(subject: str, path: Path, place: Place) -> Finding:
    if place.writable:
        made = "writable" if place.exists else f"will be made in {place.path}"
        if place.exists or place.path == path.absolute().parent:
            return Finding(subject, "ok", made)
        return Finding(
            subject, "problem", f"{path.parent} does not exist", f"mkdir -p {path.parent}"
        )
    return Finding(
        subject, "problem", f"{place.path} is not writable", "make it writable, or choose another"
    )


def _volatile(subject: str, filesystem: str, what: str) -> Finding:
    ends = "with the container" if filesystem == "overlay" else "at the next reboot"
    return Finding(
        subject,
        "warning",
        f"it is on {filesystem}: {what} would be gone {ends}",
        "use a directory on a disk",
    )


async def _scratch(
    store: Store, memory: Memory, now: datetime, tool: str, *, probe: bool
) -> tuple[Finding, Capabilities]:
    """What is known of the endpoint, or becomes known by probing."""
    scratch = store.connection.scratch
    if scratch is None:
        without = Finding(
            "scratch",
            "warning",
            "the Connection names no scratch, so nothing can be probed and no condition of the"
            " endpoint is relied upon",
            "add scratch: s3://BUCKET/PREFIX, a place where probes and leases may write",
        )
        return without, UNPROBED
    known = memory.recall(store.target, scratch, now)
    if probe:
        try:
            found = await probed(store, memory, SCRATCH_CAPABILITIES, now, tool, races=RACES)
        except S3PlanError as error:
            return _problem("scratch", error), known or UNPROBED
        return Finding("scratch", "ok", f"{scratch}, probed now"), found
    if known is None:
        hint = Finding(
            "scratch",
            "warning",
            f"{scratch} is there for probes, and nobody has probed yet",
            "s3plan doctor MANIFEST --probe",
        )
        return hint, UNPROBED
    return Finding("scratch", "ok", f"{scratch}, probed {known.time}"), known


async def _with_bucket(
    store: Store, memory: Memory, known: Capabilities, now: datetime
) -> tuple[Sequence[Finding], Capabilities]:
    """The same with what only a whole bucket can show."""
    try:
        more = await probe_bucket(store)
    except S3PlanError as error:
        return [_problem("bucket of the probe", error)], known
    kept = tuple(one for one in known.found if one.name not in BUCKET_CAPABILITIES)
    found = replace(known, time=known.time or timestamp(now), found=(*kept, *more))
    if known.scratch:
        memory.remember(found)
    return [Finding("bucket of the probe", "ok", "made and removed")], found


def _problem(subject: str, error: S3PlanError) -> Finding:
    what = error.what + (f" ({error.found})" if error.found else "")
    return Finding(subject, "problem", what, error.next_step)
