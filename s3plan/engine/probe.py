"""What a run may rely on at its endpoint: remembered from a probe, or probed before it begins.

Only where the connection names a scratch place; without one, or where probing fails, nothing is
relied upon. Answers are kept in the user's state folder, by endpoint, region and scratch place.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from s3plan.engine.lease import split
from s3plan.engine.runs import timestamp
from s3plan.errors import StoreError
from s3plan.model.archivesteps import Adopt
from s3plan.model.capabilities import (
    CAPABILITIES_FORMAT,
    UNPROBED,
    Capabilities,
    Capability,
    CapabilityName,
)
from s3plan.model.plan import Target
from s3plan.model.steps import (
    Archive,
    Copy,
    Delete,
    DeleteSource,
    Purge,
    PutFiles,
    RemoveArchive,
    RemoveCopy,
    RemovePut,
    Stage,
    Step,
    SwapBack,
    Upload,
)
from s3plan.rules.cutover import CONDITIONS
from s3plan.store import Store
from s3plan.store.capabilities import probe

FRESH = timedelta(days=30)
"""How long a probe is believed: endpoints are upgraded."""

QUICK_RACES = 60
"""Races for each condition that a run needs, where nobody ran ``doctor --probe`` before."""

CUTOVERS: tuple[CapabilityName, ...] = tuple(CONDITIONS.values())
"""What a form can take a place by."""

DeletingBy = Literal["batch", "one-by-one", "looking"]
"""How deletions are guarded: the ETag in DeleteObjects, If-Match on each DeleteObject, or by
nothing but the look right before."""

_NEEDED: tuple[tuple[type, tuple[CapabilityName, ...]], ...] = (
    (Delete, ("delete-many-etag", "delete-if-match")),
    (DeleteSource, ("delete-many-etag", "delete-if-match")),
    (Upload, ("put-if-none-match",)),
    (Copy, ("copy-source-if-match", "copy-if-none-match", "complete-if-none-match")),
    (RemoveCopy, ("delete-many-etag", "delete-if-match")),
    (Archive, ("complete-if-none-match", "complete-if-match")),
    (RemoveArchive, ("delete-many-etag", "delete-if-match")),
    (Purge, ("delete-many-etag", "delete-if-match")),
    (PutFiles, ("put-if-none-match", "put-if-match", "complete-if-none-match")),
    (Adopt, ("put-if-none-match",)),
    (RemovePut, ("delete-many-etag", "delete-if-match")),
    (Stage, ("copy-source-if-match", "copy-if-none-match", *CUTOVERS)),
    (SwapBack, ("copy-source-if-match", *CUTOVERS)),
)


def needed(steps: Collection[Step]) -> tuple[CapabilityName, ...]:
    """What the steps would like to rely on."""
    return tuple(
        name
        for action, names in _NEEDED
        if any(isinstance(step.action, action) for step in steps)
        for name in names
    )


def deleting_by(known: Capabilities) -> DeletingBy:
    """The strongest guard that the endpoint is known to honour."""
    if known.holds("delete-many-etag"):
        return "batch"
    return "one-by-one" if known.holds("delete-if-match") else "looking"


class DeletionRequests(NamedTuple):
    """How deletions are sent: each in a request of its own, and with the ETag of what is meant."""

    singly: bool
    conditional: bool


def deletion_requests(known: Capabilities) -> DeletionRequests:
    """How to send deletions so that the strongest guard that is known to hold is used."""
    by = deleting_by(known)
    # Sent also where it is not known to be honoured, unless requests that carry it fail.
    refused = known.get("delete-many-etag").standing == "refused"
    return DeletionRequests(by == "one-by-one", by != "looking" or not refused)


def how_deletions_are_guarded(known: Capabilities) -> str:
    """One sentence for the gate, which the person who approves a deletion reads."""
    batch = known.get("delete-many-etag")
    match deleting_by(known):
        case "batch":
            return (
                "each deletion carries the planned ETag, which this endpoint honours"
                f" ({_races(batch)}, probed {known.time})"
            )
        case "one-by-one":
            single = known.get("delete-if-match")
            return (
                "objects are deleted one by one with If-Match, which this endpoint honours"
                f" ({_races(single)}, probed {known.time}); of DeleteObjects' ETag it is"
                f" known: {words(batch)}"
            )
        case "looking":
            why = (
                "the endpoint was not probed (no scratch in the Connection)"
                if not known.time
                else f"this endpoint's conditions on deletions are: {words(batch)}"
                f" (probed {known.time})"
            )
            return (
                f"look-before-delete only: {why}; what is written between the last look and"
                " the deletion is lost"
            )


def how_copies_are_guarded(known: Capabilities) -> str:
    """One sentence for the person who follows a copy step."""
    names: tuple[CapabilityName, ...] = ("copy-source-if-match", "copy-if-none-match")
    if all(known.holds(name) for name in names):
        return (
            "each copy carries the planned ETag of its source and is refused where the new key is"
            f" taken; this endpoint honours both (probed {known.time})"
        )
    if not known.time:
        why = "the endpoint was not probed (no scratch in the Connection)"
    else:
        found = "; ".join(f"{name}: {words(known.get(name))}" for name in names)
        why = f"{found} (probed {known.time})"
    return (
        f"look-before-copy only: {why}; what is written to a new key between the look and the copy"
        " is overwritten"
    )


def guard_of(known: Capabilities, *, versions: bool) -> str:
    """What keeps the deletions of a step from hitting another object; one sentence, as above."""
    if versions:
        return "each version is deleted by its own id, which never names another"
    return how_deletions_are_guarded(known)


def words(capability: Capability) -> str:
    """What was found, in a few words."""
    if capability.standing == "honoured" and capability.atomic is False:
        return f"honoured, but not atomic ({_races(capability)})"
    return capability.standing.replace("-", " ")


def _races(capability: Capability) -> str:
    races = sum(race.races for race in capability.races)
    broken = sum(race.broken for race in capability.races)
    return f"broken in {broken:,} of {races:,} races"


class Memory:
    """The probes of one user, a file each below the state folder."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is made when something is first remembered."""
        self._folder = folder

    def recall(self, target: Target, scratch: str, now: datetime) -> Capabilities | None:
        """The last probe of this endpoint in this place, unless it is too old or unreadable."""
        try:
            found = msgspec.json.decode(self._path(target, scratch).read_bytes(), type=Capabilities)
            age = now - datetime.fromisoformat(found.time)
        except (OSError, msgspec.MsgspecError, ValueError):
            return None
        same = (found.format, found.endpoint, found.region, found.scratch) == (
            CAPABILITIES_FORMAT,
            target.endpoint,
            target.region,
            scratch,
        )
        return found if same and timedelta() <= age < FRESH else None

    def remember(self, found: Capabilities) -> None:
        """Keep a probe; where that fails, the next run probes again."""
        path = self._path(Target(found.endpoint, found.region), found.scratch)
        temporary = path.with_suffix(f".{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(msgspec.json.encode(found))
            temporary.replace(path)
        except OSError:
            return

    def _path(self, target: Target, scratch: str) -> Path:
        place = f"{target.endpoint}\n{target.region}\n{scratch}"
        return self._folder / f"{hashlib.sha256(place.encode()).hexdigest()[:24]}.json"


async def probed(
    store: Store,
    memory: Memory,
    names: Collection[CapabilityName],
    now: datetime,
    tool: str,
    *,
    races: int,
) -> Capabilities:
    """Probe ``names`` in the connection's scratch place, and remember it with what was known.

    Raises a `StoreError` where the scratch place cannot be written, UsageError where it is none.
    """
    scratch = store.connection.scratch
    assert scratch is not None
    bucket, prefix = split(scratch)
    before = memory.recall(store.target, scratch, now)
    found = await probe(store.canaries(bucket, prefix), names, races=races)
    tried = {capability.name for capability in found if capability.standing != "not-tried"}
    older = before.found if before else ()
    kept = tuple(capability for capability in older if capability.name not in tried)
    known = {capability.name for capability in kept}
    result = Capabilities(
        format=CAPABILITIES_FORMAT,
        endpoint=store.target.endpoint,
        region=store.target.region,
        scratch=scratch,
        # The oldest part counts: what is believed for 30 days is all of it.
        time=before.time if before and kept else timestamp(now),
        tool=tool,
        found=(*kept, *(one for one in found if one.name not in known)),
    )
    memory.remember(result)
    return result


async def capabilities_for(
    store: Store,
    memory: Memory,
    steps: Collection[Step],
    now: datetime,
    tool: str,
    warn: Callable[[str], None],
) -> Capabilities:
    """What a run of these steps may rely on; never raises because the endpoint cannot be probed."""
    scratch = store.connection.scratch
    names = needed(steps)
    if scratch is None or not names:
        return UNPROBED
    known = memory.recall(store.target, scratch, now)
    if known is not None and all(known.get(name).standing != "not-tried" for name in names):
        return known
    try:
        return await probed(store, memory, names, now, tool, races=QUICK_RACES)
    except StoreError as error:
        warn(f"the endpoint cannot be probed, so no condition is relied upon: {error}")
        return UNPROBED
