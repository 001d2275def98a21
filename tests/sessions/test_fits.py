"""FITS headers, the length that they promise, and their sums: as astropy reads them, in less time.

The files that astropy ships for its own tests are real ones (HST, Chandra, scanned plates) and odd
ones: random groups, variable length arrays, compressed images, broken sums.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from s3plan.rules.fits import FitsError, FitsFile, checksum_faults, read_structure
from s3plan.rules.fits.checksums import ones_complement_sum
from s3plan.rules.fits.packed import Unpacked
from s3plan.rules.fits.structure import FIRST
from tests.sessions.fitsfiles import BLOCK, Bytes, card, header, image, light, shipped

NO_FITS = {"idcompspec.fits"}
"""A text of IRAF's, whatever its name."""

ASTROPY_CANNOT = {"memtest.fits", "group_invalid.fits"}

LINKED = ("D2IM", "DP1", "DP2")
"""Record-valued cards: a convention of HST's, which astropy reads as several keywords."""


def open_shipped(path: Path) -> Bytes:
    data = path.read_bytes()
    return Bytes(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.name)
def test_real_and_odd_files_are_read_as_astropy_reads_them(path: Path) -> None:
    """Same units at the same places, same keywords, same verdict on DATASUM and CHECKSUM (D1)."""
    source = open_shipped(path)
    if path.name in NO_FITS:
        with pytest.raises(FitsError, match="does not begin with SIMPLE"):
            read_structure(source)
        return
    file = read_structure(source)
    if path.name in ASTROPY_CANNOT:
        return
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with fits.open(path, checksum=True, disable_image_compression=True) as theirs:
            assert len(theirs) == len(file.hdus)
            for hdu, ours in zip(theirs, file.hdus, strict=True):
                if not file.get("SIMPLE"):
                    continue  # it says itself that it is none: astropy keeps off the data
                place = hdu.fileinfo()
                assert (ours.data_at, ours.end - ours.data_at) == (
                    place["datLoc"],
                    place["datSpan"],
                )
                for keyword in dict.fromkeys(hdu.header):
                    if keyword in ("", "COMMENT", "HISTORY", "CONTINUE"):
                        continue
                    if keyword.startswith(LINKED):
                        continue
                    try:
                        value = hdu.header[keyword]
                    except fits.VerifyError:
                        continue
                    if isinstance(value, fits.card.Undefined):
                        value = None
                    assert ours.header.get(keyword) == value, keyword
    wrong = any("verification failed" in str(warning.message) for warning in told)
    assert (checksum_faults(source, file)[0] == "wrong") == wrong


def test_only_the_header_of_a_capture_is_read() -> None:
    """What makes a scan of 25,000 files quick: 12 KB of each."""
    source = Bytes(image(width=2000, height=1000))
    read_structure(source)
    assert source.count <= FIRST


def test_a_capture_that_was_broken_off_is_found_by_its_size() -> None:
    """A16 bit image says how long it must be; 1 byte less is truncated (D50)."""
    whole = image(width=40, height=30)
    with pytest.raises(FitsError, match="truncated: the primary array has 2,400 bytes"):
        read_structure(Bytes(whole[: BLOCK + 2399]))
    # All of the image, and not all of the filling behind it: nothing is lost.
    assert read_structure(Bytes(whole[: BLOCK + 2400])).unpadded
    assert not read_structure(Bytes(whole)).unpadded


def test_a_header_without_end_or_sense_is_refused() -> None:
    with pytest.raises(FitsError, match="no END"):
        read_structure(Bytes(image()[:2880].replace(b"END", b"ENX")))
    with pytest.raises(FitsError, match="NAXIS is 2, and an axis is missing"):
        read_structure(Bytes(header({"SIMPLE": True, "BITPIX": 8, "NAXIS": 2, "NAXIS1": 3})))
    with pytest.raises(FitsError, match="BITPIX is 7"):
        read_structure(Bytes(header({"SIMPLE": True, "BITPIX": 7, "NAXIS": 0})))
    with pytest.raises(FitsError, match="BITPIX is 'x'"):
        read_structure(Bytes(header({"SIMPLE": True, "BITPIX": "x", "NAXIS": 0})))


def one(*cards: bytes) -> FitsFile:
    return read_structure(Bytes(header({"SIMPLE": True, "BITPIX": 8, "NAXIS": 0}, *cards)))


def test_long_strings_and_long_keywords() -> None:
    """CONTINUE (section 4.2.1.2) and HIERARCH; quotes are doubled inside quotes."""
    file = one(
        b"NOTE    = 'seeing was good &'".ljust(80),
        b"CONTINUE  'until ''midnight''&'".ljust(80),
        b"CONTINUE  '.' / the end".ljust(80),
        b"HIERARCH ESO INS OPTI1 NAME = 'GRISM' / the grism".ljust(80),
        b"GAIN    = 1.5D2".ljust(80),
        b"BLANK   =".ljust(80),
        b"object  = 'm 42'".ljust(80),
        b"GAIN    = 7".ljust(80),
        "OBSERVER= 'Zoë'".encode().ljust(80),
        "SITENAME= 'Zoë'".encode("latin-1").ljust(80),
    )
    assert file.get("NOTE") == "seeing was good until 'midnight'."
    assert file.get("ESO INS OPTI1 NAME") == "GRISM"
    assert file.get("GAIN") == 150.0  # the first one, as everywhere
    assert file.get("BLANK") is None
    assert file.get("OBJECT") == "m 42"
    assert (file.get("OBSERVER"), file.get("SITENAME")) == ("Zoë", "Zoë")


def test_what_a_compressed_image_was_is_told_by_its_extension() -> None:
    """An .fz file has nothing in its primary header; size and keywords are in the table's."""
    path = next(path for path in shipped() if path.name == "m13_rice.fits")
    file = read_structure(open_shipped(path))
    assert file.hdus[1].is_compressed_image
    assert file.dimensions == (300, 300)
    assert file.get("ZCMPTYPE") == "RICE_1"


def test_packed_files_are_unpacked_as_they_are_read() -> None:
    """gzip, also of several members, as pigz and cat make it; a torn or damaged one is refused."""
    data = light()
    packed = gzip.compress(data[:3000]) + gzip.compress(data[3000:]) + b"\0\0"
    source = Unpacked(lambda: iter([packed[:100], packed[100:]]))
    file = read_structure(source)
    assert file.text("OBJECT") == "M 31"
    assert source.read(0, 80) == data[:80]
    assert not source.reaches(len(data) + 1)
    with pytest.raises(FitsError, match="gzip data end in the middle"):
        read_structure(Unpacked(lambda: [packed[:-20]]))
    torn = bytearray(packed)
    torn[60:70] = bytes(10)
    with pytest.raises(FitsError, match="cannot be unpacked"):
        read_structure(Unpacked(lambda: [bytes(torn)]))


def test_a_large_packed_file_is_never_whole_in_memory() -> None:
    data = image(width=4000, height=3000)
    packed = gzip.compress(data, 1)
    source = Unpacked(lambda: [packed])
    assert source.reaches(len(data))
    assert len(source._buffer) < len(data) // 2
    assert checksum_faults(source, read_structure(source))[0] == "absent"


def test_sums_are_those_of_astropy(tmp_path: Path) -> None:
    """What fitscheck writes is right here; one bit more and it is wrong."""
    path = tmp_path / "summed.fits"
    hdu = fits.PrimaryHDU.fromstring(light())
    hdu.writeto(path, checksum=True)
    data = path.read_bytes()
    assert checksum_faults(Bytes(data), read_structure(Bytes(data))) == ("right", ())
    for place in (400, len(data) - 3000):
        bad = bytearray(data)
        bad[place] ^= 1
        verdict, faults = checksum_faults(Bytes(bytes(bad)), read_structure(Bytes(bytes(bad))))
        assert verdict == "wrong"
        assert faults


@pytest.mark.long
def test_fitscheck_agrees(tmp_path: Path) -> None:
    """The program writes sums into real files; on them, and on each with a bit changed, it says
    what is said here.
    """
    copies = []
    for name in ("test0.fits", "tb.fits", "ascii.fits", "table.fits"):
        path = next(one for one in shipped() if one.name == name)
        copies.append(tmp_path / name)
        copies[-1].write_bytes(path.read_bytes())
    assert _fitscheck("--write", "--ignore-missing", *copies).returncode == 0
    assert _fitscheck(*copies).returncode == 0
    for path in copies:
        data = bytearray(path.read_bytes())
        assert checksum_faults(Bytes(bytes(data)), read_structure(Bytes(bytes(data))))[0] == "right"
        data[-BLOCK] ^= 1
        path.write_bytes(data)
        assert checksum_faults(Bytes(bytes(data)), read_structure(Bytes(bytes(data))))[0] == "wrong"
    told = _fitscheck(*copies).stderr
    assert [path for path in copies if f"BAD '{path}'" in told] == copies


def _fitscheck(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("fitscheck")
    return subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, check=False
    )


@given(st.binary(max_size=400), st.integers(0, 2**32 - 1))
def test_the_sum_is_that_of_its_definition(data: bytes, start: int) -> None:
    """Appendix J: words added one by one, each carry added again."""
    words = data + bytes(-len(data) % 4)
    total = start
    for at in range(0, len(words), 4):
        total += int.from_bytes(words[at : at + 4], "big")
        total = (total >> 32) + (total & 0xFFFFFFFF)
    found = ones_complement_sum(data, start)
    assert found == total or {found, total} == {0, 0xFFFFFFFF}


@given(st.binary(max_size=6000), st.lists(st.binary(max_size=80), max_size=20))
def test_whatever_bytes_there_are_an_error_is_a_fits_error(tail: bytes, cards: list[bytes]) -> None:
    data = card("SIMPLE", True) + b"".join(one.ljust(80) for one in cards) + tail
    try:
        file = read_structure(Bytes(data))
        file.text("OBJECT")
        file.number("GAIN")
        _ = file.dimensions
    except FitsError:
        pass
