"""DATASUM and CHECKSUM: what a FITS file says its own bytes add up to.

FITS Standard 4.0, section 4.4.2.7 and appendix J: a 32-bit ones' complement sum. That is a sum
modulo 2**32 - 1, so that halves of a large number may be added to each other, at the speed of
memory, until 32 bits are left.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from s3plan.rules.fits.structure import BLOCK, FitsFile, Hdu, Source, pieces

ChecksumVerdict = Literal["absent", "right", "wrong"]

_ALL_ONES = 2**32 - 1
_PIECE = 364 * BLOCK
"""Bytes that are added at once: about a MiB."""


def checksum_faults(source: Source, file: FitsFile) -> tuple[ChecksumVerdict, tuple[str, ...]]:
    """Compare every unit that carries sums with them; reads those units whole.

    Files of capture programs mostly carry none: ``absent`` is no fault.
    """
    faults: list[str] = []
    seen = False
    for number, hdu in enumerate(file.hdus):
        if "DATASUM" in hdu.header or "CHECKSUM" in hdu.header:
            said = list(_faults(source, number, hdu))
            seen = seen or said != [_NOTHING_SAID]
            faults += [fault for fault in said if fault != _NOTHING_SAID]
    return ("wrong" if faults else "right" if seen else "absent"), tuple(faults)


def ones_complement_sum(data: bytes, start: int = 0) -> int:
    """The sum of 32-bit big-endian words, carried around; ``start`` is an earlier sum.

    The last word is filled with zeros.
    """
    value = int.from_bytes(data + bytes(-len(data) % 4), "big")
    words = -(-len(data) // 4)
    while words > 1:
        half = words // 2
        value = (value >> 32 * half) + (value & ((1 << 32 * half) - 1))
        words = max(half, -(-value.bit_length() // 32))
    return _around(_around(value) + start)


_NOTHING_SAID = ""
"""In place of a fault: the keywords are there and empty, which the standard calls undefined."""


def _faults(source: Source, number: int, hdu: Hdu) -> Iterator[str]:
    where = f"extension {number}" if number else "the primary array"
    header_sum = ones_complement_sum(source.read(hdu.header_at, hdu.data_at - hdu.header_at))
    data_sum = 0
    for piece in pieces(source, hdu.data_at, hdu.end, _PIECE):
        data_sum = ones_complement_sum(piece, data_sum)
    said = hdu.header.text("DATASUM")
    checked = hdu.header.text("CHECKSUM")
    if said is None and checked is None:
        yield _NOTHING_SAID
    if said is not None and said.strip() != str(data_sum):
        yield f"the data of {where} are not what DATASUM says"
    # With CHECKSUM in it, the whole unit adds up to all ones, which is ones' complement's zero.
    if checked is not None and _around(header_sum + data_sum) not in (0, _ALL_ONES):
        yield f"{where} is not what CHECKSUM says"


def _around(value: int) -> int:
    while value > _ALL_ONES:
        value = (value >> 32) + (value & _ALL_ONES)
    return value
