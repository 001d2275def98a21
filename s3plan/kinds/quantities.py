"""Sizes, durations and moments as people write them in a manifest; pure.

Sizes: a whole number of bytes, or one with ``KB MB GB TB`` (powers of 1000) or ``KiB MiB GiB TiB``
(powers of 1024). Durations: a whole number with ``s m h d w``. Moments: an RFC 3339 time, or a
date, which is its first instant in UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

SIZE_PATTERN = r"^[0-9]{1,19} ?(B|[KMGT]i?B)?$"
DURATION_PATTERN = r"^[0-9]{1,19} ?[smhdw]$"

_UNITS = {"": 1, "B": 1} | {
    f"{letter}{binary}B": (1024 if binary else 1000) ** power
    for power, letter in enumerate("KMGT", 1)
    for binary in ("", "i")
}
_DURATIONS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_LARGEST = 2**63 - 1


def parse_size(text: str | int) -> int:
    """Bytes. Raises ValueError."""
    if isinstance(text, int):
        size = text
    # Not match(): its $ also stands before a newline at the end.
    elif re.fullmatch(SIZE_PATTERN, text):
        unit = text.lstrip("0123456789")
        size = int(text.removesuffix(unit)) * _UNITS[unit.lstrip()]
    else:
        raise ValueError("a size is a number of bytes such as 1048576, 1MB or 1MiB")
    if not 0 <= size <= _LARGEST:
        raise ValueError("a size is not negative and below 8 EiB")
    return size


def parse_duration(text: str | float) -> float:
    """Seconds; a bare number is seconds. Raises ValueError."""
    if isinstance(text, int | float):
        if text < 0:
            raise ValueError("a duration is not negative")
        return float(text)
    return _duration(text)[0].total_seconds()


def parse_moment(text: str, now: datetime) -> str:
    """RFC 3339 in UTC with milliseconds; a duration is counted back from ``now``. ValueError.

    A duration is counted from the start of the current minute, hour, day (UTC) or, for ``w``, day,
    as its unit says, so that planning twice within that unit gives the same plan.
    """
    try:
        span, unit = _duration(text)
    except ValueError:
        return format_moment(_moment(text))
    now = now.astimezone(UTC).replace(microsecond=0)
    if unit != "s":
        now = now.replace(second=0)
    if unit in "hdw":
        now = now.replace(minute=0)
    if unit in "dw":
        now = now.replace(hour=0)
    try:
        return format_moment(now - span)
    except OverflowError as error:
        raise ValueError("that is before the year 1") from error


def format_moment(moment: datetime) -> str:
    """A time as tables hold it: RFC 3339, UTC, milliseconds."""
    # isoformat() and not strftime(), whose %Y has no leading zeros on Linux.
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"


def _duration(text: str) -> tuple[timedelta, str]:
    if not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError("a duration is a number and a unit, such as 30s, 12h or 30d")
    unit = text[-1]
    try:
        return int(text[:-1]) * _DURATIONS[unit], unit
    except OverflowError as error:
        raise ValueError("that is longer than time") from error


def _moment(text: str) -> datetime:
    expected = (
        "a duration such as 30d or 12h, a date such as 2026-01-31, or an RFC 3339 time with its "
        "zone such as 2026-01-31T12:00:00Z"
    )
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(expected) from error
    raise ValueError(expected)
