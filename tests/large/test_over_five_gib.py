"""An object that no single PUT can carry, with the real limits: there, verified, gone, and back."""

from __future__ import annotations

import time

import pytest

from s3plan.rules.parts import count_of_parts
from tests.engine.scene import OBJECTS_ONLY, Scene

PART = 512 << 20
PARTS = 12
"""6 GiB, all zeros but for a mark at the beginning of each part."""


@pytest.mark.large
@pytest.mark.timeout(1800)
def test_six_gibibytes_are_evacuated_deleted_and_put_back(scene: Scene) -> None:
    """A45: downloaded in ranges, its ETag of parts rebuilt, uploaded again in parts."""
    zeros = bytes(PART - 16)
    where = {"Bucket": scene.bucket, "Key": "huge.bin"}
    upload = {**where, **_only(scene.s3.create_multipart_upload(**where), "UploadId")}
    done = []
    for number in range(1, PARTS + 1):
        body = f"part {number:>4} of it".encode().ljust(16) + zeros
        answer = scene.s3.upload_part(PartNumber=number, Body=body, **upload)
        done.append({"PartNumber": number, "ETag": answer["ETag"]})
    scene.s3.complete_multipart_upload(MultipartUpload={"Parts": done}, **upload)
    etag = scene.s3.head_object(**where)["ETag"]

    began = time.monotonic()
    evidence = scene.apply_to_gate(OBJECTS_ONLY)
    print(f"\ndownloaded and verified in {time.monotonic() - began:.1f} s")  # noqa: T201 - for who runs it by hand
    ((row, _),) = scene.catalogue().values()
    assert (row.verdict, row.size) == ("verified", PART * PARTS)
    assert row.rung in ("parts-etag", "composite", "full-object")
    assert scene.apply(delete=evidence).exit_code == 0
    assert scene.keys() == []

    began = time.monotonic()
    rolled_back = scene.rollback()
    assert rolled_back is not None
    assert rolled_back.exit_code == 0, scene.problems()
    print(f"put back in {time.monotonic() - began:.1f} s")  # noqa: T201 - for who runs it by hand
    head = scene.s3.head_object(**where)
    assert head["ContentLength"] == PART * PARTS
    assert count_of_parts(head["ETag"].strip('"')) == 24, "parts of 256 MiB"
    assert head["ETag"] != etag
    for number in range(1, PARTS + 1):
        first = (number - 1) * PART
        got = scene.s3.get_object(Range=f"bytes={first}-{first + 15}", **where)["Body"].read()
        assert got == f"part {number:>4} of it".encode().ljust(16)
    assert scene.files() == {}


def _only(answer: dict[str, str], name: str) -> dict[str, str]:
    return {name: answer[name]}
