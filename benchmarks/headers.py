"""``python -m benchmarks.headers``: FITS headers read by s3plan and by astropy, side by side.

Each file is opened, its header read and the keywords asked for that a session goes by. What s3plan
does besides, it does here too: it finds out whether the file is as long as its header promises.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from astropy.io import fits

from s3plan.inventory.frames import read_frame
from s3plan.localfs.tree import Tree
from s3plan.rules.sessions import GROUP_KEYS, zone_named
from s3plan.rules.sessions.frames import KEPT

FILES = 1_000
CARDS = 90
ROUNDS = 5
GOAL = 0.5
"""At most this share of the time of astropy's getheader."""

MEMORY_DISK = Path("/dev/shm")


def main() -> int:
    """Exit 0 when the goal is met."""
    where = MEMORY_DISK if MEMORY_DISK.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="s3plan-bench-", dir=where) as directory:
        names = _write(Path(directory))
        ours = _median(lambda: _s3plan(Path(directory), names))
        theirs = _median(lambda: _astropy(Path(directory), names))
    share = ours / theirs
    print(f"{FILES:,} files of {CARDS + 6} cards, medians of {ROUNDS}")
    print(f"s3plan   {ours / FILES * 1000:.3f} ms a file")
    print(f"astropy  {theirs / FILES * 1000:.3f} ms a file")
    print(f"share    {share:.2f} (goal: at most {GOAL})")
    return 0 if share <= GOAL else 1


def _write(directory: Path) -> list[str]:
    header = fits.Header()
    for number in range(CARDS):
        header[f"KEY{number:03}"] = (number * 1.5, "as capture programs write them")
    header["DATE-OBS"] = "2024-03-16T03:04:05.123"
    header["INSTRUME"] = "ZWO ASI2600MM Pro"
    header["FOCALLEN"] = 530.0
    header["IMAGETYP"] = "LIGHT"
    header["NAXIS"] = 0
    header["SITELONG"] = -114.07
    fits.PrimaryHDU(header=header).writeto(directory / "0.fits")
    data = (directory / "0.fits").read_bytes()
    names = [f"{number}.fits" for number in range(FILES)]
    for name in names:
        (directory / name).write_bytes(data)
    return names


def _s3plan(directory: Path, names: list[str]) -> None:
    now, zone = datetime.now(UTC), zone_named("site")
    with Tree.open(directory, create=False) as tree:
        for name in names:
            frame, broken = read_frame(tree, name, zone, GROUP_KEYS, now)
            assert frame.session is not None
            assert broken is None


def _astropy(directory: Path, names: list[str]) -> None:
    keywords = [spelling for spellings in KEPT.values() for spelling in spellings]
    for name in names:
        header = fits.getheader(directory / name)
        for keyword in keywords:
            header.get(keyword)


def _median(run: Callable[[], None]) -> float:
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    sys.exit(main())
