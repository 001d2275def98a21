"""Large objects in ranges: verified on every rung, resumed, and never another object's bytes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s3plan.engine.handlers import ranged
from s3plan.errors import EndpointError, NotSupportedError
from s3plan.store import Bucket
from tests.crash.harness import executioner
from tests.engine.scene import COPY_ONLY, OBJECTS_ONLY, WHOLE, Scene
from tests.engine.test_losses import put_without_evidence

MIB = 1 << 20
PARTS = (b"a" * (5 * MIB), b"b" * (6 * MIB), b"tail")
BODY = bytes(range(251)) * (26 << 10)  # 6.4 MiB, the same at no two multiples of a range


@pytest.fixture(autouse=True)
def _small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranged, "RANGED_FROM", 2 * MIB)
    monkeypatch.setattr(ranged, "RANGE", MIB)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """Every range that is asked for: key, first byte, and the one after the last."""
    return _spy(monkeypatch, lambda number: None)


def _spy(
    monkeypatch: pytest.MonkeyPatch, before: Callable[[int], None]
) -> list[tuple[str, int, int]]:
    """``before`` is called with the number of each request, from 1, and may raise."""
    asked: list[tuple[str, int, int]] = []
    get_range = Bucket.get_range

    async def spy(self: Bucket, key: str, sink: Any, first: int, end: int, **more: Any) -> None:
        asked.append((key, first, end))
        before(len(asked))
        await get_range(self, key, sink, first, end, **more)

    monkeypatch.setattr(Bucket, "get_range", spy)
    return asked


def _left(scene: Scene) -> list[Path]:
    return list(scene.here.glob(".s3plan/parts/*/*"))


@pytest.mark.long
def test_ranges_are_put_together_on_every_rung(
    scene: Scene, fetched: list[tuple[str, int, int]]
) -> None:
    """A45: CRCs are combined, composites made of parts, hashes follow in order."""
    scene.put("crc32.bin", BODY)  # boto3 sends a CRC32
    scene.put("crc64.bin", BODY, ChecksumAlgorithm="CRC64NVME")
    scene.put("sha.bin", BODY, ChecksumAlgorithm="SHA256")
    scene.put_in_parts("composite.bin", PARTS, ChecksumAlgorithm="SHA256")
    scene.put_in_parts("etag-of-parts.bin", PARTS)
    evidence = scene.apply_to_gate(WHOLE)
    assert {key: row.rung for key, (row, _) in scene.catalogue().items()} == {
        "crc32.bin": "full-object",
        "crc64.bin": "full-object",
        "sha.bin": "full-object",
        "composite.bin": "composite",
        "etag-of-parts.bin": "parts-etag",
    }
    files = scene.files()
    assert files["sha.bin"] == files["crc32.bin"] == BODY
    assert files["composite.bin"] == b"".join(PARTS)
    assert [end - first for key, first, end in fetched if key == "crc64.bin"].count(MIB) == 6
    parts = {(first, end) for key, first, end in fetched if key == "composite.bin"}
    assert parts == {(0, 5 * MIB), (5 * MIB, 11 * MIB), (11 * MIB, 11 * MIB + 4)}
    assert _left(scene) == []
    assert scene.apply(delete=evidence).exit_code == 0
    rolled_back = scene.rollback()
    assert rolled_back is not None
    assert rolled_back.exit_code == 0


def test_an_object_of_which_nothing_is_stored_is_fetched_in_ranges_too(
    moto_scene: Scene, fetched: list[tuple[str, int, int]]
) -> None:
    put_without_evidence(moto_scene, "sealed.bin", BODY)
    moto_scene.plan(COPY_ONLY)
    assert moto_scene.apply().exit_code == 0
    assert moto_scene.files() == {"sealed.bin": BODY}
    assert len(fetched) == 7


def test_what_is_complete_is_not_fetched_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.put("large.bin", BODY)

    def fails(number: int) -> None:
        if number > 4:
            raise EndpointError("no answer", address="s3://b/large.bin")

    with monkeypatch.context() as patch:
        first = _spy(patch, fails)
        scene.plan(COPY_ONLY)
        assert scene.apply().exit_code == 3
    assert not (scene.copies / "large.bin").exists()
    (log,) = [path for path in _left(scene) if path.suffix == ".log"]
    complete = log.read_bytes().count(b'"type":"range"')
    assert 0 < complete <= 4
    again = _spy(monkeypatch, lambda number: None)
    assert scene.apply().exit_code == 0
    assert len(again) == 7 - complete
    assert len({*first[:4], *again}) == 7
    assert scene.files() == {"large.bin": BODY}
    assert _left(scene) == []


def test_a_range_that_no_sync_covers_is_fetched_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut took what was written, and the end of the log with it."""
    scene.put("large.bin", BODY)
    get_range = Bucket.get_range
    asked = itertools.count(1)

    async def failing(self: Bucket, key: str, *where: Any, **more: Any) -> None:
        if next(asked) > 4:
            while not _two_are_logged(scene):  # noqa: ASYNC110 - what a file says
                await asyncio.sleep(0.01)
            raise EndpointError("no answer", address="s3://b/large.bin")
        await get_range(self, key, *where, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "get_range", failing)
        scene.plan(COPY_ONLY)
        scene.apply()
    data, log = sorted(_left(scene), key=lambda path: path.suffix)
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:2]) + lines[2][:20])
    kept = int(lines[1].split(b'"n":')[1].split(b",")[0])
    whole = data.read_bytes()
    data.write_bytes(bytes(kept * MIB) + whole[kept * MIB : (kept + 1) * MIB] + b"\xff" * (7 * MIB))
    # What is before the range that counts is zeros, and the file is too long: only it is believed.
    again = _spy(monkeypatch, lambda number: None)
    assert scene.apply().exit_code == 0
    assert len(again) == 6
    assert scene.files() == {"large.bin": BODY}


def _two_are_logged(scene: Scene) -> bool:
    logs = [path.read_bytes() for path in _left(scene) if path.suffix == ".log"]
    return sum(log.count(b'"type":"range"') for log in logs) >= 2


def _raise_from(number: int, last: int) -> None:
    if number > last:
        raise EndpointError("no answer", address="s3://b/large.bin")


def test_what_was_begun_of_another_object_is_begun_anew(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.put("large.bin", BODY)
    with monkeypatch.context() as patch:
        _spy(patch, lambda number: _raise_from(number, 3))
        scene.plan(COPY_ONLY)
        scene.apply()
    scene.put("large.bin", BODY[::-1])
    asked = _spy(monkeypatch, lambda number: None)
    scene.plan(COPY_ONLY)
    assert scene.apply().exit_code == 0
    assert len(asked) == 7
    assert scene.files() == {"large.bin": BODY[::-1]}
    assert _left(scene) == [], "the verification removes what nobody goes on with"


def test_an_object_that_changes_between_two_ranges_is_drifted(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.put("large.bin", BODY)
    monkeypatch.setattr(ranged, "RANGE", 3 * MIB)

    def changes(number: int) -> None:
        if number == 2:
            scene.put("large.bin", BODY[::-1])

    _spy(monkeypatch, changes)
    scene.plan(COPY_ONLY)
    finished = scene.apply()
    assert (finished.exit_code, finished.drifted) == (3, 1)
    assert not (scene.copies / "large.bin").exists()


def test_an_endpoint_without_ranges_is_read_in_one_stream(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.put("large.bin", BODY)

    def whole(number: int) -> None:
        raise NotSupportedError("the whole", address="s3://b/large.bin")

    asked = _spy(monkeypatch, whole)
    scene.plan(COPY_ONLY)
    assert scene.apply().exit_code == 0
    assert 1 <= len(asked) <= 4
    assert scene.files() == {"large.bin": BODY}
    assert _left(scene) == []


def test_content_that_does_not_match_is_fetched_twice_and_gets_no_name(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.put("large.bin", BODY)
    finish = ranged._SpanSink.finish

    def harmed(self: Any) -> dict[Any, list[bytes]]:
        return {kind: [bytes(len(raw)) for raw in raws] for kind, raws in finish(self).items()}

    monkeypatch.setattr(ranged._SpanSink, "finish", harmed)
    asked = _spy(monkeypatch, lambda number: None)
    scene.plan(COPY_ONLY)
    assert scene.apply().exit_code == 3
    assert len(asked) == 14
    assert [p.outcome for p in scene.problems()] == ["mismatched"]
    assert not (scene.copies / "large.bin").exists()
    assert _left(scene) == []


def test_one_part_is_one_stream(scene: Scene, fetched: list[tuple[str, int, int]]) -> None:
    scene.put("large.bin", BODY)
    path = scene.manifest(COPY_ONLY)
    path.write_text(path.read_text().replace("connections: 8", "connections: 8, parts: 1"))
    scene.plan()
    assert scene.apply().exit_code == 0
    assert fetched == []


def test_a_rollback_removes_what_was_only_begun(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.put("large.bin", BODY)
    _spy(monkeypatch, lambda number: _raise_from(number, 3))
    scene.plan(COPY_ONLY)
    scene.apply()
    assert _left(scene) != []
    scene.rollback()
    assert _left(scene) == []
    assert scene.keys() == ["large.bin"]


@pytest.mark.long
@pytest.mark.slow
def test_a_download_in_ranges_that_is_killed_goes_on(scene: Scene, tmp_path: Path) -> None:
    scene.put("huge.bin", BODY)
    scene.plan(OBJECTS_ONLY)
    with executioner(tmp_path) as sessions:
        for last in ("before range #2", "after range #2", "after part of a range #3"):
            assert sessions.run(scene, "apply", "--approve", last=last).code is None, last
        ended = sessions.run(scene, "apply", "--approve")
        assert ended.code == 4, sessions.log.read_text()[-3000:]
    assert "before range #7" not in ended.positions, "what was complete is not fetched again"
    assert scene.files() == {"huge.bin": BODY}
    assert _left(scene) == []
