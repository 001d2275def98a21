"""Archives that another program made: read on request, and held against what is on disk."""

from __future__ import annotations

import gzip
import io
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.cli import main
from s3plan.model.verification import ArchivesVerified
from s3plan.rules.archiveindex import read_index
from tests.engine.conftest import scene
from tests.engine.scene import Scene
from tests.sessions.test_archiving import library, plan, write

__all__ = ["scene"]  # a fixture

NIGHT = "2023/20230110_AAAA0000"
KEY = f"raw/{NIGHT}.tar"


def foreign(scene: Scene, night: str, *, mode: Any = "w", **changed: bytes) -> bytes:
    """What ``tar`` makes of a session as it is on disk, but for files that ``changed``."""
    folder = scene.directory / "library" / night
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                info = tar.gettarinfo(path, f"{folder.name}/{path.relative_to(folder)}")
                data = changed.get(path.stem, path.read_bytes())
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def verify(**options: Any) -> ArchivesVerified:
    return api.verify_archives(Path("manifest.yaml"), adopted=True, **options)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_an_adopted_archive_is_verified_on_request(
    scene: Scene, mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """D49, E11: a plain tar of the replaced tool, against itself and against the disk."""
    library(scene)
    scene.put(KEY, foreign(scene, NIGHT, mode=mode))
    plan(scene)
    found = verify()
    assert (found.passes, found.unindexed, found.examined) == (True, 1, 1)
    assert main(["verify", "manifest.yaml", "--adopted"]) == 0
    assert "all that is on disk is in them" in capsys.readouterr().out


def test_what_is_wrong_with_an_adopted_archive_is_said(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    """D42: no whole tar, or a file that it does not hold as it is on disk."""
    library(scene)
    scene.put(KEY, foreign(scene, NIGHT)[:-11_000])
    other = "2024/20240211_AAAA0000"
    scene.put(f"raw/{other}.tar", foreign(scene, other, a=b"x" * 100))
    third = "2024/20240315_AAAA0000"
    scene.put(f"raw/{third}.tar", foreign(scene, third))
    write(scene, f"{third}/lights/late.fits", b"came after the archive")
    plan(scene)
    found = verify()
    assert (found.examined, found.faults) == (0, {"damaged": 1, "differs": 2})
    texts = {problem.key: problem.found for problem in found.problems}
    assert "no whole tar: it ends" in texts[KEY]
    assert "lights/a.fits has 5,760 bytes, in the archive 100" in texts[f"raw/{other}.tar"]
    assert "late.fits is on disk and not in the archive" in texts[f"raw/{third}.tar"]
    assert main(["verify", "manifest.yaml", "--adopted"]) == 3
    assert "no whole tar" in capsys.readouterr().out
    assert main(["verify", str(scene.directory), "--adopted"]) == 64


def test_files_that_are_gone_from_disk_say_nothing_against_an_archive(scene: Scene) -> None:
    """The archive may be all that is left of them."""
    library(scene)
    scene.put(KEY, foreign(scene, NIGHT))
    (scene.directory / "library" / NIGHT / "lights/b.fits").unlink()
    plan(scene)
    assert verify().examined == 1


def test_an_adopted_archive_gets_its_index(scene: Scene) -> None:
    """D49: a planned step that reads it, compares it, and writes the index; it can be undone."""
    library(scene)
    body = foreign(scene, NIGHT)
    scene.put(KEY, body)
    other = "2024/20240211_AAAA0000"
    scene.put(f"raw/{other}.tar", foreign(scene, other, a=b"x" * 5760))
    result = plan(scene, "adopted: index", only=["session=2023*"])
    assert result.plan is not None
    assert [step.verb for step in result.plan.steps] == ["adopt"]
    assert scene.apply().exit_code == 0, scene.problems()
    assert scene.objects()[KEY].body == body
    index = read_index(scene.objects()[f"{KEY}.index.jsonl"].body)
    for member in index.members:
        data = body[member.offset : member.offset + member.size]
        path = scene.directory / "library/2023" / member.name
        assert (sha256(data).hexdigest(), data) == (member.sha256, path.read_bytes())
    # From now on it is an archive as any other.
    assert plan(scene, "adopted: index", only=["session=2023*"]).plan is None
    found = verify(only=["session=2023*"])
    assert (found.passes, found.by_checksum + found.by_etag, found.unindexed) == (True, 1, 0)
    with api.query("FROM s3_backup_archives") as answer:
        assert len(list(answer.rows)) == 1
    # What does not hold what is on disk is told of, file by file, and gets none.
    plan(scene, "adopted: index", only=["session=20240211*"])
    assert scene.apply().exit_code == 3
    assert "20240211_AAAA0000/lights/a.fits has other content" in str(scene.problems())
    assert f"raw/{other}.tar.index.jsonl" not in scene.objects()


def test_the_index_of_an_adopted_archive_is_taken_back_alone(scene: Scene) -> None:
    library(scene)
    scene.put(KEY, foreign(scene, NIGHT))
    plan(scene, "adopted: index", only=["session=2023*"])
    assert scene.apply().exit_code == 0, scene.problems()
    assert scene.rollback() is not None
    assert scene.keys() == [KEY]


@pytest.mark.long
def test_what_no_index_can_describe_gets_none(scene: Scene) -> None:
    """Links are no files, and what unpacks to far more than the session is not gone through."""
    library(scene)
    scene.put(KEY, gzip.compress(bytes(50_000_000)))
    other = "2024/20240211_AAAA0000"
    out = io.BytesIO(foreign(scene, other))
    with tarfile.open(fileobj=out, mode="a") as tar:
        link = tarfile.TarInfo("20240211_AAAA0000/latest")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    scene.put(f"raw/{other}.tar", out.getvalue())
    plan(scene, "adopted: index", exclude=["session=20240315*"])
    assert scene.apply().exit_code == 3
    told = str(scene.problems())
    assert "it holds more than" in told
    assert "latest (link)" in told
    assert sorted(scene.keys()) == [KEY, f"raw/{other}.tar"]
