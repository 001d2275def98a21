"""One request from intent to a good answer: signed, paced, sent, repeated, re-addressed.

What is corrected on the way, each at most once per request: the bucket's region, the clock's
offset, expired credentials. Everything that is not a success comes out as an error of ours.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

from s3plan.errors import StoreError
from s3plan.model.connection import Limits
from s3plan.store import failures
from s3plan.store.credentials import CredentialSource
from s3plan.store.deadlines import object_deadline
from s3plan.store.endpoint import Address, EndpointResolver, region_in
from s3plan.store.failures import Refusal, Subject
from s3plan.store.pacing import Pace
from s3plan.store.retry import Patience, asks_to_slow_down, http_date, judge, retry_after
from s3plan.store.signing import Credentials, Signer, encode_query, payload_hash
from s3plan.store.throttle import RequestRate
from s3plan.store.transfer import Answer, Receiver, Source, WireError
from s3plan.store.wire import Outgoing, Wire

_BODILESS = frozenset({"GET", "HEAD", "DELETE"})


_READING = ("GET", "HEAD")
_SELECTING = ("versionId",)
"""What in a query says which bytes of an object are meant; all else names something about it."""


class Request(Struct, frozen=True, gc=False):
    """What is asked. ``headers`` have lower-case names, values one character per byte.

    ``repeatable`` says that sending it twice does what sending it once does. ``sha256`` is the
    hex digest of a streamed body where one is needed. ``timed`` counts against object_timeout (see
    store.deadlines). ``partial`` asks for a part or range of an object. ``anonymous`` is not
    signed: it asks what everybody may.
    """

    method: str
    bucket: str
    key: str | None
    action: str
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    repeatable: bool = True
    timed: bool = False
    sha256: str | None = None
    has_md5: bool = False
    partial: bool = False
    anonymous: bool = False

    @property
    def reads_content(self) -> bool:
        """Whether a good answer is an object's own bytes, which may look like an error document."""
        selecting = all(name in _SELECTING for name, _ in self.query)
        return self.method == "GET" and self.key is not None and selecting

    @property
    def subject(self) -> Subject:
        """For errors."""
        return Subject(self.bucket, self.key, self.action)


class Streaming(Struct, frozen=True):
    """The ends of a streamed body; ``size`` is of the source."""

    receiver: Receiver | None = None
    source: Source | None = None
    size: int = 0


class _Signed(NamedTuple):
    """What one attempt was signed with. ``offset`` is the clock's correction in seconds."""

    address: Address
    credentials: Credentials
    offset: float


class _Tries:
    """How often one request was tried in vain, and whether it may be tried again."""

    __slots__ = ("_deadline", "_failed", "_patience", "_slowed", "late")

    def __init__(self, patience: Patience, deadline: float | None) -> None:
        self._patience = patience
        self._deadline = deadline
        self._failed = 0
        self._slowed = 0
        self.late = False
        """Whether it is the deadline that leaves no time for another attempt."""

    @property
    def count(self) -> int:
        return self._failed + self._slowed

    def pause_after_failure(self, rest: float | None, chance: float) -> float | None:
        """Seconds until the next attempt; None when there is none."""
        self._failed += 1
        if self._failed >= self._patience.attempts:
            return None
        return self._in_time(self._patience.pause(self._failed, rest, chance))

    def pause_after_slow_down(self, rest: float | None, chance: float) -> float | None:
        """The same after an answer that asked for patience."""
        self._slowed += 1
        if self._slowed >= self._patience.slowdowns:
            return None
        return self._in_time(self._patience.pause(self._slowed, rest, chance))

    def _in_time(self, pause: float) -> float | None:
        self.late = self._deadline is not None and time.monotonic() + pause >= self._deadline
        return None if self.late else pause


def _is_good(request: Request, answer: Answer) -> bool:
    """Whether S3 did what was asked. An object's own bytes may look like an error document."""
    return 200 <= answer.status < 300 and not (
        answer.body[:1] == b"<"
        and not request.reads_content
        and failures.is_error_document(answer.body)
    )


class Sender:
    """Sends for all buckets of one store."""

    def __init__(
        self,
        wire: Wire,
        resolver: EndpointResolver,
        credentials: CredentialSource,
        limits: Limits,
        patience: Patience,
        *,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """``clock`` gives seconds since the epoch; ``chance`` is uniform in [0, 1)."""
        self._wire = wire
        self._resolver = resolver
        self._credentials = credentials
        self._patience = patience
        self._rate = RequestRate(limits.requests)
        self._connections = limits.connections
        self._paces: dict[str, Pace] = {}
        self._object_timeout = limits.object_timeout
        self._clock = clock
        self._chance = chance
        self._signer = Signer()
        self._addresses: dict[str, Address] = {}
        self._offset = 0.0
        self._second = 0
        self._timestamp = ""
        self.common_headers: tuple[tuple[str, str], ...] = ()
        self.fence: Callable[[], float] | None = None
        """Seconds that a request which writes may still take, while a lease is held."""

    def address(self, bucket: str) -> Address:
        """Where the bucket is, as far as is known now."""
        known = self._addresses.get(bucket)
        if known is None:
            known = self._addresses[bucket] = self._resolver.bucket(bucket)
        return known

    async def send(self, request: Request, streaming: Streaming | None = None) -> Answer:
        """The answer, which has a 2xx status and no error document in it.

        Raises a `StoreError`, or what a receiver or source raised.
        """
        ends = deadline = self._object_ends(request)
        corrected: set[str] = set()
        pace = self._pace(request.bucket)
        if self.fence is not None and request.method not in _READING:
            fenced = time.monotonic() + self.fence()
            deadline = fenced if deadline is None else min(deadline, fenced)
        tries = _Tries(self._patience, deadline)
        while True:
            try:
                answer, signed = await self._paced(request, streaming, deadline, pace)
            except WireError as failure:
                if failure.sent and not request.repeatable:
                    raise failures.unknown(str(failure), request.subject) from failure
                pause = tries.pause_after_failure(None, self._chance())
                if failure.fatal or pause is None:
                    is_late = tries.late and deadline == ends
                    raise self._gave_up(failure, request, tries.count, late=is_late) from failure
                await asyncio.sleep(pause)
                continue
            if _is_good(request, answer):
                # The time of an answer to a body is mostly the body's.
                pace.answered(answer.seconds if request.method in _BODILESS else None)
                return answer
            refusal = failures.read(answer.status, answer.headers, answer.body)
            rest = retry_after(answer.headers, self._clock())
            slow_down = asks_to_slow_down(refusal.status, refusal.code)
            if slow_down:
                pace.refused(rest)
            else:
                pace.answered(None)
            if await self._correct(request, answer, refusal, signed=signed, corrected=corrected):
                continue
            judgement = judge(refusal.status, refusal.code)
            if judgement == "maybe-done" and not request.repeatable:
                raise failures.unknown(
                    f"{refusal.status} {refusal.code or 'without an error document'}",
                    request.subject,
                )
            after = tries.pause_after_slow_down if slow_down else tries.pause_after_failure
            pause = after(rest, self._chance())
            if judgement == "refused" or pause is None:
                raise failures.refused(refusal, request.subject, signed.address.origin)
            await asyncio.sleep(pause)

    def _object_ends(self, request: Request) -> float | None:
        """When the request's object must be done. Raises `ObjectTimeoutError` when that is over."""
        ends = object_deadline(self._object_timeout) if request.timed else None
        if ends is not None and time.monotonic() >= ends:
            raise failures.out_of_time(self._object_timeout, request.subject)
        return ends

    def _gave_up(
        self, failure: WireError, request: Request, attempts: int, *, late: bool
    ) -> StoreError:
        """The error for a request without a whole answer; ``late`` if its object's time is over."""
        if late and not failure.fatal:
            return failures.out_of_time(self._object_timeout, request.subject)
        origin = self.address(request.bucket).origin
        return failures.unreachable(str(failure), request.subject, origin, attempts=attempts)

    async def slowed_down(self, bucket: str, times: int) -> bool:
        """Wait after a good answer that asked for patience, for the ``times``-th time in a row.

        False when that is once too often; nothing was waited for then.
        """
        if times >= self._patience.slowdowns:
            return False
        self._pace(bucket).refused(None)
        await asyncio.sleep(self._patience.pause(times, None, self._chance()))
        return True

    def _pace(self, bucket: str) -> Pace:
        pace = self._paces.get(bucket)
        if pace is None:
            pace = self._paces[bucket] = Pace(self._connections)
        return pace

    async def _paced(
        self,
        request: Request,
        streaming: Streaming | None,
        deadline: float | None,
        pace: Pace,
    ) -> tuple[Answer, _Signed]:
        """One attempt in its turn, and what it was signed with.

        What it is signed with, and how long it may take, is decided after the waiting.
        """
        await pace.enter()
        try:
            await self._rate.turn()
            signed = _Signed(
                self.address(request.bucket), await self._credentials.current(), self._offset
            )
            answer = await self._once(
                request, streaming, signed.address, signed.credentials, deadline
            )
        finally:
            pace.leave()
        if answer.status == 206 and not request.partial:
            raise WireError("a part (206) came where the whole was asked for", sent=True)
        return answer, signed

    async def _once(
        self,
        request: Request,
        streaming: Streaming | None,
        address: Address,
        credentials: Credentials,
        deadline: float | None,
    ) -> Answer:
        path = address.path(request.key)
        query = encode_query(request.query) if request.query else ""
        payload = payload_hash(
            request.body,
            https=address.https,
            has_md5=request.has_md5,
            streaming=request.method == "PUT",
            sha256=request.sha256,
        )
        headers = (
            list(request.headers)
            if request.anonymous
            else self._signer.sign(
                method=request.method,
                authority=address.authority,
                path=path,
                query=query,
                headers=request.headers + self.common_headers,
                payload=payload,
                credentials=credentials,
                region=address.region,
                timestamp=self._now(),
            )
        )
        # libcurl sends a header without a value only if it ends in a semicolon.
        lines = [
            (f"{name}: {value}" if value else f"{name};").encode("latin-1")
            for name, value in headers
        ]
        lines.append(b"Accept:")
        if request.body is not None or streaming is not None:
            lines.append(b"Expect:")
            if not any(name == "content-type" for name, _ in request.headers):
                lines.append(b"Content-Type:")
        seconds = 0.0
        if deadline is not None:
            seconds = deadline - time.monotonic()
            if seconds <= 0:
                raise WireError("the deadline of this request passed", sent=False, fatal=True)
        out = Outgoing(
            request.method,
            address.origin,
            f"{address.origin}{path}?{query}" if query else f"{address.origin}{path}",
            lines,
            once=not request.repeatable,
            seconds=seconds,
        )
        if streaming is None:
            return await self._wire.exchange(out, request.body)
        return await self._wire.stream(
            out,
            receiver=streaming.receiver,
            source=streaming.source,
            size=streaming.size,
            good=206 if request.partial else 200,
        )

    async def _correct(
        self,
        request: Request,
        answer: Answer,
        refusal: Refusal,
        *,
        signed: _Signed,
        corrected: set[str],
    ) -> bool:
        """Whether something about the request was wrong that is right now; each kind once.

        Of many requests that were wrong together the first corrects, and all are sent again.
        """
        address = signed.address
        region = self._told_region(request, refusal, address)
        if region is not None and "region" not in corrected:
            corrected.add("region")
            if self.address(request.bucket) == address:
                self._addresses[request.bucket] = self._resolver.bucket(request.bucket, region)
            return True
        # The answer to a HEAD has no document, so its status has to be enough.
        blind = request.method == "HEAD" and refusal.code is None
        skewed = refusal.code == failures.SKEWED_CODE or (blind and refusal.status == 403)
        if skewed and "clock" not in corrected:
            corrected.add("clock")
            told = http_date(answer.headers.get("date", ""))
            if (
                told is not None
                and abs(told - self._clock() - self._offset) > failures.SKEW_SECONDS
            ):
                self._offset = told - self._clock()
            if self._offset != signed.offset:
                return True
        expired = refusal.code in failures.EXPIRED_CODES or (blind and refusal.status == 400)
        if expired and "credentials" not in corrected:
            corrected.add("credentials")
            return await self._credentials.reload(signed.credentials)
        return False

    def _told_region(self, request: Request, refusal: Refusal, address: Address) -> str | None:
        if refusal.status not in (301, 307, 400):
            return None
        if refusal.status == 400 and not (
            refusal.code in ("AuthorizationHeaderMalformed", "IllegalLocationConstraintException")
            or (request.method == "HEAD" and refusal.code is None)
        ):
            return None
        region = refusal.region or region_in(refusal.endpoint or "")
        return region if region != address.region else None

    def _now(self) -> str:
        second = int(self._clock() + self._offset)
        if second != self._second:
            self._second = second
            self._timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        return self._timestamp
