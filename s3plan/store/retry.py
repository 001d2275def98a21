"""When a request is sent again and after how long; pure decisions, no clock and no network."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Literal

from msgspec import Struct

from s3plan.model.connection import Retries

Judgement = Literal["refused", "not-done", "maybe-done"]
"""``refused``: final. ``not-done``: S3 says it did nothing, so any request may be sent again.
``maybe-done``: nobody knows, so only a repeatable request may."""

# AWS, "Error responses" (API/ErrorResponses.html) and botocore's standard retry mode.
_NOT_DONE_CODES = frozenset(
    {
        "SlowDown",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "TooManyRequestsException",  # S3 Control
        "BandwidthLimitExceeded",
        "RequestTimeout",  # 400: S3 gave up waiting for the body
        "OperationAborted",
        "ConditionalRequestConflict",  # 409: another writer is at it right now
    }
)
_FINAL_CODES = frozenset({"GlacierExpeditedRetrievalNotAvailable"})
"""A 503 that waiting does not cure: another retrieval option has to be asked for."""

_MAYBE_DONE = frozenset({500, 502, 504})
_SLOW_DOWN_CODES = frozenset(
    {
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "BandwidthLimitExceeded",
    }
)


class Patience(Struct, frozen=True):
    """How long a request is tried. Seconds; ``attempts`` counts the first one too.

    Pauses have full jitter: uniformly between 0 and ``base * 2**n``, at most ``cap`` (AWS
    Architecture Blog, "Exponential backoff and jitter"). Being asked to slow down is no failure:
    ``slowdowns`` is how often a request takes that before it is given up, with the defaults after
    a minute and a half on average.
    """

    attempts: int = 7
    slowdowns: int = 16
    base: float = 0.2
    cap: float = 20.0
    connect: float = 10.0
    stall: float = 60.0

    def pause(self, attempt: int, retry_after: float | None, chance: float) -> float:
        """Seconds before the next attempt; ``chance`` is in [0, 1). Retry-After is a minimum."""
        jittered = chance * min(self.cap, self.base * 2.0 ** min(attempt, 16))
        return max(jittered, min(retry_after, 3 * self.cap) if retry_after else 0.0)


def patience_of(retries: Retries | None) -> Patience:
    """As a connection says, if it says anything."""
    usual = Patience()
    if retries is None:
        return usual
    return Patience(
        attempts=retries.max + 1, base=retries.backoff, cap=max(usual.cap, retries.backoff)
    )


def judge(status: int, code: str | None) -> Judgement:
    """What an answer that is not a success says about sending the request again."""
    if code in _FINAL_CODES:
        return "refused"
    if code in _NOT_DONE_CODES or status in (429, 503):
        return "not-done"
    if status in _MAYBE_DONE or code == "InternalError":
        return "maybe-done"
    return "refused"


def asks_to_slow_down(status: int, code: str | None) -> bool:
    """Whether the answer is about how much is asked, and not about what."""
    return code not in _FINAL_CODES and (status in (429, 503) or code in _SLOW_DOWN_CODES)


def retry_after(headers: dict[str, str], now: float) -> float | None:
    """Seconds that Retry-After asks for (RFC 9110, 10.2.3: a number or a date)."""
    value = headers.get("retry-after")
    if value is None:
        return None
    if value.isdigit():
        return float(value)
    at = http_date(value)
    return max(0.0, at - now) if at is not None else None


def http_date(value: str) -> float | None:
    """An HTTP date as seconds since the epoch, None where it is none."""
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError):
        return None
