"""What each verdict rests on: every rung of the ladder, on objects of real servers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from s3plan.errors import EndpointError
from s3plan.model.objects import ObjectHead, Rung
from s3plan.store import Bucket
from tests.engine.scene import COPY_ONLY, OBJECTS_ONLY, WHOLE, Scene
from tests.engine.test_losses import ONCE, put_without_evidence

BODY = (b"a" * (5 << 20), b"b" * (6 << 20), b"tail")
WHOLE_BODY = b"".join(BODY)


def _rungs(scene: Scene) -> dict[str, Rung | None]:
    return {key: row.rung for key, (row, _) in scene.catalogue().items()}


def _asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests that are sent besides GETs, as they are sent."""
    sent: list[str] = []
    for name in ("head", "part_sizes"):
        original = getattr(Bucket, name)

        def spy(self: Bucket, key: str, *given: Any, _of: Any = original, **more: Any) -> Any:
            sent.append(f"{_of.__name__} {key}")
            return _of(self, key, *given, **more)

        monkeypatch.setattr(Bucket, name, spy)
    return sent


def test_every_rung_is_recorded_and_read_back_and_passes_the_gate(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A28, A31, E17: small and large, whole and in parts, deleted and put back.

    SeaweedFS tells no checksum types in listings, so each object in parts costs a HEAD more.
    """
    scene.put("small.txt", b"small", ChecksumAlgorithm="SHA256")
    scene.put_in_parts("etag-of-parts.bin", BODY)
    scene.put_in_parts("composite-crc.bin", BODY, ChecksumAlgorithm="CRC32")
    scene.put_in_parts("composite-sha.bin", BODY, ChecksumAlgorithm="SHA256")
    scene.put_in_parts("full.bin", BODY, ChecksumAlgorithm="CRC64NVME")
    scene.put_in_parts("one-part.txt", [b"one part"])
    scene.put_in_parts("few.txt", [b"few bytes in parts"])
    scene.plan(WHOLE)
    sent = _asked(monkeypatch)
    assert scene.apply().exit_code == 4, scene.problems()
    evidence = scene.gate().evidence
    assert _rungs(scene) == {
        "small.txt": "full-object",
        "etag-of-parts.bin": "parts-etag",
        "composite-crc.bin": "composite",
        "composite-sha.bin": "composite",
        "full.bin": "full-object",
        "one-part.txt": "parts-etag",
        "few.txt": "parts-etag",
    }
    in_parts = ["composite-crc.bin", "composite-sha.bin", "etag-of-parts.bin", "full.bin"]
    assert sorted(sent) == sorted(
        [f"head {key}" for key in in_parts] + [f"part_sizes {key}" for key in in_parts[:3]]
    ), "whole objects, and those of one part, cost nothing"
    figures = scene.gate().figures
    rungs = {name: count for name, count in figures.items() if name.startswith("by_")}
    assert rungs == {"by_full_object": 2, "by_composite": 2, "by_parts_etag": 3}
    assert figures["checksum_verified_count"] == figures["size_verified_count"] == 7
    assert figures["size_only_count"] == 0

    assert scene.apply(delete=evidence).exit_code == 0
    rolled_back = scene.rollback()
    assert rolled_back is not None
    assert rolled_back.exit_code == 0, scene.problems()
    bodies = {key: stored.body for key, stored in scene.objects().items()}
    assert {key for key, body in bodies.items() if body == WHOLE_BODY} == {*in_parts}
    assert scene.files() == {}


@pytest.mark.long
@pytest.mark.parametrize("key", ["composite.bin", "etag.bin"])
def test_one_wrong_byte_on_disk_is_found_by_a_checksum_of_parts(scene: Scene, key: str) -> None:
    """A31: the file is read back and compared in the same parts."""
    scene.put_in_parts("composite.bin", BODY, ChecksumAlgorithm="SHA256")
    scene.put_in_parts("etag.bin", BODY)
    evidence = scene.apply_to_gate(OBJECTS_ONLY)
    path = scene.copies / key
    body = bytearray(path.read_bytes())
    body[7 << 20] ^= 1
    path.write_bytes(body)
    held = scene.apply(delete=evidence)
    assert held.exit_code == 4
    assert not scene.gate().passes
    assert scene.gate().figures["mismatched"] == 1
    assert len(scene.keys()) == 2


def _harm(monkeypatch: pytest.MonkeyPatch, times: Callable[[], bool]) -> None:
    """Change a byte of every streamed body on the wire while ``times`` says so."""
    get_to = Bucket.get_to

    async def harmed(self: Bucket, key: str, sink: Any, **more: Any) -> ObjectHead:
        feed = sink.feed
        harms = times()

        class Harmed:
            start = staticmethod(sink.start)

            @staticmethod
            def feed(chunk: bytes) -> None:
                feed(bytes([chunk[0] ^ 1]) + chunk[1:] if harms else chunk)

        return await get_to(self, key, Harmed(), **more)

    monkeypatch.setattr(Bucket, "get_to", harmed)


def test_a_download_that_was_harmed_once_is_made_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.put_in_parts("etag.bin", BODY)
    harms = iter([True])
    _harm(monkeypatch, lambda: next(harms, False))
    scene.plan(COPY_ONLY)
    assert scene.apply().exit_code == 0
    assert _rungs(scene) == {"etag.bin": "parts-etag"}
    assert scene.files() == {"etag.bin": WHOLE_BODY}


def test_an_etag_of_parts_that_differs_verifies_nothing_and_blocks_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E12, E18: what it is made of is nowhere promised. It is a loss, and two equal reads of the
    object do not explain the difference away.
    """
    scene.put_in_parts("etag.bin", BODY)

    async def swapped(self: Bucket, key: str, count: int, **more: Any) -> tuple[int, ...]:
        return 6 << 20, 5 << 20, 4

    monkeypatch.setattr(Bucket, "part_sizes", swapped)
    evidence = scene.apply_to_gate(OBJECTS_ONLY)
    assert scene.files() == {"etag.bin": WHOLE_BODY}
    assert [loss.names for loss in scene.gate().losses] == [("etag.bin",)]
    ((row, _),) = scene.catalogue().values()
    assert (row.verdict, row.rung) == ("unverifiable", "parts-etag")
    assert scene.apply(delete=evidence).exit_code == 4
    assert scene.apply(loss=evidence).exit_code == 0


def test_a_composite_checksum_that_differs_is_a_mismatch(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.put_in_parts("composite.bin", BODY, ChecksumAlgorithm="SHA256")
    _harm(monkeypatch, lambda: True)
    scene.plan(OBJECTS_ONLY)
    assert scene.apply().exit_code == 3
    assert [p.outcome for p in scene.problems()] == ["mismatched"]
    assert not (scene.copies / "composite.bin").exists()


def test_sizes_that_are_not_told_are_never_guessed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.put_in_parts("etag.bin", BODY)

    async def untold(self: Bucket, key: str, count: int, **more: Any) -> None:
        return None

    monkeypatch.setattr(Bucket, "part_sizes", untold)
    scene.plan(COPY_ONLY)
    assert scene.apply().exit_code == 0
    assert _rungs(scene) == {"etag.bin": "size"}
    assert scene.gate().figures["size_only_count"] == 1


# -- the second read ----------------------------------------------------------------------------


@pytest.fixture
def sealed(moto_scene: Scene) -> Scene:
    """Objects of which S3 tells only the size, one of them streamed."""
    put_without_evidence(moto_scene, "small.bin", b"sealed")
    put_without_evidence(moto_scene, "large.bin", bytes(3 << 20))
    return moto_scene


@pytest.mark.long
def test_a_second_read_with_the_same_digest_verifies_before_a_deletion(sealed: Scene) -> None:
    evidence = sealed.apply_to_gate(WHOLE)
    gate = sealed.gate()
    assert (gate.losses, gate.figures["by_second_read"]) == ((), 2)
    assert _rungs(sealed) == {"small.bin": "second-read", "large.bin": "second-read"}
    assert sealed.apply(delete=evidence).exit_code == 0
    rolled_back = sealed.rollback()
    assert rolled_back is not None
    assert rolled_back.exit_code == 0


def test_a_copy_alone_is_read_once(sealed: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    get_to = Bucket.get_to

    async def counted(self: Bucket, key: str, *given: Any, **more: Any) -> ObjectHead:
        reads.append(key)
        return await get_to(self, key, *given, **more)

    monkeypatch.setattr(Bucket, "get_to", counted)
    sealed.plan(COPY_ONLY)
    assert sealed.apply().exit_code == 0
    assert reads == ["large.bin"]
    assert _rungs(sealed) == {"small.bin": "size", "large.bin": "size"}
    # A later deletion reads what an earlier run copied, and not twice.
    reads.clear()
    evidence = sealed.apply_to_gate(OBJECTS_ONLY)
    assert sorted(reads) == ["large.bin", "small.bin"]
    reads.clear()
    assert sealed.apply(delete=evidence).exit_code == 0
    assert reads == []


def test_a_second_read_that_differs_is_a_mismatch_and_is_tried_anew(
    sealed: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed.plan(COPY_ONLY)
    sealed.apply()
    sealed.plan(OBJECTS_ONLY)
    with monkeypatch.context() as patch:
        _harm(patch, lambda: True)
        assert sealed.apply().exit_code == 4
    assert not sealed.gate().passes
    assert sealed.gate().figures["mismatched"] == 2
    assert sealed.apply().exit_code == 4
    assert sealed.gate().passes, "the wire was at fault, and is not any more"


def test_a_second_read_that_fails_stops_the_verification(
    sealed: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(self: Bucket, *given: Any, **more: Any) -> ObjectHead:
        raise EndpointError("no answer", address="s3://x/y")

    sealed.plan(COPY_ONLY)
    sealed.apply()
    sealed.plan(OBJECTS_ONLY)
    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "get_to", refused)
        assert sealed.apply().exit_code == 3
    assert set(sealed.keys()) == {"small.bin", "large.bin"}
    assert sealed.apply().exit_code == 4
    assert sealed.gate().passes


def test_a_verdict_is_about_the_file_it_was_given_for(sealed: Scene) -> None:
    """A later download of the key is not verified by the second read of an earlier one."""
    sealed.apply_to_gate(OBJECTS_ONLY)
    assert set(_rungs(sealed).values()) == {"second-read"}
    (sealed.copies / "small.bin").unlink()
    put_without_evidence(sealed, "small.bin", b"others")
    sealed.plan(OBJECTS_ONLY + ONCE)
    sealed.apply()
    assert [loss.names for loss in sealed.gate().losses] == [("small.bin",)]
    assert sealed.files()["small.bin"] == b"others"
