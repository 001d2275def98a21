"""What must be true whatever happened, read past s3plan and past the proxy."""

from __future__ import annotations

from tests.engine.scene import Scene, Stored

LARGE = "d9/large.bin"
LARGE_SIZE = 3 << 20
"""Over a mebibyte a body is streamed by a thread."""


def fill(scene: Scene, count: int = 12) -> dict[str, Stored]:
    """Small objects, some with tags, and a large one; what is in the bucket then."""
    scene.fill(count)
    scene.put(LARGE, bytes(range(256)) * (LARGE_SIZE // 256))
    scene.put("d9/tagged.txt", b"I have tags", Tagging="owner=ann", Metadata={"camera": "X100"})
    return scene.objects()


def assert_nothing_lost(scene: Scene, before: dict[str, Stored]) -> None:
    """Every object is in S3 or on disk, and what is recorded as verified has its content."""
    there = scene.objects()
    files = scene.files() if scene.copies.exists() else {}
    for key, stored in before.items():
        assert key in there or key in files, f"{key} is nowhere"
        if key in there:
            assert there[key] == stored
        else:
            assert files[key] == stored.body
    if files:
        for key, (row, _) in scene.catalogue().items():
            if row.verdict == "verified":
                assert files[key] == before[key].body, f"{key} is called verified"


def assert_untouched(scene: Scene, before: dict[str, Stored]) -> None:
    """Nothing was deleted or changed in S3."""
    assert scene.objects() == before
    assert_nothing_lost(scene, before)


def assert_goes_through(scene: Scene, before: dict[str, Stored]) -> None:
    """Without faults the same command, approved, ends as if there had been none; and back."""
    held = scene.apply()
    assert held.exit_code == 4, (held, scene.problems())
    (gate,) = scene.run().state().gates.values()
    assert gate.passes
    assert gate.figures["verified"] == len(before)
    assert scene.files() == {key: stored.body for key, stored in before.items()}
    assert scene.apply(delete=gate.evidence).exit_code == 0
    assert not scene.bucket_exists()
    assert_nothing_lost(scene, before)


def assert_comes_back(scene: Scene, before: dict[str, Stored]) -> None:
    """A rollback without faults puts everything back as it was."""
    finished = scene.rollback()
    assert finished is None or finished.exit_code == 0, (finished, scene.problems())
    assert scene.objects() == before
    assert scene.files() == {}
