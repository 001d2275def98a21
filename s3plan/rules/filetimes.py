"""A file's time as it stands in a worklist."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def modified_of(mtime_ns: int) -> str:
    """Nanoseconds since 1970 as RFC 3339 in UTC with milliseconds, what is finer cut off.

    >>> modified_of(1_767_225_600_123_456_789)
    '2026-01-01T00:00:00.123Z'
    >>> modified_of(-1)
    '1969-12-31T23:59:59.999Z'
    """
    # Whole numbers only: a float of seconds has no room for milliseconds of today.
    moment = _EPOCH + timedelta(milliseconds=mtime_ns // 1_000_000)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
