"""A library of sixty nights over five years, by the headers of its files: archived, and read again
by programs that know nothing of s3plan.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from astropy.io import fits

from s3plan import api
from tests.engine.conftest import scene
from tests.engine.scene import Scene
from tests.sessions.fitsfiles import light
from tests.sessions.test_archiving import apply, plan, write

__all__ = ["scene"]  # a fixture

NIGHTS, FRAMES = 60, 40


@pytest.mark.long
def test_sixty_nights(scene: Scene, tmp_path: Path) -> None:
    """D1, D21, D30: 2,400 files; tar, sha256sum and astropy agree with each index."""
    night = datetime(2020, 1, 10, 4, tzinfo=UTC)
    for number in range(NIGHTS):
        for frame in range(FRAMES):
            taken = night + timedelta(days=30 * number, minutes=5 * frame)
            camera = f"camera-{number % 3}"
            data = light(taken.strftime("%Y-%m-%dT%H:%M:%S.000"), camera, EXPTIME=300.0 + frame)
            write(scene, f"{camera}/{taken:%Y-%m-%d}/light_{frame:03}.fits", data)
    result = plan(scene, "sessions: {by: header}")
    assert result.plan is not None
    assert len(result.plan.steps) == NIGHTS
    assert result.plan.header.totals.items == NIGHTS * FRAMES
    apply(scene, result)
    assert plan(scene, "sessions: {by: header}").plan is None
    seen = api.sessions(Path("manifest.yaml"))
    assert {one.year for one in seen} == {"2020", "2021", "2022", "2023", "2024"}
    assert {one.state for one in seen} == {"same"}
    objects = scene.objects()
    for one in seen[:3]:
        path = tmp_path / "archive.tar"
        path.write_bytes(objects[one.key].body)
        index = [json.loads(line) for line in objects[f"{one.key}.index.jsonl"].body.splitlines()]
        members = {line["name"]: line for line in index if line["type"] == "member"}
        listed = subprocess.run(
            ["tar", "tf", str(path)], check=True, capture_output=True, text=True
        ).stdout.split()
        assert listed == list(members)
        with tarfile.open(path) as tar:
            tar.extractall(tmp_path / one.session, filter="data")
        subprocess.run(
            ["sha256sum", "--check", "--quiet", "SHA256SUMS"],
            cwd=tmp_path / one.session / one.session,
            check=True,
        )
        for name, member in members.items():
            data = (tmp_path / one.session / name).read_bytes()
            assert sha256(data).hexdigest() == member["sha256"]
            assert objects[one.key].body[member["offset"] :][: member["size"]] == data
            if name.endswith(".fits"):
                header = fits.getheader(io.BytesIO(data))
                assert header["INSTRUME"] == member["keywords"]["INSTRUME"]
                assert header["DATE-OBS"] == member["keywords"]["DATE-OBS"]
                assert header["EXPTIME"] == float(member["keywords"]["EXPTIME"])
