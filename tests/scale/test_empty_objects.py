"""10,000 objects without bytes: moved to another layout, taken back, and cleaned up after that.

`make test-load` runs it. The tool that ObjectLayout replaces failed on every one of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3plan.rules.shadow import is_shadow
from tests.cleanup.test_flow import MANIFEST as CLEANUP
from tests.engine.conftest import enter
from tests.engine.scene import Scene, open_scene
from tests.layout.moving import PREFIX, knows, write_manifest
from tests.peaks import peak
from tests.scale.test_grouping import _s5cmd
from tests.servers import Server

pytestmark = [pytest.mark.load, pytest.mark.timeout(3600)]

FEW, MANY = 500, 10_000

GROWTH = 64 << 20
"""Bytes that a command may take more for twenty times the objects: tables, and the stretches that
a plan is written in, become as large as they are allowed to. Of the plan of 20,000, 40,000 and
80,000 objects 214, 249 and 259 MiB were seen."""

SAMPLE = 97
"""Every so many-th object is asked for its layout."""


@pytest.fixture
def scene(seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with open_scene(seaweed, tmp_path) as made:
        enter(made, monkeypatch)
        yield made


def _put(scene: Scene, first: int, end: int) -> None:
    tree = scene.directory / f"tree-{first}"
    for number in range(first, end):
        path = tree / f"d{number % 7}" / f"empty-{number:05}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    _s5cmd(scene, "cp", f"{tree}/", f"s3://{scene.bucket}/{PREFIX}")


def _layouts(scene: Scene) -> tuple[int, int, int]:
    """How many objects and shadows there are, and how many of a sample are in the new layout."""
    keys = scene.keys()
    mine = [key for key in keys if key.startswith(PREFIX)]
    moved = 0
    for key in mine[::SAMPLE]:
        head = scene.s3.head_object(Bucket=scene.bucket, Key=key)
        assert head["ContentLength"] == 0
        moved += head["Metadata"].get("layout-version") == "2"
    return len(mine), sum(map(is_shadow, keys)), moved


def _round(scene: Scene, count: int) -> list[int]:
    """Every command with so many objects; the peak memory of each."""
    sample = len(range(0, count, SAMPLE))
    peaks = []

    def run(*command: str) -> None:
        with (scene.directory / "said").open("w+b") as said:
            try:
                peaks.append(peak(scene.start(*command, output=said)))
            except AssertionError:
                said.seek(0)
                pytest.fail(f"{command}: {said.read()[-2000:].decode()}")

    run("plan", "layout.yaml")
    run("apply", "--approve")
    assert _layouts(scene) == (count, 2 * count, sample)
    with (scene.directory / "said").open("w+b") as said:
        assert scene.start("plan", "layout.yaml", "--out", "again", output=said).wait() == 0
        said.seek(0)
        assert b"No changes." in said.read()
    run("rollback", "journal.json", "--approve")
    assert _layouts(scene) == (count, 2 * count, 0)
    run("plan", "cleanup.yaml")
    run("apply", "--approve")
    assert _layouts(scene) == (count, 0, 0)
    return peaks


def test_ten_thousand_objects_without_bytes(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    """C52, E46, and invariant 8: none fails, and memory does not grow with their number."""
    knows(scene, "put-if-match", "copy-if-none-match", "copy-source-if-match")
    write_manifest(scene)
    (scene.directory / "manifest.yaml").rename(scene.directory / "layout.yaml")
    server = scene.server
    (scene.directory / "cleanup.yaml").write_text(
        CLEANUP.format(
            endpoint=server.endpoint,
            region=server.region,
            bucket=scene.bucket,
            more=", limit: 100000",
        )
    )
    _put(scene, 0, FEW)
    few = _round(scene, FEW)
    _put(scene, FEW, MANY)
    many = _round(scene, MANY)
    told = [(less >> 20, more >> 20) for less, more in zip(few, many, strict=True)]
    with capsys.disabled():
        sys.stdout.write(f"\npeaks in MiB, of {FEW:,} and of {MANY:,} objects: {told}")
    assert max(more - less for less, more in zip(few, many, strict=True)) < GROWTH, told
