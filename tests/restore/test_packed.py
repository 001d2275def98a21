"""Archives that another program packed as one piece: they come back, with an index and without."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
import zstandard

from s3plan import api
from s3plan.errors import ProblemsError
from s3plan.model.steps import Extract
from s3plan.rules.archiveindex import read_index
from s3plan.rules.unpacking import PIECE, BadPacking, Unpacker
from tests.engine.conftest import scene
from tests.engine.scene import Scene
from tests.restore.test_archive_restore import MANIFEST, here
from tests.rules.test_tarheaders import FILES, made
from tests.sessions import test_archiving as archiving
from tests.sessions.test_adopted import foreign, verify

__all__ = ["scene"]  # a fixture

BIG = {**FILES, "night/big": os.urandom(3_000_000), "night/empty": b""}


def zstd(data: bytes) -> bytes:
    return zstandard.compress(data)


def plan(scene: Scene, source: str = "withoutIndex: unpack", more: str = "") -> api.PlanResult:
    text = MANIFEST.replace("prefix: raw/}}", f"prefix: raw/, {source}}}}}")
    (scene.directory / "manifest.yaml").write_text(
        text.format(
            endpoint=scene.server.endpoint,
            region=scene.server.region,
            bucket=scene.bucket,
            more="".join(f"  {line}\n" for line in more.splitlines()),
        )
    )
    return api.plan([scene.directory / "manifest.yaml"])


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        (".tar.gz", gzip.compress),
        pytest.param(".tgz", gzip.compress, marks=pytest.mark.long),
        pytest.param(".tar.zst", zstd, marks=pytest.mark.long),
    ],
)
def test_a_packed_archive_without_an_index_becomes_files(
    scene: Scene, suffix: str, pack: object
) -> None:
    """D2, D44, D49: read whole for the plan, again before anything is written, and taken back."""
    assert callable(pack)
    scene.put(f"raw/night{suffix}", pack(made(BIG)))
    left = plan(scene, "withoutIndex: read")
    assert left.plan is None
    assert "source.withoutIndex: unpack" in " ".join(left.notes)
    result = plan(scene)
    assert result.plan is not None
    (step,) = result.plan.steps
    assert isinstance(step.action, Extract)
    assert (step.action.index, step.action.unpacked) == ("", len(made(BIG)))
    assert "packed as one piece" in " ".join(result.notes)
    assert scene.apply().exit_code == 0, scene.problems()
    assert here(scene) == BIG
    assert plan(scene).plan is None
    finished = scene.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert here(scene) == {}


@pytest.mark.long
def test_some_files_of_it_and_those_that_are_there(scene: Scene) -> None:
    """Present files are compared by content; what is in the way is left."""
    scene.put("raw/night.tar.gz", gzip.compress(made(BIG)))
    first, second, *_ = FILES
    for name, data in ((first, FILES[first]), (second, b"?" * len(FILES[second]))):
        path = scene.here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    with pytest.raises(ProblemsError) as caught:
        plan(scene)
    assert caught.value.problems[0].found == second
    # Put there after the plan, it is left; all others come.
    (scene.here / second).unlink()
    assert plan(scene).plan is not None
    (scene.here / second).write_bytes(b"somebody's")
    assert scene.apply().exit_code == 3
    assert [problem.reason for problem in scene.problems()] == ["occupied"]
    assert here(scene) == BIG | {second: b"somebody's"}
    (scene.here / second).unlink()
    chosen = plan(scene, more='files: ["big"]')
    assert chosen.plan is None


@pytest.mark.long
def test_another_archive_than_was_planned_with_writes_nothing(scene: Scene) -> None:
    """Invariant 3: also one of the same names and sizes, whose ETag somebody could not tell."""
    scene.put("raw/night.tar.gz", gzip.compress(made(FILES)))
    assert plan(scene).plan is not None
    scene.put("raw/night.tar.gz", gzip.compress(made({**FILES, "night/more": b"x"})))
    assert scene.apply().exit_code == 3
    assert {problem.outcome for problem in scene.problems()} == {"drifted"}
    assert here(scene) == {}


def test_what_unpacks_to_too_much_is_refused(scene: Scene) -> None:
    """A bomb is noticed as it goes off; who knows better raises the limit."""
    zeros = {"night/zeros": bytes(20_000_000)}
    scene.put("raw/night.tar.zst", zstd(made(zeros)))
    with pytest.raises(ProblemsError) as caught:
        plan(scene)
    (problem,) = caught.value.problems
    assert "it holds more than" in str(problem.found)
    assert "source.mostUnpacked" in str(problem.next_step)
    assert plan(scene, "withoutIndex: unpack, mostUnpacked: 21 MB").plan is not None
    with pytest.raises(ProblemsError):
        plan(scene, "withoutIndex: unpack, mostUnpacked: 19 MB")


def test_what_is_cut_off_is_told(scene: Scene) -> None:
    scene.put("raw/night.tar.gz", gzip.compress(made(BIG))[:-100])
    with pytest.raises(ProblemsError) as caught:
        plan(scene)
    assert "no whole tar" in str(caught.value.problems[0].found)


NIGHT = "2023/20230110_AAAA0000"
KEY = f"raw/{NIGHT}.tar.gz"
PACKED = "archive: {compression: gzip}\nadopted: index"


def plan_adoption(scene: Scene) -> api.PlanResult:
    """Of a library whose archives the replaced tool packed (compression_level above 0)."""
    server = scene.server
    text = archiving.MANIFEST.replace("{{session}}.tar", "{{session}}.tar.gz").format(
        endpoint=server.endpoint,
        region=server.region,
        bucket=scene.bucket,
        more="".join(f"  {line}\n" for line in PACKED.splitlines()),
    )
    (scene.directory / "manifest.yaml").write_text(text)
    return api.plan([Path("manifest.yaml")], only=["session=2023*"])


def test_a_packed_archive_of_the_replaced_tool_is_indexed_and_comes_back(scene: Scene) -> None:
    """D2, D49: adopted with its digests, verified as any other, and extracted in one reading."""
    archiving.library(scene)
    scene.put(KEY, foreign(scene, NIGHT, mode="w:gz"))
    result = plan_adoption(scene)
    assert result.plan is not None
    assert [step.verb for step in result.plan.steps] == ["adopt"]
    assert scene.apply().exit_code == 0, scene.problems()
    index = read_index(scene.objects()[f"{KEY}.index.jsonl"].body)
    assert (index.header.compression, index.frames) == ("gzip", ())
    assert plan_adoption(scene).plan is None
    found = verify(only=["session=2023*"])
    assert (found.passes, found.unindexed) == (True, 0)
    result = plan(scene, "withoutIndex: list", 'files: ["lights/*"]')
    assert result.plan is not None
    (step,) = result.plan.steps
    assert isinstance(step.action, Extract)
    assert (bool(step.action.index), step.action.unpacked) == (True, index.header.tar)
    assert scene.apply().exit_code == 0, scene.problems()
    folder = scene.directory / "library" / "2023"
    assert here(scene) == {
        name: (folder / name).read_bytes()
        for name in ("20230110_AAAA0000/lights/a.fits", "20230110_AAAA0000/lights/b.fits")
    }
    assert plan(scene, "withoutIndex: list", 'files: ["lights/*"]').plan is None
    finished = scene.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert here(scene) == {}


@pytest.mark.parametrize("step", [1, 7, 100_000])
@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_pieces_are_small_whatever_comes_out(compression: str, step: int) -> None:
    """Invariant 8: a few bytes that unpack to many are given piece by piece."""
    parts = [bytes(5 * PIECE + 3), b"end of it" * 1000]
    pack = gzip.compress if compression == "gzip" else zstd
    packed = b"".join(map(pack, parts))
    sizes: list[int] = []
    got = bytearray()

    def give(data: memoryview) -> None:
        sizes.append(len(data))
        got.extend(data)

    unpacker = Unpacker("gzip" if compression == "gzip" else "zstd", give)
    for at in range(0, len(packed), step):
        unpacker.feed(packed[at : at + step])
    unpacker.end()
    assert bytes(got) == b"".join(parts)
    assert max(sizes) <= PIECE


def test_what_cannot_be_unpacked_is_said() -> None:
    unpacker = Unpacker("gzip", lambda _: None)
    with pytest.raises(BadPacking, match="cannot be unpacked"):
        unpacker.feed(b"\x1f\x8b not at all")
    cut = Unpacker("gzip", lambda _: None)
    cut.feed(gzip.compress(b"data")[:-4])
    with pytest.raises(BadPacking, match="ends early"):
        cut.end()
