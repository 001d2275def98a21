"""The header and data units of a FITS file, one after the other, and whether they are all there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from msgspec import Struct

from s3plan.rules.fits.headers import CARD, FitsError, Header, KeywordValue, end_of_header

BLOCK = 2880
"""Bytes of a block: headers and data fill whole ones (FITS Standard 4.0, section 3.1)."""

FIRST = 4 * BLOCK
"""Bytes that are asked for at once: the header of a capture, mostly."""

LONGEST_HEADER = 8192 * BLOCK
MOST_AXES = 999


class Source(Protocol):
    """A file as far as it is needed. Both methods may be slow only where they go forward."""

    def read(self, offset: int, length: int) -> bytes:
        """So many bytes from there; fewer only at the end."""

    def reaches(self, size: int) -> bool:
        """Whether the file has at least so many bytes."""


class Hdu(Struct, frozen=True):
    """A header and its data: where they begin and, of the data, how many bytes they are."""

    header: Header
    header_at: int
    data_at: int
    data_bytes: int

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.data_at + _whole(self.data_bytes)

    @property
    def is_compressed_image(self) -> bool:
        """Whether it is a table that holds an image (section 10.1, as fpack writes it)."""
        return self.header.get("ZIMAGE") is True


class FitsFile(Struct, frozen=True):
    """All units of a file. ``unpadded``: the last block is shorter than the standard has it."""

    hdus: tuple[Hdu, ...]
    unpadded: bool = False

    def get(self, keyword: str) -> KeywordValue:
        """What the first header that has the keyword says: the primary, then the extensions."""
        holder = self._holder(keyword)
        return holder.get(keyword) if holder is not None else None

    def text(self, *keywords: str) -> str | None:
        """The first of these keywords that says something, as text."""
        return next((found for one in keywords if (found := self._of(one).text(one))), None)

    def number(self, *keywords: str) -> float | None:
        """The first of these keywords that is a number."""
        numbers = (self._of(one).number(one) for one in keywords)
        return next((found for found in numbers if found is not None), None)

    @property
    def dimensions(self) -> tuple[int, ...]:
        """The axes of the first image, uncompressed; nothing where there is none."""
        for hdu in self.hdus:
            if hdu.is_compressed_image:
                return _axes(hdu.header, "Z")
            if hdu.data_bytes and hdu.header.get("XTENSION") in (None, "IMAGE"):
                return _axes(hdu.header)
        return ()

    def _holder(self, keyword: str) -> Header | None:
        return next((hdu.header for hdu in self.hdus if keyword in hdu.header), None)

    def _of(self, keyword: str) -> Header:
        return self._holder(keyword) or self.hdus[0].header


def read_structure(source: Source) -> FitsFile:
    """Walk through a file, reading its headers and none of its data.

    Raises FitsError where it is no FITS file, or one of which not everything is there: a capture
    that was broken off, a disk that was full.
    """
    hdus: list[Hdu] = []
    at = 0
    while not hdus or _goes_on(source, at):
        hdu = _read_hdu(source, at)
        if not source.reaches(hdu.data_at + hdu.data_bytes):
            which = f"extension {len(hdus)}" if hdus else "the primary array"
            raise FitsError(
                f"it is truncated: {which} has {hdu.data_bytes:,} bytes of data by its header,"
                " and the file ends before that"
            )
        hdus.append(hdu)
        at = hdu.end
    return FitsFile(tuple(hdus), unpadded=not source.reaches(at))


def _goes_on(source: Source, at: int) -> bool:
    """Whether an extension follows; what else may stand there (section 3.5) is not looked at."""
    return source.read(at, 8) == b"XTENSION"


def _read_hdu(source: Source, at: int) -> Hdu:
    data = source.read(at, FIRST)
    if at == 0 and data[:9] != b"SIMPLE  =":
        raise FitsError("it does not begin with SIMPLE")
    searched = 0
    while (end := end_of_header(data, searched)) is None:
        searched = len(data) // CARD * CARD
        more = source.read(at + len(data), max(FIRST, len(data)))
        if not more or len(data) > LONGEST_HEADER:
            raise FitsError("a header has no END")
        data += more
    header = Header(data[:end])
    return Hdu(header, at, at + _whole(end + CARD), _data_bytes(header))


def _data_bytes(header: Header) -> int:
    """|BITPIX| / 8 x GCOUNT x (PCOUNT + NAXIS1 x ... x NAXISn); sections 4.4.1.1, 6.1 and 7."""
    bits = header.integer("BITPIX")
    if bits not in (8, 16, 32, 64, -32, -64):
        raise FitsError(f"BITPIX is {bits}")
    axes = _axes(header)
    if header.get("GROUPS") is True and axes and axes[0] == 0:
        axes = axes[1:]  # random groups
    if not axes:
        return 0
    elements = 1
    for axis in axes:
        elements *= axis
    more, groups = header.integer("PCOUNT") or 0, header.integer("GCOUNT")
    if more < 0 or (groups is not None and groups < 0):
        raise FitsError("PCOUNT or GCOUNT is negative")
    return abs(bits) // 8 * (1 if groups is None else groups) * (more + elements)


def _axes(header: Header, prefix: str = "") -> tuple[int, ...]:
    count = header.integer(f"{prefix}NAXIS")
    if count is None or not 0 <= count <= MOST_AXES:
        raise FitsError(f"{prefix}NAXIS is {count}")
    axes = tuple(header.integer(f"{prefix}NAXIS{n}") for n in range(1, count + 1))
    found = tuple(axis for axis in axes if axis is not None and axis >= 0)
    if len(found) != count:
        raise FitsError(f"{prefix}NAXIS is {count}, and an axis is missing or negative")
    return found


def _whole(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def pieces(source: Source, start: int, end: int, step: int) -> Iterator[bytes]:
    """The bytes from ``start`` to ``end`` in pieces of ``step``; the end of the file ends them."""
    for offset in range(start, end, step):
        piece = source.read(offset, min(step, end - offset))
        if not piece:
            return
        yield piece
