"""FITS files made card by card, and those that astropy ships, which are real and odd."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

BLOCK = 2880

Cards = Mapping[str, str | int | float | bool]


def card(keyword: str, value: str | float | bool) -> bytes:
    """One card in fixed format."""
    if isinstance(value, bool):
        text = f"{'T' if value else 'F':>20}"
    elif isinstance(value, str):
        escaped = value.replace("'", "''")
        text = f"'{escaped:<8}'"
    else:
        text = f"{value!r:>20}"
    return f"{keyword:<8}= {text}".ljust(80).encode()


def header(cards: Cards, *more: bytes) -> bytes:
    """A whole header."""
    lines = b"".join(card(keyword, value) for keyword, value in cards.items()) + b"".join(more)
    lines += b"END".ljust(80)
    return lines.ljust(-(-len(lines) // BLOCK) * BLOCK)


def image(cards: Cards | None = None, *, width: int = 40, height: int = 30, fill: int = 1) -> bytes:
    """A file with one 16-bit image."""
    first: dict[str, str | int | float | bool] = {
        "SIMPLE": True,
        "BITPIX": 16,
        "NAXIS": 2,
        "NAXIS1": width,
        "NAXIS2": height,
    }
    data = fill.to_bytes(2, "big") * (width * height)
    return header(first | dict(cards or {})) + data.ljust(-(-len(data) // BLOCK) * BLOCK, b"\0")


def light(
    taken: str = "2024-03-16T03:04:05.123", camera: str = "ASI2600MM", **cards: str | float
) -> bytes:
    """A light frame as a capture program writes it."""
    return image(
        {
            "DATE-OBS": taken,
            "INSTRUME": camera,
            "FOCALLEN": 530.0,
            "IMAGETYP": "Light Frame",
            "OBJECT": "M 31",
            "EXPTIME": 300.0,
            "SITELONG": -114.07,
            **cards,
        }
    )


class Bytes:
    """A file in memory, as rules.fits reads it; counts what was read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.count = 0

    def read(self, offset: int, length: int) -> bytes:
        found = self.data[offset : offset + length]
        self.count += len(found)
        return found

    def reaches(self, size: int) -> bool:
        return len(self.data) >= size


def shipped() -> list[Path]:
    """The FITS files inside the astropy package."""
    root = Path(str(files("astropy")))
    found = [
        path
        for path in root.rglob("*")
        if path.name.lower().endswith((".fits", ".fits.gz", ".fit", ".fz"))
    ]
    return sorted(found)
