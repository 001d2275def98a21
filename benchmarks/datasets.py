"""What is downloaded: buckets of random objects, stored with a full-object CRC64NVME."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from benchmarks.server import ACCESS_KEY, REGION, SECRET_KEY, Server

KIB = 1024
MIB = 1024 * KIB
ALGORITHM = "CRC64NVME"


@dataclass(frozen=True)
class Dataset:
    """A bucket of ``count`` objects of ``size`` bytes each, a hundred to a folder.

    ``what`` is done with it, where that is not downloading.
    """

    bucket: str
    count: int
    size: int
    what: str = ""

    @property
    def title(self) -> str:
        """As a table heads it: ``5,000 x 16 KiB``."""
        unit, name = (MIB, "MiB") if self.size >= MIB else (KIB, "KiB")
        return f"{self.count:,} x {self.size // unit} {name}{self.what}"

    @property
    def bytes(self) -> int:
        """All of it."""
        return self.count * self.size


def fill(server: Server, dataset: Dataset) -> None:
    """Create the bucket and its objects; fail unless S3 says it keeps the checksum."""
    client = client_of(server)
    client.create_bucket(Bucket=dataset.bucket)
    # Random bytes are made once: every object starts with its own number, the rest is shared.
    body = os.urandom(dataset.size)

    def put(number: int) -> None:
        client.put_object(
            Bucket=dataset.bucket,
            Key=f"{number // 100:04d}/{number:06d}.bin",
            Body=number.to_bytes(8, "big") + body[8:],
            ChecksumAlgorithm=ALGORITHM,
        )

    workers = 16 if dataset.size < MIB else 2
    with ThreadPoolExecutor(workers) as executor:
        list(executor.map(put, range(dataset.count)))
    head = client.head_object(Bucket=dataset.bucket, Key="0000/000000.bin", ChecksumMode="ENABLED")
    if "ChecksumCRC64NVME" not in head or head.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        raise RuntimeError(f"the server keeps no full-object {ALGORITHM} for s3://{dataset.bucket}")


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
