"""Probing an endpoint: each condition met and violated once, then raced for by two writers.

A condition counts as honoured when the write that violates it is refused, leaves the object as it
was, and the write that meets it goes through. Whether that is also atomic only races tell: two
requests of which at most one may succeed are sent at once, many times.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import zlib
from collections.abc import Awaitable, Callable, Collection
from typing import Literal

from msgspec import Struct

from s3plan.errors import (
    AccessDeniedError,
    CredentialsError,
    EndpointError,
    NoSuchBucketError,
    NoSuchKeyError,
    PreconditionFailedError,
    StoreError,
)
from s3plan.model.capabilities import RACED, Capability, CapabilityName, Race, Standing
from s3plan.store.canaries import Canaries, Commit, Headers

_IN_FLIGHT = 4
"""Races at once: enough to keep a server busy, few enough that both writers of one really meet."""

_OLD = b"canary: what was there"
_STALE = '"' + hashlib.md5(b"canary: long gone", usedforsecurity=False).hexdigest() + '"'

Verb = Literal["put", "copy", "complete"]
Condition = Literal["none-match", "match"]

_WRITES: dict[CapabilityName, tuple[Verb, Condition]] = {
    "put-if-none-match": ("put", "none-match"),
    "put-if-match": ("put", "match"),
    "copy-if-none-match": ("copy", "none-match"),
    "copy-if-match": ("copy", "match"),
    "complete-if-none-match": ("complete", "none-match"),
    "complete-if-match": ("complete", "match"),
}


class _Tried(Struct, frozen=True):
    """How one request ended; ``detail`` is empty where it succeeded."""

    outcome: Literal["done", "unmet", "refused"]
    detail: str = ""


async def probe(
    canaries: Canaries, names: Collection[CapabilityName], *, races: int
) -> tuple[Capability, ...]:
    """What the endpoint does of ``names``, each race run ``races`` times.

    Raises a `StoreError` where the scratch place cannot be written or the endpoint is gone: then
    nothing was learnt. The canaries are removed in every case.
    """
    prober = _Prober(canaries, races)
    try:
        await prober.prepare()
        return tuple([await prober.find(name) for name in names])
    finally:
        await canaries.clean()


class _Prober:
    """One probe."""

    def __init__(self, canaries: Canaries, races: int) -> None:
        self.canaries = canaries
        self.races = races
        self.sources = tuple(canaries.key(f"source-{side}") for side in (0, 1))

    async def prepare(self) -> None:
        """Two sources for copies; a scratch place that cannot be written shows here."""
        for side, key in enumerate(self.sources):
            await self.canaries.put(key, _new(side))

    async def find(self, name: CapabilityName) -> Capability:
        """Try one capability, and race for it where it must hold between two writers."""
        match name:
            case "get-if-match":
                standing, detail = await self._reading()
            case "copy-source-if-match":
                standing, detail = await self._copy_source()
            case "delete-if-match" | "delete-many-etag":
                standing, detail = await self._deleting(batch=name == "delete-many-etag")
            case "content-md5":
                wrong = base64.b64encode(hashlib.md5(b"", usedforsecurity=False).digest())
                standing, detail = await self._checked("md5", ("content-md5", wrong.decode()))
            case "checksum-checked":
                standing, detail = await self._checked(
                    "crc32", ("x-amz-checksum-crc32", "AAAAAA==")
                )
            case "checksum-kept":
                standing, detail = await self._kept()
            case "versioning" | "policy-deny" | "policy-condition":
                return Capability(name, "not-tried", "needs a bucket of its own")
            case _:
                standing, detail = await self._writing(*_WRITES[name])
        if standing != "honoured" or name not in RACED:
            return Capability(name, standing, detail)
        return Capability(name, standing, detail, await self._races(name))

    # -- once ----------------------------------------------------------------------------------

    async def _reading(self) -> tuple[Standing, str]:
        key = self.canaries.key("read")
        etag = await self.canaries.put(key, _OLD)
        return _judge(
            met=await _try(self.canaries.read(key, (("if-match", f'"{etag}"'),))),
            violated=await _try(self.canaries.read(key, (("if-match", _STALE),))),
            harmed=False,
        )

    async def _writing(self, verb: Verb, condition: Condition) -> tuple[Standing, str]:
        key = self.canaries.key(f"{verb}-{condition}")
        fresh = self.canaries.key(f"{verb}-{condition}-fresh")
        etag = await self.canaries.put(key, _OLD)
        if condition == "match":
            violating: Headers = (("if-match", _STALE),)
            meeting: Headers = (("if-match", f'"{etag}"'),)
            target = key
        else:
            violating = meeting = (("if-none-match", "*"),)
            target = fresh
        violated = await _try(self._write(verb, key, violating, 0))
        harmed = (await self.canaries.read(key)).body != _OLD
        met = await _try(self._write(verb, target, meeting, 1))
        return _judge(met=met, violated=violated, harmed=harmed)

    async def _copy_source(self) -> tuple[Standing, str]:
        key = self.canaries.key("copied")
        source = self.canaries.key("copied-from")
        etag = await self.canaries.put(source, _OLD)
        header = "x-amz-copy-source-if-match"
        violated = await _try(self.canaries.copy(source, key, ((header, _STALE),)))
        met = await _try(self.canaries.copy(source, key, ((header, f'"{etag}"'),)))
        return _judge(met=met, violated=violated, harmed=False)

    async def _deleting(self, *, batch: bool) -> tuple[Standing, str]:
        key = self.canaries.key(f"deleted-{batch}")
        etag = await self.canaries.put(key, _OLD)
        violated = await _try(self.canaries.delete(key, _STALE.strip('"'), batch=batch))
        harmed = not await self._exists(key)
        if harmed:
            etag = await self.canaries.put(key, _OLD)
        met = await _try(self.canaries.delete(key, etag, batch=batch))
        if met.outcome == "done" and await self._exists(key):
            met = _Tried("refused", "answered as deleted, and still there")
        return _judge(met=met, violated=violated, harmed=harmed)

    async def _checked(self, name: str, wrong: tuple[str, str]) -> tuple[Standing, str]:
        """A checksum that is not the body's must be refused, in whatever words."""
        key = self.canaries.key(f"checked-{name}")
        tried = await _try(self.canaries.put(key, _OLD, (wrong,), md5=False))
        if tried.outcome == "done" or await self._exists(key):
            return "ignored", "a body was stored under a checksum of another"
        return "honoured", tried.detail

    async def _kept(self) -> tuple[Standing, str]:
        """Whether a checksum comes back with the object it was sent with."""
        key = self.canaries.key("kept")
        value = base64.b64encode(zlib.crc32(_OLD).to_bytes(4, "big")).decode()
        headers = (("x-amz-checksum-crc32", value), ("x-amz-sdk-checksum-algorithm", "CRC32"))
        tried = await _try(self.canaries.put(key, _OLD, headers))
        if tried.outcome != "done":
            return "refused", tried.detail
        answer = await self.canaries.read(key, (("x-amz-checksum-mode", "ENABLED"),))
        told = answer.headers.get("x-amz-checksum-crc32")
        return ("honoured", "") if told == value else ("ignored", f"told {told or 'none'}")

    async def _exists(self, key: str) -> bool:
        try:
            await self.canaries.read(key)
        except NoSuchKeyError:
            return False
        return True

    async def _write(self, verb: Verb, key: str, headers: Headers, side: int) -> None:
        commit = await self._prepared(verb, key, headers, side)
        await commit()

    async def _prepared(self, verb: Verb, key: str, headers: Headers, side: int) -> Commit:
        """Everything up to the request that carries the condition. The sides differ in content."""
        if verb == "complete":
            return await self.canaries.upload(key, _new(side), headers)

        async def commit() -> None:
            if verb == "put":
                await self.canaries.put(key, _new(side), headers)
            else:
                await self.canaries.copy(self.sources[side], key, headers)

        return commit

    # -- races ---------------------------------------------------------------------------------

    async def _races(self, name: CapabilityName) -> tuple[Race, ...]:
        match name:
            case "delete-if-match" | "delete-many-etag":
                batch = name == "delete-many-etag"
                return (await self._race("delete and PUT", name, self._against_delete(batch)),)
            case "copy-source-if-match":
                return (await self._race("copy and PUT of its source", name, self._source_race),)
        verb, condition = _WRITES[name]
        rivals: tuple[Verb, ...] = ("put",) if verb == "put" else ("put", verb)
        return tuple(
            [
                await self._race(
                    f"{verb} and {rival}", f"{name}-{rival}", self._contest(verb, rival, condition)
                )
                for rival in rivals
            ]
        )

    async def _race(self, between: str, name: str, run: Callable[[str], Awaitable[bool]]) -> Race:
        """``run`` tells of one race on a key of its own whether its promise was broken."""
        gate = asyncio.Semaphore(_IN_FLIGHT)

        async def one(number: int) -> bool:
            async with gate:
                return await run(self.canaries.key(f"race-{name}-{number}"))

        broken = await asyncio.gather(*map(one, range(self.races)))
        return Race(between, self.races, sum(broken))

    def _contest(
        self, verb: Verb, rival: Verb, condition: Condition
    ) -> Callable[[str], Awaitable[bool]]:
        """Two writers on one condition, of which at most one can meet it."""

        async def run(key: str) -> bool:
            headers: Headers = (("if-none-match", "*"),)
            if condition == "match":
                etag = await self.canaries.put(key, _OLD)
                headers = (("if-match", f'"{etag}"'),)
            commits = [
                await self._prepared(side_verb, key, headers, side)
                for side, side_verb in enumerate((verb, rival))
            ]
            ends = await asyncio.gather(*[_try(commit()) for commit in commits])
            return all(end.outcome == "done" for end in ends)

        return run

    def _against_delete(self, batch: bool) -> Callable[[str], Awaitable[bool]]:
        """A conditional delete, and somebody who writes at that moment and is told it is stored.

        Either the delete came first, then the new object is there; or it came second, then it must
        be refused. Both answered with success and nothing there: a write was lost.
        """

        async def run(key: str) -> bool:
            etag = await self.canaries.put(key, _OLD)
            ends = await asyncio.gather(
                _try(self.canaries.delete(key, etag, batch=batch)),
                _try(self.canaries.put(key, _new(1))),
            )
            return ends[1].outcome == "done" and not await self._exists(key)

        return run

    async def _source_race(self, key: str) -> bool:
        """A copy of exactly this source, and somebody who overwrites the source."""
        source = self.canaries.key(f"{key.rpartition('/')[2]}-source")
        etag = await self.canaries.put(source, _OLD)
        condition = (("x-amz-copy-source-if-match", f'"{etag}"'),)
        copied, _ = await asyncio.gather(
            _try(self.canaries.copy(source, key, condition)),
            _try(self.canaries.put(source, _new(1))),
        )
        if copied.outcome != "done":
            return False
        return (await self.canaries.read(key)).body != _OLD


def _new(side: int) -> bytes:
    return b"canary: written by side %d" % side


async def _try(request: Awaitable[object]) -> _Tried:
    """How the request ended. What says nothing about the condition is raised."""
    try:
        await request
    except PreconditionFailedError as error:
        return _Tried("unmet", error.found or "")
    except (AccessDeniedError, CredentialsError, NoSuchBucketError):
        raise
    except EndpointError as error:
        if error.status is None:
            raise
        return _Tried("refused", error.found or error.what)
    except StoreError as error:
        return _Tried("refused", error.found or error.what)
    return _Tried("done")


def _judge(*, met: _Tried, violated: _Tried, harmed: bool) -> tuple[Standing, str]:
    if violated.outcome == "done" or harmed:
        return "ignored", "done although the condition was not met"
    if met.outcome != "done":
        return "refused", met.detail
    if violated.outcome == "refused":
        return "honoured", f"refused with {violated.detail}"
    return "honoured", ""
