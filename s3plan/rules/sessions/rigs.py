"""Which rig a frame was taken with, and the id of the session that its night and rig make.

The id is that of astro_cat, whose archives s3plan takes over: YYYYMMDD of the night and the first
eight digits of an MD5 over the rig's parts, ``FL:530|INST:ASI2600MM``. So sessions keep the ids
that their tars, notes and file headers (IMG_SESS) have already.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import date

GROUP_KEYS = ("INSTRUME", "FOCALLEN", "FWHEEL", "OBSERVER", "SITENAME")
"""By which keywords frames of one night are of different sessions."""

_LABELS = {
    "INSTRUME": "INST",
    "FOCALLEN": "FL",
    "FWHEEL": "FW",
    "OBSERVER": "OBS",
    "SITENAME": "SITE",
}
_NOTHING = frozenset({"", "N/A", "None", "ERROR"})


def rig_of(
    value: Callable[[str], str | None],
    keys: Sequence[str] = GROUP_KEYS,
    dimensions: Sequence[int] = (),
) -> str:
    """The parts of the rig in one text, empty where nothing is known of it.

    A camera without a name is known by its ``dimensions``; focal lengths are whole millimetres.

    >>> rig_of({"INSTRUME": "ASI2600MM", "FOCALLEN": "530.4"}.get)
    'FL:530|INST:ASI2600MM'
    """
    parts: list[str] = []
    for key in keys:
        found = (value(key) or "").strip()
        if key == "FOCALLEN":
            found = _whole(found)
        if found not in _NOTHING:
            parts.append(f"{_LABELS.get(key, key)}:{found}")
        elif key == "INSTRUME" and len(dimensions) >= 2:
            parts.append(f"DIM:{dimensions[0]}x{dimensions[1]}")
    return "|".join(sorted(parts))


def session_id(night: date, rig: str) -> str:
    """``YYYYMMDD_HASH8``.

    >>> session_id(date(2024, 3, 15), "FL:530|INST:ASI2600MM")
    '20240315_43AB9D79'
    """
    digest = hashlib.md5(rig.encode(), usedforsecurity=False).hexdigest()
    return f"{night:%Y%m%d}_{digest[:8].upper()}"


def _whole(written: str) -> str:
    try:
        size = int(float(written))
    except (ValueError, OverflowError):
        return written
    return str(size) if size else ""
