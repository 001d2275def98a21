"""The literal flow in an empty directory, by commands, and what is left after each of them."""

from __future__ import annotations

import hashlib
import unicodedata

import pytest
from botocore.exceptions import ClientError

from s3plan.rules.collisions import resolve_collisions
from s3plan.rules.naming import encode_key
from tests.engine.scene import Scene, Stored, approval_in

_AWKWARD = (
    "a b.txt",
    "plus+plus.txt",
    "%41.txt",
    "quote'\".txt",
    "\U0001f600/emoji.txt",
    unicodedata.normalize("NFD", "café.txt"),
    "CASE.txt",
    "case.txt",
    "-dash.txt",
    "nul.txt",
)

_MAYBE = ("a", "a/b")
"""A key that is a file and a directory at once; SeaweedFS, a file system, takes only one."""


def _fill(scene: Scene) -> None:
    for key in _AWKWARD:
        scene.put(key, f"I am {key}".encode())
    for key in _MAYBE:
        try:
            scene.put(key, b"file and directory")
        except ClientError:
            assert key == "a/b", "only the second one may be refused"
    scene.put("dir/", b"", ContentType="application/x-directory")
    scene.put("empty.bin", b"")
    scene.put(
        "page.html",
        b"<p>hello</p>",
        ContentType="text/html; charset=utf-8",
        CacheControl="max-age=60",
        Metadata={"camera": "X100", "number": "7"},
        Tagging="owner=ann&project=p%201",
    )
    scene.put("large.bin", _noise(b"large", 3 << 20), ContentType="image/tiff")
    scene.put_in_parts(
        "parts.bin",
        [_noise(b"one", 5 << 20), _noise(b"two", 1 << 20)],
        ContentType="video/mp4",
        Metadata={"parts": "2"},
        ChecksumAlgorithm="CRC64NVME",
        ChecksumType="FULL_OBJECT",
    )


def _noise(seed: bytes, size: int) -> bytes:
    return hashlib.shake_128(seed).digest(size)


@pytest.fixture
def filled(scene: Scene) -> Scene:
    _fill(scene)
    scene.manifest()
    return scene


def test_the_whole_way_and_back(filled: Scene) -> None:
    scene = filled
    before = scene.objects()

    planned = scene.s3plan("plan", "manifest.yaml")
    assert planned.code == 0, planned.err
    assert [line for line in planned.out.splitlines() if line.startswith("Plan:")]
    assert scene.objects() == before, "planning only reads"
    assert not scene.here.exists(), "planning only reads"

    held = scene.s3plan("apply", "--approve")
    assert held.code == 4, held.out + held.err
    assert scene.objects() == before, "nothing is deleted without its own approval"
    approval = approval_in(held.out)
    assert approval.startswith(f"{scene.bucket}@")
    assert scene.files() == _as_files(before)

    deleted = scene.s3plan("apply", "--approve", "--approve-delete", approval)
    assert deleted.code == 0, deleted.out + deleted.err
    assert not scene.bucket_exists()

    again = scene.s3plan("plan", "manifest.yaml")
    assert (again.code, again.out) == (0, "No changes.\n"), again.err

    shown = scene.s3plan("rollback", "journal.json")
    assert shown.code == 0, shown.err
    assert "create-bucket" in shown.out
    assert "upload" in shown.out
    assert not scene.bucket_exists(), "without --approve it only shows"

    back = scene.s3plan("rollback", "journal.json", "--approve")
    assert back.code == 0, back.out + back.err
    assert scene.objects() == before
    assert scene.files() == {}, "the copies that the run made are gone"

    second = scene.s3plan("rollback", "journal.json", "--approve")
    assert second.code == 0, second.out + second.err
    assert scene.objects() == before

    afresh = scene.s3plan("plan", "--detailed-exitcode", "manifest.yaml")
    assert afresh.code == 2, afresh.out + afresh.err
    assert f"{len(before)} objects" in afresh.out, "the same work is proposed again"


def _as_files(objects: dict[str, Stored]) -> dict[str, bytes]:
    """What the destination must hold, with names as rules.naming documents them."""
    pairs = [(key, encode_key(key, marker=not stored.body)) for key, stored in objects.items()]
    paths = dict(pairs) | dict(resolve_collisions(pairs, {}))
    return {path: objects[key].body for key, path in paths.items() if not path.endswith("/")}
