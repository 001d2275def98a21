"""Which session a frame is of: one rig in one night, from noon to noon."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest

from s3plan.rules.fits import read_structure
from s3plan.rules.sessions import frame_of, frames, nights, rigs
from s3plan.rules.sessions.nights import NightError, Zone, degrees, night_of, observed_at
from s3plan.rules.sessions.rigs import GROUP_KEYS, rig_of
from tests.sessions.fitsfiles import Bytes, light

NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.mark.parametrize("module", [frames, nights, rigs], ids=lambda module: module.__name__)
def test_what_docstrings_show_is_so(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("moment", "zone", "longitude", "night"),
    [
        ("2024-03-16T03:04:05", "site", -114.0, "2024-03-15"),
        ("2024-03-16T19:35:59", "site", -114.0, "2024-03-15"),  # a second before noon by the sun
        ("2024-03-16T19:36:01", "site", -114.0, "2024-03-16"),
        ("2024-03-15T13:00:00", "site", 151.2, "2024-03-15"),  # Sydney, late in the evening
        ("2024-03-16T03:04:05", UTC, None, "2024-03-15"),
        ("2024-03-16T12:00:00", UTC, None, "2024-03-16"),
        # Clocks went forward in that night; noon is noon.
        ("2024-03-31T09:59:59", ZoneInfo("Europe/Berlin"), None, "2024-03-30"),
        ("2024-03-31T10:00:00", ZoneInfo("Europe/Berlin"), None, "2024-03-31"),
    ],
)
def test_a_night_goes_from_noon_to_noon(
    moment: str, zone: Zone, longitude: float | None, night: str
) -> None:
    """D1: by the sun at the site, by a named zone, or by UTC."""
    taken = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert night_of(taken, zone, longitude).isoformat() == night


@pytest.mark.parametrize(
    ("day", "clock", "moment"),
    [
        ("2024-03-16T03:04:05.1234567", None, "2024-03-16T03:04:05.123456+00:00"),
        ("2024-03-16T03:04:05Z", None, "2024-03-16T03:04:05+00:00"),
        ("2016-12-31T23:59:60", None, "2017-01-01T00:00:00+00:00"),
        ("2024-03-16", "03:04:05", "2024-03-16T03:04:05+00:00"),
        ("16/03/98", "03:04:05.5", "1998-03-16T03:04:05.500000+00:00"),
    ],
)
def test_dates_as_programs_write_them(day: str, clock: str | None, moment: str) -> None:
    assert observed_at(day, clock, NOW).isoformat() == moment


@pytest.mark.parametrize(
    ("day", "clock", "why"),
    [
        (None, None, "DATE-OBS is missing"),
        ("2024-03-16", None, "it has no time"),
        ("2024-13-16T00:00:00", None, "which is no date"),
        ("0001-01-01T00:00:00", None, "which cannot be"),
        ("2030-01-01T00:00:00", None, "which cannot be"),
        ("soon", "00:00:00", "which is no date"),
        ("2024-03-16", "late", "which is no time"),
    ],
)
def test_a_date_that_nobody_can_use_is_told(day: str | None, clock: str | None, why: str) -> None:
    with pytest.raises(NightError, match=why):
        observed_at(day, clock, NOW)


def test_without_its_longitude_a_site_has_no_noon() -> None:
    with pytest.raises(NightError, match="SITELONG is missing"):
        night_of(NOW, "site", None)
    assert degrees("-114:04:12") == -114.07


def test_the_id_is_that_of_the_catalogue_it_comes_from() -> None:
    """astro_cat's own formula: parts with their labels, sorted, MD5 (D1, D11)."""
    values = {
        "INSTRUME": "ZWO ASI2600MM Pro",
        "FOCALLEN": "530",
        "FWHEEL": "EFW",
        "OBSERVER": "N/A",
        "SITENAME": "Home",
    }
    assert rig_of(values.get) == "FL:530|FW:EFW|INST:ZWO ASI2600MM Pro|SITE:Home"
    nothing: dict[str, str] = {}
    assert rig_of(nothing.get, dimensions=(6248, 4176)) == "DIM:6248x4176"
    assert rig_of(values.get, ("OBJECT", "INSTRUME")) == "INST:ZWO ASI2600MM Pro"


def test_a_frame_tells_its_session_and_what_an_index_keeps() -> None:
    file = read_structure(Bytes(light()))
    frame = frame_of(file, "site", GROUP_KEYS, NOW)
    assert frame.session == "20240315_43AB9D79"
    assert frame.night == "2024-03-15"
    assert frame.keywords == {
        "OBJECT": "M 31",
        "DATE-OBS": "2024-03-16T03:04:05.123",
        "INSTRUME": "ASI2600MM",
        "EXPTIME": "300",
        "FOCALLEN": "530",
        "IMAGETYP": "LIGHT",
    }


def test_what_makes_a_frame_unknown_is_said() -> None:
    dark = read_structure(Bytes(light("")))
    assert frame_of(dark, "site", GROUP_KEYS, NOW).unknown == "DATE-OBS is missing"
    found = frame_of(read_structure(Bytes(light())), "site", ("SITENAME",), NOW)
    assert found.unknown == "none of SITENAME says which rig it is"
