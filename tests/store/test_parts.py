"""The sizes of parts, as servers tell them, and as those answer that do not."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.config import Config

from s3plan.errors import PreconditionFailedError
from s3plan.model.objects import Checksum, ObjectHead
from s3plan.store import Bucket
from s3plan.store.heads import object_head
from tests.servers import Server
from tests.store.test_servers import on_bucket, put

BODY = (b"a" * (5 << 20), b"b" * (6 << 20), b"tail")
ETAG = "fded1f28aae18a9fd6d7fed3203559c6-3"
SIZES = tuple(len(part) for part in BODY)


def upload(server: Server, bucket: str) -> None:
    """An object in parts, made by boto3."""
    s3 = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name=server.region,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(
            s3={"addressing_style": "path"}, request_checksum_calculation="when_required"
        ),
    )
    where: dict[str, Any] = {"Bucket": bucket, "Key": "parts.bin"}
    where["UploadId"] = s3.create_multipart_upload(**where)["UploadId"]
    done = [
        {
            "PartNumber": number,
            "ETag": s3.upload_part(PartNumber=number, Body=part, **where)["ETag"],
        }
        for number, part in enumerate(BODY, 1)
    ]
    s3.complete_multipart_upload(MultipartUpload={"Parts": done}, **where)
    s3.close()


def test_seaweedfs_tells_the_size_of_every_part(seaweed: Server) -> None:
    async def act(bucket: Bucket) -> None:
        upload(seaweed, bucket.name)
        assert await bucket.part_sizes("parts.bin", 3, if_match=ETAG) == SIZES
        assert await bucket.part_sizes("parts.bin", 2, if_match=ETAG) is None, "another count"
        with pytest.raises(PreconditionFailedError):
            await bucket.part_sizes("parts.bin", 3, if_match="0" * 32 + "-3")
        assert await bucket.part_sizes("gone", 3, if_match=ETAG) is None

    on_bucket(seaweed, act)


def test_an_object_that_was_uploaded_whole_has_no_parts_to_tell(moto_server: Server) -> None:
    """Moto leaves out the number of parts, as an endpoint does that ignores the parameter."""

    async def act(bucket: Bucket) -> None:
        etag = await put(bucket, "whole.bin", b"whole")
        assert await bucket.part_sizes("whole.bin", 2, if_match=etag) is None

    on_bucket(moto_server, act)


def _head(etag: str, **headers: str) -> ObjectHead:
    plain = {
        "content-length": "7",
        "etag": f'"{etag}"',
        "last-modified": "Fri, 20 Nov 2026 04:23:11 GMT",
    }
    return object_head("k", plain | {f"x-amz-checksum-{k}": v for k, v in headers.items()})


def test_the_type_of_a_checksum_tells_what_it_is_of() -> None:
    whole = _head(ETAG, crc32="AAAAAA==", type="FULL_OBJECT")
    assert (whole.checksums, whole.composites) == ((Checksum("CRC32", "AAAAAA=="),), ())
    for told in (
        _head(ETAG, crc32="AAAAAA==-3", type="COMPOSITE"),
        _head(ETAG, crc32="AAAAAA==-3"),
    ):
        assert (told.checksums, told.composites) == ((), (Checksum("CRC32", "AAAAAA==-3"),))


def test_a_checksum_of_unknown_type_counts_only_where_it_can_be_of_one_kind() -> None:
    """Moto gives composite checksums without their type: they must not be taken for the whole's."""
    told = _head(ETAG, crc32="AAAAAA==", crc64nvme="AAAAAAAAAAA=")
    assert told.checksums == (Checksum("CRC64NVME", "AAAAAAAAAAA="),)
    assert told.composites == ()
    assert _head("0" * 32, crc32="AAAAAA==").checksums == (Checksum("CRC32", "AAAAAA=="),)
