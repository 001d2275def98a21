"""To which night a frame belongs: nights go from noon to noon, in the time of the observatory.

DATE-OBS is UTC (FITS Standard 4.0, section 9.1). The zone is one by its name, UTC, or the site's
own mean solar time, longitude / 15 hours: noon by the sun is when nobody images, and needs no map
of time zones. (Clocks on the wall differ from it by two hours at most, but in a few countries.)
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo

Zone = tzinfo | Literal["site"]
"""In what time noon is; ``site`` is each frame's own, from its longitude."""

HALF_A_DAY = timedelta(hours=12)
OLDEST = datetime(1950, 1, 1, tzinfo=UTC)
"""What a camera without a clock writes is older."""

_TIME = r"(\d\d):(\d\d):(\d\d)(?:\.(\d*))?"
_MOMENT = re.compile(rf"(\d{{4}})-(\d\d)-(\d\d)T{_TIME}Z?")
_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_OLD_DAY = re.compile(r"(\d\d)/(\d\d)/(\d\d)")
_CLOCK = re.compile(_TIME)


class NightError(ValueError):
    """Nobody can tell the night; the text says what is missing."""


def zone_named(name: str) -> Zone:
    """``site``, ``UTC``, or a zone of the IANA database. Raises ValueError for what is none."""
    if name == "site":
        return "site"
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("no time zone of that name is known here") from error


def observed_at(day: str | None, clock: str | None, now: datetime) -> datetime:
    """When the exposure began. ``day`` is DATE-OBS; ``clock`` TIME-OBS where that has no time.

    Raises NightError for none, for one that is no date, and for one that cannot be.
    """
    if day is None:
        raise NightError("DATE-OBS is missing")
    found = _MOMENT.fullmatch(day.strip())
    if found is not None:
        parts = found.groups()
    else:
        if clock is None:
            raise NightError(f"DATE-OBS is {day!r}: it has no time, and there is no TIME-OBS")
        time = _CLOCK.fullmatch(clock.strip())
        if time is None:
            raise NightError(f"TIME-OBS is {clock!r}, which is no time")
        parts = (*_day(day), *time.groups())
    try:
        moment = _moment(*parts)
    except (ValueError, OverflowError) as error:
        raise NightError(f"DATE-OBS is {day!r}, which is no date") from error
    if not OLDEST <= moment <= now + timedelta(days=1):
        raise NightError(f"DATE-OBS is {day!r}, which cannot be")
    return moment


def night_of(moment: datetime, zone: Zone, longitude: float | None) -> date:
    """The day on whose noon the night began. ``longitude`` is degrees, east positive.

    >>> night_of(datetime(2017, 8, 12, 4, 30, tzinfo=UTC), "site", -114.07).isoformat()
    '2017-08-11'

    Raises NightError where the site is wanted and not known.
    """
    if zone == "site":
        if longitude is None or not -360 <= longitude <= 360:
            raise NightError("SITELONG is missing, by which sessions.timezone: site goes")
        east = (longitude + 180) % 360 - 180
        local = moment.astimezone(UTC) + timedelta(hours=east / 15)
    else:
        # Without its zone: hours are subtracted from what the clock on the wall shows.
        local = moment.astimezone(zone).replace(tzinfo=None)
    return (local - HALF_A_DAY).date()


def degrees(written: str | None) -> float | None:
    """An angle as SITELAT and SITELONG have it: a number, or degrees, minutes and seconds.

    >>> degrees("-114 04 12"), degrees("51.05"), degrees("W")
    (-114.07, 51.05, None)
    """
    if written is None:
        return None
    parts = re.split(r"[\s:]+", written.strip())
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        return None
    if not 1 <= len(numbers) <= 3:
        return None
    size = sum(abs(number) / 60.0**power for power, number in enumerate(numbers))
    return round(-size if parts[0].startswith("-") else size, 9)


def _day(written: str) -> tuple[str, str, str]:
    found = _DAY.fullmatch(written.strip())
    if found is not None:
        return found[1], found[2], found[3]
    old = _OLD_DAY.fullmatch(written.strip())
    if old is None:
        raise NightError(f"DATE-OBS is {written!r}, which is no date")
    return f"19{old[3]}", old[2], old[1]  # DD/MM/YY is always of the last century


def _moment(
    year: str, month: str, day: str, hour: str, minute: str, second: str, part: str | None
) -> datetime:
    start = datetime(int(year), int(month), int(day), int(hour), int(minute), tzinfo=UTC)
    if int(second) > 60:
        raise ValueError(second)
    micro = int((part or "0").ljust(6, "0")[:6])
    return start + timedelta(seconds=int(second), microseconds=micro)
