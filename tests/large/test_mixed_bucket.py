"""Three gibibytes, large and small: killed twice on their way to disk, deleted, and back."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.engine.scene import OBJECTS_ONLY, Scene
from tests.flow.rclone import rclone_check

MIB = 1 << 20
PARTS = 8
PART = 256 * MIB
SMALL = 400


@pytest.mark.large
@pytest.mark.timeout(1800)
def test_three_gibibytes_survive_two_kills_and_a_witness_agrees(scene: Scene) -> None:
    """What rclone compares before the deletion is what a rollback puts back, attributes too."""
    _fill(scene)
    before = dict(_seen(scene))
    assert sum(size for size, *_ in before.values()) > 3 << 30
    scene.manifest(OBJECTS_ONLY)
    assert scene.s3plan("plan", "manifest.yaml").code == 0
    for share in (0.2, 0.6):
        _kill_when(scene, share * (3 << 30))
    held = scene.s3plan("apply", "--approve")
    assert held.code == 4, held.err

    checked = rclone_check(scene)
    assert checked.code == 0, checked.out + checked.err
    assert len(checked.out.splitlines()) == len(before)

    evidence = scene.run().state().gates.popitem()[1].evidence
    deleted = scene.s3plan("apply", "--approve", "--approve-delete", f"{scene.bucket}@{evidence}")
    assert deleted.code == 0, deleted.err
    assert scene.keys() == []
    back = scene.s3plan("rollback", "journal.json", "--approve")
    assert back.code == 0, back.err
    assert dict(_seen(scene)) == before
    assert scene.files() == {}


def _fill(scene: Scene) -> None:
    where = {"Bucket": scene.bucket, "Key": "video/sparse.bin"}
    made = scene.s3.create_multipart_upload(Metadata={"camera": "X100"}, **where)
    upload = {**where, "UploadId": made["UploadId"]}
    done = []
    for number in range(1, PARTS + 1):
        body = f"part {number}".encode().ljust(16) + bytes(PART - 16)
        etag = scene.s3.upload_part(PartNumber=number, Body=body, **upload)["ETag"]
        done.append({"PartNumber": number, "ETag": etag})
    scene.s3.complete_multipart_upload(MultipartUpload={"Parts": done}, **upload)
    for number in range(4):
        scene.put(f"raw/{number}.bin", bytes([number]) * PART, ContentType="image/x-raw")
    scene.put("raw/five.bin", b"5" * (5 * MIB), Tagging="owner=ann&kind=raw")
    for number in range(SMALL):
        scene.put(f"notes/{number:04}.txt", b"note " * number, Metadata={"number": str(number)})


def _seen(scene: Scene) -> Iterator[tuple[str, tuple[int, str, str, dict[str, str], str]]]:
    """Size, SHA-256, type, metadata and tags of every object, read as a stream."""
    for key in tuple(scene.keys()):
        answer = scene.s3.get_object(Bucket=scene.bucket, Key=key)
        digest = hashlib.sha256()
        for chunk in answer["Body"].iter_chunks(MIB):
            digest.update(chunk)
        tags = scene.s3.get_object_tagging(Bucket=scene.bucket, Key=key)["TagSet"]
        yield (
            key,
            (
                answer["ContentLength"],
                digest.hexdigest(),
                answer["ContentType"],
                answer["Metadata"],
                str(sorted((tag["Key"], tag["Value"]) for tag in tags)),
            ),
        )


def _kill_when(scene: Scene, written: float) -> None:
    """SIGKILL an apply once so many bytes are on the disk, temporary files among them."""
    command = [sys.executable, "-m", "s3plan", "apply", "--approve"]
    with subprocess.Popen(
        command,
        cwd=scene.directory,
        env=scene.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None and _on_disk(scene) < written:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it ended before it was killed"


def _on_disk(scene: Scene) -> int:
    total = 0
    for path in scene.here.rglob("*") if scene.here.exists() else ():
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:
            continue  # renamed meanwhile
    return total
