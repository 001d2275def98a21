"""How quantities read: counts with thousands, bytes in IEC units, times, rates.

Bytes use powers of 1024 with one decimal (IEC 80000-13); times are rounded to what a person plans
by. The same figure reads the same in every view.
"""

from __future__ import annotations

from s3plan.model.cost import Dollars
from s3plan.rules.counting import counted

__all__ = ["counted", "dollars", "duration", "elapsed", "number", "size"]

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def dollars(amount: Dollars) -> str:
    """Write ``$0.40``, ``$0.00 to $92.16``, ``-$1.20 to -$1.10``, ``under $0.01``."""
    low, high = _dollars(amount.low), _dollars(amount.high)
    return low if low == high else f"{low} to {high}"


def _dollars(value: float) -> str:
    if value and abs(value) < 0.005:
        return "under $0.01" if value > 0 else "over -$0.01"
    sign = "-" if value < 0 else ""
    return f"{sign}${abs(value):,.2f}"


def number(value: int) -> str:
    """Write ``1204`` as ``1,204``."""
    return f"{value:,}"


def size(value: float) -> str:
    """Write bytes in IEC units: ``512 B``, ``18.2 GiB``."""
    amount = float(value)
    for unit in _UNITS:
        # 1023.95 would be written 1024.0 of this unit.
        if amount < 1023.95 or unit == _UNITS[-1]:
            return f"{int(amount)} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError


def duration(seconds: float) -> str:
    """Write seconds as ``under 1 s``, ``42 s``, ``3 min``, ``2 h 5 min`` or ``3 d 4 h``."""
    whole = round(seconds)
    if whole < 1:
        return "under 1 s"
    if whole < 90:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def elapsed(seconds: float) -> str:
    """Write a measured time: tenths below a minute, as ``duration`` above."""
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)
