"""What is worked on: buckets of random objects, stored with a full-object CRC64NVME."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from awscrt.checksums import crc64nvme
from botocore.config import Config

from benchmarks.bare import Request, send
from benchmarks.server import ACCESS_KEY, REGION, SECRET_KEY, Server
from benchmarks.signing import presigned

if TYPE_CHECKING:
    from benchmarks.case import Place

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
ALGORITHM = "CRC64NVME"


@dataclass(frozen=True)
class Dataset:
    """``count`` objects of ``size`` bytes each, a hundred to a folder, in a bucket."""

    bucket: str
    count: int
    size: int

    @property
    def title(self) -> str:
        """As a table heads it: ``5,000 x 16 KiB``."""
        scale = ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB"), (1, "B"))
        unit, name = next((unit, name) for unit, name in scale if self.size >= unit)
        return f"{self.count:,} x {self.size // unit} {name}"

    def keys(self) -> Iterator[str]:
        """Of all objects."""
        return (f"{number // 100:04d}/{number:06d}.bin" for number in range(self.count))

    @property
    def bytes(self) -> int:
        """All of it."""
        return self.count * self.size


def fill(place: Place, dataset: Dataset) -> None:
    """Create the bucket and its objects, unless this benchmark has made it."""
    place.once(f"s3://{dataset.bucket}", lambda: fill_again(place.server, dataset))


def fill_again(server: Server, dataset: Dataset) -> None:
    """Create them, again if need be; fail unless S3 says it keeps the checksum."""
    client = client_of(server)
    ensure_bucket(client, dataset.bucket)
    send(_puts(server, dataset), connections=16 if dataset.size < MIB else 2)
    first = next(dataset.keys())
    head = client.head_object(Bucket=dataset.bucket, Key=first, ChecksumMode="ENABLED")
    if "ChecksumCRC64NVME" not in head or head.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        raise RuntimeError(f"the server keeps no full-object {ALGORITHM} for s3://{dataset.bucket}")


def _puts(server: Server, dataset: Dataset) -> Iterator[Request]:
    # Random bytes are made once: each body starts with its own number, the rest is shared.
    rest = os.urandom(dataset.size - 8)
    for number, key in enumerate(dataset.keys()):
        body = number.to_bytes(8, "big") + rest
        checksum = base64.b64encode(crc64nvme(body).to_bytes(8, "big")).decode()
        headers = {f"x-amz-checksum-{ALGORITHM.lower()}": checksum}
        url = presigned(server.endpoint, "PUT", f"/{dataset.bucket}/{key}", headers=headers)
        lines = [f"{name}: {value}" for name, value in headers.items()]
        yield Request("PUT", url, lines, body)


def ensure_bucket(client: Any, bucket: str) -> None:
    """Make it where it is not there."""
    if bucket not in {one["Name"] for one in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=bucket)


def client_of(server: Server) -> Any:
    """boto3's client, for what is not measured."""
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(max_pool_connections=32, s3={"addressing_style": "path"}),
    )
