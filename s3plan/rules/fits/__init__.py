"""What FITS files say of themselves: keywords, how long they must be, and the checksums they carry.

FITS Standard 4.0 (https://fits.gsfc.nasa.gov/fits_standard.html), as far as archiving needs it:
nothing here understands pixels. Files are read through :class:`Source`, a few thousand bytes each.
"""

from s3plan.rules.fits.checksums import ChecksumVerdict, checksum_faults
from s3plan.rules.fits.headers import FitsError, Header, KeywordValue
from s3plan.rules.fits.structure import BLOCK, FitsFile, Hdu, Source, read_structure

__all__ = [
    "BLOCK",
    "ChecksumVerdict",
    "FitsError",
    "FitsFile",
    "Hdu",
    "Header",
    "KeywordValue",
    "Source",
    "checksum_faults",
    "read_structure",
]
