"""The FITS files of a directory into a table: whole ones, broken ones, and who they belong to."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from s3plan.inventory.frames import is_fits, observe_frames
from s3plan.localfs.tree import Tree
from s3plan.rules.sessions import GROUP_KEYS
from s3plan.tables import Database
from tests.sessions.fitsfiles import light

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def test_every_file_is_told_of(tmp_path: Path) -> None:
    """Broken ones with their reason: nothing is left out in silence (D50, E16)."""
    library = tmp_path / "library"
    library.mkdir()
    (library / "a.fits").write_bytes(light())
    (library / "b.fits.gz").write_bytes(gzip.compress(light("2024-03-17T03:00:00")))
    (library / "c.fits").write_bytes(light()[:-2000])
    (library / "d.fits").write_bytes(light(""))
    (library / "e.fits").symlink_to(library / "a.fits")
    names = ["a.fits", "b.fits.gz", "c.fits", "d.fits", "e.fits"]
    with Tree.open(library, create=False) as tree, Database(tmp_path / "scratch") as database:
        observe_frames(tree, str(library), names, "site", GROUP_KEYS, NOW, database)
        rows = list(
            database.rows(
                "SELECT path, session, night, unknown, broken, keywords FROM frames ORDER BY path"
            )
        )
    assert [row[:5] for row in rows] == [
        ("a.fits", "20240315_43AB9D79", "2024-03-15", None, None),
        ("b.fits.gz", "20240316_43AB9D79", "2024-03-16", None, None),
        (
            "c.fits",
            None,
            None,
            "it cannot be read as FITS",
            "it is truncated: the primary array has 2,400 bytes of data by its header, and the"
            " file ends before that",
        ),
        ("d.fits", None, None, "DATE-OBS is missing", None),
        ("e.fits", None, None, "it is gone", "it is gone since the directory was read"),
    ]
    assert json.loads(rows[0][5])["OBJECT"] == "M 31"


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("x/A.FIT", True), ("a.fits.fz", True), ("a.fts.gz", True), ("a.xisf", False)],
)
def test_names_of_fits_files(name: str, is_one: bool) -> None:
    assert is_fits(name) == is_one
