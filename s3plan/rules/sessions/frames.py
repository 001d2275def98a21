"""What one file tells of the frame in it: night, rig, kind of frame, and what an index keeps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from s3plan.rules.fits.structure import FitsFile
from s3plan.rules.sessions.nights import NightError, Zone, degrees, night_of, observed_at
from s3plan.rules.sessions.rigs import rig_of, session_id

KEPT = {
    "OBJECT": ("OBJECT", "TARGET"),
    "DATE-OBS": ("DATE-OBS", "DATE_OBS", "DATEOBS"),
    "INSTRUME": ("INSTRUME",),
    "TELESCOP": ("TELESCOP",),
    "FILTER": ("FILTER",),
    "EXPTIME": ("EXPTIME", "EXPOSURE"),
    "FOCALLEN": ("FOCALLEN",),
    "GAIN": ("GAIN",),
    "OFFSET": ("OFFSET",),
    "CCD-TEMP": ("CCD-TEMP", "SET-TEMP"),
    "XBINNING": ("XBINNING", "BINNING"),
    "SWCREATE": ("SWCREATE", "CREATOR"),
}
"""Keywords that an index keeps, and how programs spell each."""

LONGEST_VALUE = 200
"""Characters of a keyword's value that are kept."""

_TYPES = {
    "LIGHT": "LIGHT",
    "SCIENCE": "LIGHT",
    "OBJECT": "LIGHT",
    "DARK": "DARK",
    "BIAS": "BIAS",
    "ZERO": "BIAS",
    "OFFSET": "BIAS",
    "FLAT": "FLAT",
    "DARKFLAT": "DARKFLAT",
    "FLATDARK": "DARKFLAT",
}

_FILLING = re.compile(r"[^A-Z]|FRAME|FIELD|MASTER")


class Frame(Struct, frozen=True):
    """``session`` is the id by night and rig; None where nobody can tell, and ``unknown`` says why.

    ``night`` is a date as YYYY-MM-DD. ``keywords`` are those of KEPT that the file has, with
    IMAGETYP as :func:`image_type` says it.
    """

    keywords: dict[str, str]
    session: str | None = None
    night: str | None = None
    unknown: str | None = None


def frame_of(file: FitsFile, zone: Zone, keys: Sequence[str], now: datetime) -> Frame:
    """The frame. ``keys`` are the keywords that make sessions of one night different."""
    keywords: dict[str, str] = {}
    for name, spellings in KEPT.items():
        found = file.text(*spellings)
        if found is not None:
            keywords[name] = found[:LONGEST_VALUE]
    kind = image_type(file.text("IMAGETYP", "FRAMETYPE", "FRAME"))
    if kind != "UNKNOWN":
        keywords["IMAGETYP"] = kind[:LONGEST_VALUE]
    try:
        moment = observed_at(
            file.text(*KEPT["DATE-OBS"]), file.text("TIME-OBS", "UT", "UTC-OBS"), now
        )
        night = night_of(moment, zone, degrees(file.text("SITELONG", "LONG-OBS", "OBSGEO-L")))
        rig = rig_of(file.text, keys, file.dimensions)
        if not rig:
            raise NightError(f"none of {', '.join(keys)} says which rig it is")
    except NightError as error:
        return Frame(keywords, unknown=str(error))
    return Frame(keywords, session_id(night, rig), night.isoformat())


def image_type(written: str | None) -> str:
    """``LIGHT``, ``DARK``, ``BIAS``, ``FLAT``, ``DARKFLAT``, else as it is written in upper case.

    >>> image_type("Light Frame"), image_type("flat-field"), image_type("Zero"), image_type("SNAP")
    ('LIGHT', 'FLAT', 'BIAS', 'SNAP')
    >>> image_type(None)
    'UNKNOWN'
    """
    if written is None or not written.strip():
        return "UNKNOWN"
    upper = written.upper().strip()
    return _TYPES.get(_FILLING.sub("", upper), upper)
