"""One FITS header: its cards found at once, the value of a keyword read when somebody asks for it.

A capture has a hundred cards and ten are wanted, which is why nothing is parsed in advance.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

CARD = 80
"""Bytes of a card (FITS Standard 4.0, section 4.1)."""

KeywordValue = str | int | float | bool | None
"""What a keyword says. None is a keyword without value; a complex number stays text."""

_STRING = re.compile(rb"'((?:[^']|'')*)'")
_INTEGER = re.compile(rb"[+-]?\d+")
_END = b"END".ljust(CARD)


class FitsError(ValueError):
    """The bytes are no FITS file, or not all of one; the text is a sentence."""


def end_of_header(data: bytes, start: int = 0) -> int | None:
    """Where the END card stands in ``data``, which begins with a card; None where it does not.

    ``start`` is a multiple of 80 before which nothing is searched.
    """
    found = data.find(b"END     ", start)
    while found >= 0:
        if found % CARD == 0 and not data[found : found + CARD].strip(b"END \x00"):
            return found
        found = data.find(b"END     ", found + 1)
    return None


class Header:
    """The cards of one header, without END."""

    def __init__(self, data: bytes) -> None:
        """``data`` is a whole number of cards."""
        self._data = data
        self._places: dict[str, int] = {}
        place = self._places.setdefault
        for at in range(0, len(data), CARD):
            keyword = data[at : at + 8]
            if keyword == b"HIERARCH":
                # The ESO convention (https://fits.gsfc.nasa.gov/registry/hierarch_keyword.html):
                # HIERARCH ESO INS NAME = value
                name = data[at + 8 : at + CARD].partition(b"=")[0]
                place(" ".join(_text(name).upper().split()), at)
            else:
                place(keyword.decode("latin-1").rstrip().upper(), at)

    def __contains__(self, keyword: str) -> bool:
        """Whether there is such a card."""
        return keyword in self._places

    def get(self, keyword: str) -> KeywordValue:
        """The value of the first such card; None where there is none, or one without value.

        A string goes on in CONTINUE cards where it ends in ``&`` (section 4.2.1.2). A value that
        the standard does not know stays text.
        """
        at = self._places.get(keyword)
        if at is None:
            return None
        card = self._data[at : at + CARD]
        if card.startswith(b"HIERARCH"):
            written = card.partition(b"=")[2].strip()
        elif card[8:9] == b"=":
            written = card[9:].strip()
        else:
            return None  # COMMENT, HISTORY, or a keyword without value
        if not written.startswith(b"'"):
            return _plain(written.partition(b"/")[0].strip())
        pieces = [_string(written)]
        for more in self._continued(at + CARD):
            if not pieces[-1].endswith("&"):
                break
            pieces[-1] = pieces[-1][:-1]
            pieces.append(more)
        return "".join(pieces).rstrip(" ")

    def integer(self, keyword: str) -> int | None:
        """A whole number; None where there is none. Raises FitsError for anything else."""
        value = self.get(keyword)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise FitsError(f"{keyword} is {value!r}, not a whole number")
        return value

    def text(self, keyword: str) -> str | None:
        """The value as text; None where there is none or it is blank."""
        value = self.get(keyword)
        if value is None or value == "":
            return None
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        return str(value)

    def number(self, keyword: str) -> float | None:
        """The value as a number, also where it is written as text; None where it is none."""
        value = self.get(keyword)
        if isinstance(value, bool) or value is None:
            return None
        try:
            return float(value)
        except (ValueError, OverflowError):
            return None

    def _continued(self, at: int) -> Iterator[str]:
        while self._data[at : at + 8] == b"CONTINUE":
            yield _string(self._data[at + 8 : at + CARD].strip())
            at += CARD


def _string(written: bytes) -> str:
    found = _STRING.match(written)
    # Without its closing quote a string ends with the card.
    return _text(found[1] if found else written[1:]).replace("''", "'").rstrip(" ")


def _plain(written: bytes) -> KeywordValue:
    if not written:
        return None
    if written in (b"T", b"F"):
        return written == b"T"
    try:
        if _INTEGER.fullmatch(written):
            return int(written)
        return float(written.replace(b"D", b"E").replace(b"d", b"e"))
    except ValueError:
        return _text(written)


def _text(data: bytes) -> str:
    """Only ASCII is allowed; capture programs write what they have."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
